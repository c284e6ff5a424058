"""The messages from the server to the page, as values for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from runtime.json_values import number
from runtime.pipeline.results import Person
from runtime.sources.frames import Keypoints
from runtime.web.live_state import CameraState, ScorePoint

_MAX_COORDINATE = 32_000  # pixels; a joint further outside is not drawn


def camera_message(state: CameraState) -> dict[str, Any]:
    """Return the state of a camera.

    Keys: `n` (number of the result), `utc`, `time` (seconds of the stream), `size` (width, height), `score` and
    `threshold` (or null), `unit` (of both), `provisional` (it is a guess), `alarm`, `since` (when it
    began), and `people`. Each of these is `[id, score, p-value, joints]`, the joints as 18 x (x, y in pixels,
    confidence in percent) integers in one list. `beyond_normal` holds the ids of those whose score is above all normal
    scores: their p-value is an upper bound. `why` says what raised the score of the worst person while the alarm is on;
    None of a flow without evidence beside it. `ignored` holds the ids of those whom the zones exempt from scoring.
    """
    result = state.result
    return {
        "n": state.number,
        "utc": round(state.utc, 3),
        "time": round(result.frame.time, 3),
        "size": list(result.frame.size),
        "score": number(result.score),
        "threshold": number(result.threshold),
        "unit": result.unit,
        "provisional": result.provisional,
        "alarm": result.alarm,
        "since": state.alarm_since,
        "why": result.worst.why if result.alarm and result.worst else None,
        "people": [_person(person) for person in result.people],
        "beyond_normal": [person.person for person in result.people if person.beyond_normal],
        "ignored": [person.person for person in result.people if person.ignored],
    }


def history_message(points: Iterable[ScorePoint]) -> list[list[Any]]:
    """Return scores over time as `[utc, score or null, 1 while the alarm was on else 0]`, oldest first."""
    return [[round(utc, 2), number(score), int(alarm)] for utc, score, alarm in points]


def _person(person: Person) -> list[Any]:
    return [person.person, number(person.smoothed), number(person.p_value, 9), _joints(person.keypoints)]


def _joints(keypoints: Keypoints) -> list[int]:
    """Flatten `(18, 3)` pixels and confidence to whole numbers; an invalid joint has confidence 0."""
    near = np.abs(keypoints[:, :2]) <= _MAX_COORDINATE
    known = np.logical_and(np.isfinite(keypoints).all(axis=1), near.all(axis=1))
    whole = np.where(known[:, None], keypoints * np.array([1, 1, 100], dtype=np.float32), 0)
    flat: list[int] = whole.round().astype(int).ravel().tolist()
    return flat
