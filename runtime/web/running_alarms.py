"""Alarms that are on, as they are now: the store holds only what the last message said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.events.alarm_messages import peak_message
from runtime.json_values import iso, number
from runtime.web.live_state import CameraState, LiveState

_IN_SUMMARY = ("score", "p_value", "beyond_normal", "rarity", "why", "person")


def current_alarm(alarm: dict[str, Any], live: LiveState) -> dict[str, Any]:
    """Return the last message of an alarm; while it is on, with the length and the peak that it has now."""
    state = None if alarm.get("event") == "end" else _state(alarm, live)
    return alarm if state is None else {**alarm, **_now(state)}


def current_summary(alarm: dict[str, Any], live: LiveState) -> dict[str, Any]:
    """Return the summary of an alarm; while it is on, with the length and the peak that it has now."""
    state = None if alarm.get("ended_utc") else _state(alarm, live)
    if state is None:
        return alarm
    now = _now(state)
    peak = now.pop("peak", {})
    return {**alarm, **now, **{name: peak[name] for name in _IN_SUMMARY if name in peak}}


def _state(alarm: Mapping[str, Any], live: LiveState) -> CameraState | None:
    """Return the state of the camera if its alarm is still this one."""
    state = live.camera(str(alarm.get("camera")))
    if state is None or state.alarm_since is None or iso(state.alarm_since) != alarm.get("began_utc"):
        return None
    return state


def _now(state: CameraState) -> dict[str, Any]:
    now: dict[str, Any] = {"seconds": number(state.utc - (state.alarm_since or state.utc), 3)}
    if state.peak is not None and state.peak[0].worst is not None:
        result, utc = state.peak
        worst = state.peak[0].worst
        floor = worst.p_value if worst.beyond_normal else None
        now["peak"] = peak_message(result, worst, utc, floor) | {"beyond_normal": worst.beyond_normal}
    return now
