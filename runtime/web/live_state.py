"""The state of each camera for the live page: written by the scoring thread, read by the web server's."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

from runtime.pipeline.results import FrameResult

_PER_SECOND = 5  # points of the history


class ScorePoint(NamedTuple):
    """A point of the score over time: the worst of the frames in a fifth of a second.

    Attributes:
        utc: seconds since 1970.
        score: smoothed score, None when nobody had one.
        alarm: whether the alarm was on.
    """

    utc: float
    score: float | None
    alarm: bool


@dataclass(frozen=True)
class CameraState:
    """The last result of a camera.

    Attributes:
        result: the last result.
        number: how many results there were; it changes with each.
        utc: when the frame reached this machine, seconds since 1970.
        alarm_since: when the alarm began, seconds since 1970; None while it is off.
        peak: the result with the highest score since then, without its picture, and when its frame reached this
            machine; None while the alarm is off and before anybody has a score.
    """

    result: FrameResult
    number: int
    utc: float
    alarm_since: float | None
    peak: tuple[FrameResult, float] | None = None


class LiveState:
    """A sink that remembers the last result of each camera and its scores of the last minutes.

    A call costs a few microseconds and draws and encodes nothing. All methods may be called from any thread.

    Args:
        history_seconds: how long scores are kept, reduced to about five per second.
    """

    def __init__(self, history_seconds: float = 300.0) -> None:
        self._seconds = history_seconds
        self._length = max(1, math.ceil(history_seconds * _PER_SECOND))
        self._lock = threading.Lock()
        self._states: dict[str, CameraState] = {}
        self._history: dict[str, deque[ScorePoint]] = {}

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        utc = result.frame.utc or time.time()
        score = result.score
        if score is not None and not math.isfinite(score):
            score = None
        with self._lock:
            before = self._states.get(result.camera)
            since, peak = None, None
            if result.alarm:
                goes_on = before if before and result.change != "begin" else None
                since = utc if goes_on is None or goes_on.alarm_since is None else goes_on.alarm_since
                peak = _higher(goes_on.peak if goes_on else None, result, score, utc)
            number = before.number + 1 if before else 1
            self._states[result.camera] = CameraState(result, number, utc, since, peak)
            history = self._history.setdefault(result.camera, deque(maxlen=self._length))
            if history and int(history[-1].utc * _PER_SECOND) == int(utc * _PER_SECOND):
                last = history[-1]
                worst = max((s for s in (last.score, score) if s is not None), default=None)
                history[-1] = ScorePoint(last.utc, worst, last.alarm or result.alarm)
            else:
                history.append(ScorePoint(utc, score, result.alarm))

    def remove_camera(self, camera: str) -> None:
        """Remove a camera and its history."""
        with self._lock:
            self._states.pop(camera, None)
            self._history.pop(camera, None)

    def cameras(self) -> dict[str, CameraState]:
        """Return the state of every camera that had a result."""
        with self._lock:
            return dict(self._states)

    def camera(self, name: str) -> CameraState | None:
        """Return the state of one camera, None before its first result."""
        with self._lock:
            return self._states.get(name)

    def history(self, camera: str) -> list[ScorePoint]:
        """Return the scores of the last minutes, oldest first; empty for a camera that had no result."""
        with self._lock:
            points = list(self._history.get(camera, ()))
        return [point for point in points if point.utc >= points[-1].utc - self._seconds]


def _higher(
    peak: tuple[FrameResult, float] | None, result: FrameResult, score: float | None, utc: float
) -> tuple[FrameResult, float] | None:
    """Return the peak, or the result if its score is higher."""
    if score is None or (peak is not None and peak[0].score is not None and peak[0].score >= score):
        return peak
    return replace(result, frame=replace(result.frame, image=None)), utc
