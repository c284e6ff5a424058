"""What docs/events.md says is so."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.config.schema import Config
from runtime.config.secrets import Secret
from runtime.events.alarm_messages import AlarmEventBuilder
from runtime.events.message import EventMessage
from runtime.events.webhook import REFUSED, sign
from runtime.pipeline.results import FrameResult
from runtime.sources.frames import Frame

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def block(language: str) -> str:
    (text,) = blocks(language)
    return text


def test_the_example_has_the_fields_of_a_message() -> None:
    frame = Frame(0, 0.0, (64, 48))
    (begin,) = AlarmEventBuilder("door", {})(FrameResult(frame, (), None, alarm=True, change="begin"))
    assert list(json.loads(blocks("json")[0])) == list(begin.content)


def test_the_configuration_is_one() -> None:
    armed, config, told = (Config.model_validate(tomllib.loads(text)) for text in blocks("toml"))
    assert len(told.notify.urls) == 2
    assert "\n" in told.notify.text
    assert armed.cameras["door"].schedule.weekly()
    assert (config.mqtt.host, config.webhook.secret_env) == ("broker", "DAFLOW_WEBHOOK_SECRET")


def test_the_signature_is_verified_as_shown(make_message: Callable[..., EventMessage]) -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    body = make_message().json().encode()

    def headers(timestamp: float) -> dict[str, str]:
        text = str(int(timestamp))
        return {"X-DAFlow-Timestamp": text, "X-DAFlow-Signature": sign(Secret("swordfish"), text, body)}

    now = headers(time.time())
    assert names["verify"](b"swordfish", now, body)
    assert not names["verify"](b"hunter2", now, body)
    assert not names["verify"](b"swordfish", now, body + b" ")
    assert not names["verify"](b"swordfish", headers(time.time() - 3600), body)


def test_the_refusals_are_named() -> None:
    text = ", ".join(map(str, sorted(REFUSED)[:-1])) + f" and {max(REFUSED)}"
    assert text in PAGE
