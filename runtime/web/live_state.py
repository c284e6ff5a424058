"""What the live page needs to know of each camera, kept by the judge's thread and read by the web server's."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from runtime.pipeline.results import FrameResult

_PER_SECOND = 5  # moments of the history


class ScorePoint(NamedTuple):
    """A point of the score over time: the worst of the frames it stands for.

    Attributes:
        utc: seconds since 1970.
        score: smoothed score in bits per dimension, None when nobody had one.
        alarm: whether the alarm was on.
    """

    utc: float
    score: float | None
    alarm: bool


@dataclass(frozen=True)
class CameraState:
    """The last that is known of a camera.

    Attributes:
        result: the last result.
        number: how many results there were; it tells whether something is new.
        utc: when the frame reached this machine, seconds since 1970.
        alarm_since: when the alarm went on, seconds since 1970; None while it is off.
    """

    result: FrameResult
    number: int
    utc: float
    alarm_since: float | None


class LiveState:
    """A sink that remembers the last result of each camera and its scores of the last minutes.

    A call costs a few microseconds and draws and encodes nothing. All methods may be called from any thread.

    Args:
        history_seconds: how long scores are kept, thinned to about five a second.
    """

    def __init__(self, history_seconds: float = 300.0) -> None:
        self._seconds = history_seconds
        self._length = max(1, math.ceil(history_seconds * _PER_SECOND))
        self._lock = threading.Lock()
        self._seen: dict[str, CameraState] = {}
        self._history: dict[str, deque[ScorePoint]] = {}

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        utc = result.frame.utc or time.time()
        score = result.score
        if score is not None and not math.isfinite(score):
            score = None
        with self._lock:
            before = self._seen.get(result.camera)
            since = None
            if result.alarm:
                since = before.alarm_since if before and before.alarm_since is not None else utc
            self._seen[result.camera] = CameraState(result, before.number + 1 if before else 1, utc, since)
            history = self._history.setdefault(result.camera, deque(maxlen=self._length))
            if history and int(history[-1].utc * _PER_SECOND) == int(utc * _PER_SECOND):
                last = history[-1]
                worst = max((s for s in (last.score, score) if s is not None), default=None)
                history[-1] = ScorePoint(last.utc, worst, last.alarm or result.alarm)
            else:
                history.append(ScorePoint(utc, score, result.alarm))

    def forget(self, camera: str) -> None:
        """Leave out a camera that is no longer watched."""
        with self._lock:
            self._seen.pop(camera, None)
            self._history.pop(camera, None)

    def cameras(self) -> dict[str, CameraState]:
        """Return the last of every camera that had a result."""
        with self._lock:
            return dict(self._seen)

    def camera(self, name: str) -> CameraState | None:
        """Return the last of one camera."""
        with self._lock:
            return self._seen.get(name)

    def history(self, camera: str) -> list[ScorePoint]:
        """Return the scores of the last minutes, oldest first; empty for a camera that had no result."""
        with self._lock:
            moments = list(self._history.get(camera, ()))
        return [moment for moment in moments if moment.utc >= moments[-1].utc - self._seconds]
