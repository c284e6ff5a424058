"""What people are told of a message: its values for the templates of `notify`."""

from __future__ import annotations

import socket
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from daflow.core.alarms.p_value import NARROW_SPACE
from runtime.config.notify import NotifyOptions, Told
from runtime.config.text_template import fill
from runtime.events.message import EventMessage

_STATES = {
    "lost": "no pictures",
    "frozen": "the picture is frozen",
    "black": "the picture is black",
    "back": "back again",
    "drifting": "scores have drifted",
    "fits": "scores fit again",
    "disk_full": "the disk is nearly full",
}


def told_of(message: EventMessage) -> Told | None:
    """Return which kind of message people get of one; None for none."""
    if message.type in ("camera_state", "device_state"):
        return "camera_state"
    if message.type != "alarm":
        return None
    return {"begin": "alarm", "end": "alarm_end"}.get(message.kind)  # type: ignore[return-value]


def title_and_text(message: EventMessage, options: NotifyOptions, page: str | None) -> tuple[str, str]:
    """Return what people are told of a message.

    Args:
        message: of a kind that people get.
        options: the templates.
        page: the address of the live page; None when it is not known.
    """
    content = message.content
    values = _alarm(message) if message.type == "alarm" else _state(content)
    values |= {
        "camera": message.camera or socket.gethostname(),
        "time": f"{datetime.fromtimestamp(message.utc, ZoneInfo(options.time_zone)):%Y-%m-%d %H:%M:%S}",
        "url": page or "",
        "id": message.id,
    }
    return fill(options.title, values), fill(options.text, values)


def _alarm(message: EventMessage) -> dict[str, str]:
    content = message.content
    ended = message.kind == "end"
    worst: dict[str, Any] = content.get("peak") or {} if ended else content
    score, seconds = worst.get("score"), content.get("seconds")
    values = {
        "score": "" if score is None else f"{score:.2f}",
        "rarity": str(worst.get("rarity") or "").replace(NARROW_SPACE, " "),
        "why": str(worst.get("why") or "").replace(NARROW_SPACE, " "),
        "seconds": "" if seconds is None else f"{seconds:.0f}",
        "reason": str(content.get("reason") or "").replace("_", " "),
    }
    found = values["why"] or values["rarity"] or (f"score {values['score']}" if values["score"] else "")
    provisional = "provisional threshold" if content.get("provisional") else ""
    end = f"after {values['seconds']} s: {values['reason']}" if ended else ""
    details = "; ".join(filter(None, (end, found, provisional)))
    return {**values, "what": "the alarm has ended" if ended else "alarm", "details": details}


def _state(content: dict[str, Any]) -> dict[str, str]:
    state = str(content.get("state"))
    return {"state": state, "what": _STATES.get(state, state), "details": str(content.get("detail") or "")}
