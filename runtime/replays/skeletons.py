"""The skeletons of everybody around an alarm, and their stored form: JSON, compressed by gzip."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from runtime.json_values import iso, number
from runtime.sources.frames import Keypoints

SCHEMA = 1
MAX_BYTES = 1_000_000
"""Of the stored form; frames are dropped until it is not larger."""

_MAX_POSES = 8000  # in all frames together; a pose takes about 140 bytes

_MAX_FRACTION = 3.0
"""Of the picture; a joint further outside of it is unknown."""


class RecordedPerson(NamedTuple):
    """A person in a recorded frame.

    Attributes:
        person: the id, unique within the camera.
        score: after smoothing, None without one.
        keypoints: 18 joints `(18, 3)`, x and y as fractions of the picture, and confidence.
    """

    person: int
    score: float | None
    keypoints: Keypoints


class RecordedFrame(NamedTuple):
    """A recorded frame.

    Attributes:
        time: seconds since the alarm began, negative before.
        people: in it.
    """

    time: float
    people: tuple[RecordedPerson, ...]


@dataclass(frozen=True)
class AlarmSkeletons:
    """The skeletons of everybody around an alarm.

    Attributes:
        id: of the alarm.
        camera: its name.
        began_utc: when the alarm began, seconds since 1970.
        frame_size: width and height of the picture, pixels.
        threshold: of the alarm; infinite for none.
        unit: of threshold and scores.
        peak: when the score was highest, seconds since the alarm began; None without a score.
        seconds: how long the alarm was on; None while it is.
        complete: whether it holds all that it will: False while the alarm or the seconds after it last, and where the
            process ended meanwhile.
        raised: the ids of those whose score was the highest of a frame and above the threshold while the alarm was on.
        frames: in order.
        outline: of the scene, a PNG that is transparent but where there are edges; None without one.
    """

    id: str
    camera: str
    began_utc: float
    frame_size: FrameSize
    threshold: float
    unit: str
    peak: float | None
    seconds: float | None
    complete: bool
    raised: frozenset[int]
    frames: tuple[RecordedFrame, ...]
    outline: bytes | None = None

    def between(self, first: float, last: float) -> AlarmSkeletons:
        """Return the part between two times, seconds since the alarm began."""
        return replace(self, frames=tuple(frame for frame in self.frames if first <= frame.time <= last))


def encode(skeletons: AlarmSkeletons) -> bytes:
    """Return the stored form. Where it would be too large, every second frame is left out, as often as needed."""
    while sum(len(frame.people) for frame in skeletons.frames) > _MAX_POSES:
        skeletons = replace(skeletons, frames=skeletons.frames[::2])
    while True:
        content = json.dumps(_message(skeletons), allow_nan=False, separators=(",", ":"))
        encoded = gzip.compress(content.encode(), 6, mtime=0)
        if len(encoded) <= MAX_BYTES or len(skeletons.frames) < 2:
            return encoded
        skeletons = replace(skeletons, frames=skeletons.frames[::2])


def decode(stored: bytes) -> AlarmSkeletons:
    """Return the skeletons of a stored form, which `encode` wrote."""
    message = json.loads(gzip.decompress(stored))
    width, height = message["frame_size"]
    return AlarmSkeletons(
        id=message["id"],
        camera=message["camera"],
        began_utc=message["began"],
        frame_size=(width, height),
        threshold=math.inf if message["threshold"] is None else message["threshold"],
        unit=message["unit"],
        peak=message["peak"],
        seconds=message["seconds"],
        complete=message["complete"],
        raised=frozenset(message["raised"]),
        frames=tuple(_frame(each) for each in message["frames"]),
        outline=base64.b64decode(message["outline"]) if message["outline"] else None,
    )


def _message(skeletons: AlarmSkeletons) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": skeletons.id,
        "camera": skeletons.camera,
        "began": round(skeletons.began_utc, 3),
        "began_utc": iso(skeletons.began_utc),
        "frame_size": list(skeletons.frame_size),
        "threshold": number(skeletons.threshold),
        "unit": skeletons.unit,
        "peak": number(skeletons.peak, 3),
        "seconds": number(skeletons.seconds, 3),
        "complete": skeletons.complete,
        "raised": sorted(skeletons.raised),
        "outline": base64.b64encode(skeletons.outline).decode() if skeletons.outline else None,
        "frames": [
            {
                "time": number(frame.time, 3),
                "people": [
                    {
                        "person": person.person,
                        "score": number(person.score),
                        "raised": person.person in skeletons.raised,
                        "joints": _joints(person.keypoints),
                    }
                    for person in frame.people
                ],
            }
            for frame in skeletons.frames
        ],
    }


def _joints(keypoints: Keypoints) -> list[float]:
    """Flatten `(18, 3)`; a joint that is not finite, or far outside of the picture, is 0 with confidence 0."""
    near = (np.abs(keypoints[:, :2]) <= _MAX_FRACTION).all(axis=1)
    known = np.logical_and(np.isfinite(keypoints).all(axis=1), near)
    flat = np.where(known[:, None], keypoints, 0).astype(np.float64)
    flat[:, :2] = flat[:, :2].round(4)
    flat[:, 2] = flat[:, 2].round(2)
    joints: list[float] = flat.ravel().tolist()
    return joints


def _frame(message: Mapping[str, Any]) -> RecordedFrame:
    people = (
        RecordedPerson(
            each["person"], each["score"], np.array(each["joints"], dtype=np.float32).reshape(-1, 3)
        )
        for each in message["people"]
    )
    return RecordedFrame(message["time"], tuple(people))
