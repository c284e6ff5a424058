"""The time and the number of a camera's frames, from time stamps that may be missing or wrong.

Time. A frame's time is its time stamp, shifted so that the first frame is at 0. Where a stamp cannot be right (missing,
not later than the last one, more than ten seconds ahead of the wall clock, or after a reconnection, when stamps
restart) the time that really passed since the last frame is used instead, and the shift is set so that later stamps
continue from there. So the time always grows, and a gap without a camera is as long as it really was.

Number. A device that is slower than its camera gets, for example, every third frame. These are as regular as the frames
of a slower camera, and windows are made of them, so their numbers must be consecutive. A frame that comes much later
than the recent steps between frames means that frames are missing.

The rule: `interval` is the median of the first 16 steps between delivered frames, and then the exponential mean over
16 steps, in which a step counts at most three times the mean. A step shorter than 2.5 intervals is one frame; a longer
one is as many frames as intervals fit into it. During the first 16 steps, when cameras often send in bursts, only a
step of more than a second can be a gap. After a lasting change of the rate, such as from 30 to 10 frames per second, a
few frames are numbered with gaps until the mean has followed.
"""

from __future__ import annotations

import math
import statistics

# Chosen so that the properties in tests/runtime/sources/test_timestamps.py hold for jitter of a fifth.
_AHEAD_S = 10.0
_MIN_STEP_S = 0.001
_MEMORY = 16  # steps
_MAX_STEP = 3.0  # intervals that a step counts at most in the mean
_GAP = 2.5  # intervals from which on frames are missing
_USUAL_STEP_S = 0.04  # 25 frames per second
_CERTAIN_GAP_S = 1.0
_MAX_MISSING = 10**6  # 11 hours at 25 frames per second


class StreamTime:
    """Maps time stamps to the time of the source, as this module describes.

    >>> time = StreamTime()
    >>> [time.update(90.0, 1.0), time.update(90.25, 1.25)]
    [0.0, 0.25]
    >>> time.reconnected()
    >>> time.update(3.0, 11.25)
    10.25
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._time: float | None = None
        self._stamp: float | None = None
        self._arrival = 0.0

    def reconnected(self) -> None:
        """Ignore the last stamp, since the next one counts from another start."""
        self._stamp = None

    def update(self, stamp: float | None, arrival: float) -> float:
        """Return the time of the next frame.

        Args:
            stamp: its time stamp in seconds, None when it has none.
            arrival: when it arrived, seconds of a clock that never goes back.
        """
        if stamp is not None and not math.isfinite(stamp):
            stamp = None
        waited = max(0.0, arrival - self._arrival)
        if self._time is None:
            self._time = 0.0
            self._offset = -(stamp or 0.0)
        else:
            time = None if stamp is None or self._stamp is None else stamp + self._offset
            if time is None or not self._time < time <= self._time + waited + _AHEAD_S:
                time = self._time + max(waited, _MIN_STEP_S)
                self._offset = time - (stamp or 0.0)
            self._time = max(time, math.nextafter(self._time, math.inf))
        self._stamp, self._arrival = stamp, arrival
        return self._time


class FrameNumbering:
    """Numbers delivered frames, as this module describes.

    >>> numbering = FrameNumbering()
    >>> [numbering.number(time) for time in (0.0, 0.1, 0.2, 0.3, 2.3, 2.4)]
    [0, 1, 2, 3, 23, 24]
    """

    def __init__(self) -> None:
        self._index = -1
        self._time = 0.0
        self._interval = 0.0
        self._first: list[float] = []

    def number(self, time: float) -> int:
        """Return the number of the frame at this time, in seconds; times grow."""
        if self._index < 0:
            self._index = 0
        else:
            step = time - self._time
            self._index += self._frames(step)
            self._learn(step)
        self._time = time
        return self._index

    def _frames(self, step: float) -> int:
        interval = self._interval
        if len(self._first) < _MEMORY:
            interval = max(interval, _USUAL_STEP_S)
            if not self._first or step <= _CERTAIN_GAP_S:
                return 1
        if step < _GAP * interval:
            return 1
        return int(min(step / interval + 0.5, _MAX_MISSING))

    def _learn(self, step: float) -> None:
        if len(self._first) < _MEMORY:
            self._first.append(step)
            self._interval = max(statistics.median_high(self._first), _MIN_STEP_S)
        else:
            step = min(step, _MAX_STEP * self._interval)
            self._interval = max(self._interval + (step - self._interval) / _MEMORY, _MIN_STEP_S)
