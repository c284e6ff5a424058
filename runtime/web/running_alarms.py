"""Alarms that are on, as they are now: the store holds only what the last message said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.json_values import iso, number
from runtime.pipeline.results import FrameResult, Person
from runtime.web.live_state import CameraState, LiveState

_IN_SUMMARY = ("score", "p_value", "beyond_normal", "rarity", "person")
_MAX_POSES = 24


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
        now["peak"] = _peak(result, state.peak[0].worst, utc)
    return now


def _peak(result: FrameResult, worst: Person, utc: float) -> dict[str, Any]:
    """Return the peak as the messages of alarms have it, with `beyond_normal` in place of the rarity in words."""
    poses = [] if worst.window is None else worst.window[:2, -_MAX_POSES:].transpose(1, 2, 0).tolist()
    return {
        "utc": iso(utc),
        "time": number(result.frame.time, 3),
        "person": worst.person,
        "score": number(worst.smoothed, 4),
        "p_value": number(worst.p_value, 9),
        "beyond_normal": worst.beyond_normal,
        "rarity": None,
        "frame_size": [int(side) for side in result.frame.size],
        "skeletons": [[[number(value, 1) for value in joint] for joint in pose] for pose in poses],
    }
