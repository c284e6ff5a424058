"""From the results of one camera to the messages of its alarms."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daflow.core.alarms.p_value import rarity
from runtime.events.message import SCHEMA, EndReason, EventMessage, Kind
from runtime.json_values import iso, number
from runtime.pipeline.results import FrameResult, Person

MAX_PEOPLE = 20
"""People in a message: those with the highest scores."""

MAX_POSES = 24
"""Poses of the worst person in a message: the last ones of the window."""


@dataclass
class _Alarm:
    """An alarm that is on."""

    first: FrameResult
    began_utc: float
    last: FrameResult
    last_utc: float
    armed: bool
    """Whether the camera was armed when it began, and is since."""
    message_time: float
    """Stream time of the last message, seconds."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    sequence: int = 0
    peak_score: float = -math.inf
    peak: dict[str, Any] | None = None

    def add(self, result: FrameResult, utc: float, p_value_floor: float | None) -> None:
        """Add a result, and remember its worst person if the score is the highest so far."""
        self.last, self.last_utc = result, utc
        worst, score = result.worst, result.score
        if worst is not None and score is not None and (self.peak is None or score > self.peak_score):
            # No score compares as higher than NaN.
            self.peak_score = -math.inf if math.isnan(score) else score
            self.peak = peak_message(result, worst, utc, p_value_floor)


class AlarmEventBuilder:
    """Turns the results of one camera into `begin`, `update` and `end` messages.

    It follows `FrameResult.alarm`: an alarm whose `begin` or `end` is missing, because its camera was restarted, begins
    or ends with the next result.

    Args:
        camera: the name of the camera.
        model: the model in each message: `{bundle, scorer, daflow}`.
        update_seconds: stream time between the updates of an alarm that is on; 0 sends none.
        now: gives the seconds since 1970, for frames without a time of arrival.
        p_value_floor: the smallest p-value of the calibration; None when that is not known.
        threshold: of the rule that decides from now on; a result that was decided by an earlier one, and was on its
            way when the rule changed, begins no alarm. None takes every result.
        is_armed: whether the camera is armed now. When that changes during an alarm, it ends and another begins.
    """

    def __init__(
        self,
        camera: str,
        model: Mapping[str, Any],
        update_seconds: float = 5.0,
        now: Callable[[], float] = time.time,
        p_value_floor: float | None = None,
        threshold: float | None = None,
        is_armed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._camera = camera
        self._is_armed = is_armed
        self._model = model
        self._update_seconds = update_seconds
        self._now = now
        self._floor = p_value_floor
        self._threshold = threshold
        self._alarm: _Alarm | None = None
        self.alarms = 0
        """How many began while the camera was armed."""

    def __call__(self, result: FrameResult) -> list[EventMessage]:
        """Take the next result; return the messages that it causes, in order."""
        messages = []
        utc = result.frame.utc or self._now()
        begins = result.change == "begin"
        armed = self._is_armed()
        if self._alarm and begins:
            messages += self.close("settings_changed")
        elif self._alarm and armed != self._alarm.armed:
            messages += self.close("armed" if armed else "disarmed")
        if self._alarm:
            self._alarm.add(result, utc, self._floor)
            if result.change == "end" or not result.alarm:
                # An alarm that is off without an end was decided by another rule than the one that it began with.
                messages += self.close(
                    result.absence or ("score_fell" if result.change == "end" else "settings_changed")
                )
            elif 0 < self._update_seconds <= result.frame.time - self._alarm.message_time:
                messages.append(self._message("update", self._alarm))
        elif self._is_current(result) and (begins or (result.alarm and result.change is None)):
            self.alarms += armed
            self._alarm = _Alarm(result, utc, result, utc, armed, result.frame.time)
            self._alarm.add(result, utc, self._floor)
            messages.append(self._message("begin", self._alarm))
        return messages

    def _is_current(self, result: FrameResult) -> bool:
        return self._threshold in (None, result.threshold)

    def close(self, reason: EndReason) -> list[EventMessage]:
        """End an alarm that is on; return its last message."""
        if self._alarm is None:
            return []
        message = self._message("end", self._alarm, reason)
        self._alarm = None
        return [message]

    def _message(self, kind: Kind, alarm: _Alarm, reason: EndReason | None = None) -> EventMessage:
        result, worst, began = alarm.last, alarm.last.worst, alarm.first.frame.time
        content = {
            "schema": SCHEMA,
            "type": "alarm",
            "id": alarm.id,
            "sequence": alarm.sequence,
            "event": kind,
            **({"reason": reason} if reason else {}),
            "camera": self._camera,
            "utc": iso(alarm.last_utc),
            "began_utc": iso(alarm.began_utc),
            "time": number(result.frame.time, 3),
            "began": number(began, 3),
            "frame": result.frame.index,
            "seconds": number(result.frame.time - began, 3),
            "person": worst.person if worst else None,
            "score": number(result.score, 4),
            "p_value": number(worst.p_value, 6) if worst else None,
            "rarity": _rarity(worst, self._floor),
            **_why(worst),
            "unit": result.unit,
            "threshold": number(result.threshold, 4),
            "provisional": result.provisional,
            "armed": alarm.armed,
            "people": _people(result.people),
            "peak": alarm.peak,
            "model": dict(self._model),
        }
        message = EventMessage(alarm.id, alarm.sequence, kind, self._camera, alarm.last_utc, content)
        alarm.sequence += 1
        alarm.message_time = result.frame.time
        return message


def _people(people: tuple[Person, ...]) -> list[dict[str, Any]]:
    """Return the people with the highest scores first and those without a score last."""
    rows = [
        {
            "person": person.person,
            "score": number(person.smoothed, 4),
            "p_value": number(person.p_value, 6),
        }
        for person in people
    ]
    return sorted(rows, key=lambda row: math.inf if row["score"] is None else -row["score"])[:MAX_PEOPLE]


def _rarity(person: Person | None, floor: float | None) -> str | None:
    if person is None or person.p_value is None or not 0 < person.p_value <= 1:
        return None
    return rarity(person.p_value, floor)


def _why(person: Person | None) -> dict[str, Any]:
    """Return what the channels of evidence say of a person; None of the flow alone."""
    found = person.reasons if person else ()
    surprise = {reason.channel: number(reason.surprise, 2) for reason in found}
    return {"why": person.why if person else None, "surprise": surprise or None}


def peak_message(
    result: FrameResult, worst: Person, utc: float, p_value_floor: float | None
) -> dict[str, Any]:
    """Return the peak of an alarm as messages have it; `docs/events.md` describes it.

    Args:
        result: of the frame with the highest score.
        worst: the person with that score.
        utc: of the frame, seconds since 1970.
        p_value_floor: the smallest p-value that the calibration can give.
    """
    poses = [] if worst.window is None else worst.window[:2, -MAX_POSES:].transpose(1, 2, 0).tolist()
    return {
        "utc": iso(utc),
        "time": number(result.frame.time, 3),
        "person": worst.person,
        "score": number(worst.smoothed, 4),
        "p_value": number(worst.p_value, 6),
        "rarity": _rarity(worst, p_value_floor),
        **_why(worst),
        "frame_size": [int(side) for side in result.frame.size],
        "skeletons": [[[number(value, 1) for value in joint] for joint in pose] for pose in poses],
    }
