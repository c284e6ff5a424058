"""The last 24 poses of each person, ready to be scored."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.rule import MAX_GAP
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.resampling import interpolate, is_same_rate, max_step, neighbours, reason_against_rate

Points = npt.NDArray[np.float32]

_RATE_FRAMES = 32  # the rate is the mean over so many frames
_MIN_RATE_FRAMES = 9
_PAUSE_STEPS = 2.5  # steps between frames
_ROUNDING_S = 1e-7
_SPARE = 1.25  # memory for poses that come faster than the mean


class PoseMemory:
    """A ring buffer of poses for each person, with the same rules for windows as training has.

    At the model's rate, or when that is not known, a window is the last `window` poses of a person if they span at most
    `window + max_missing` frames; missing poses are not interpolated. At another rate a window ends at the last pose
    and is sampled `1 / fps` seconds apart (`daflow.core.data.resampling`). People who were not seen for `forget_after`
    frames are forgotten, and with more than `max_people` those who were not seen for the longest time. Another frame
    size clears the memory: a window must not mix pixels of two sizes.

    Args:
        window: poses in a window.
        max_missing: frames that may be missing inside.
        forget_after: frames after which a person who is not seen is forgotten.
        max_people: people remembered at most.
        fps: frames per second that the model was trained at; None takes frames of any rate as they are.

    >>> memory = PoseMemory(window=2, max_missing=0)
    >>> for frame in range(2):
    ...     memory.add(frame, {7: np.full((18, 2), frame, dtype=np.float32)})
    >>> people, points = memory.windows()
    >>> people, points.shape, points[0, 0, :, 0].tolist()
    ([7], (1, 2, 2, 18), [0.0, 1.0])
    """

    def __init__(
        self,
        window: int,
        max_missing: int,
        forget_after: int = 50,
        max_people: int = 256,
        fps: float | None = None,
    ) -> None:
        self._window = window
        self._max_missing = max_missing
        self._forget_after = max(forget_after, max_missing + 1)
        self._max_people = max_people
        self._fps = fps
        self._rate = _RecentRate()
        self._size: FrameSize | None = None
        self._histories: dict[int, _History] = {}
        self._seen: list[int] = []

    def __len__(self) -> int:
        return len(self._histories)

    @property
    def rate(self) -> float | None:
        """Frames per second of the last frames, None while there were too few. May be read by another thread."""
        return self._rate.fps

    @property
    def reason(self) -> str | None:
        """Why nobody can be scored at this rate; None when it is near enough to the model's."""
        fps = self.rate
        return reason_against_rate(fps, self._fps) if fps and self._fps else None

    def add(
        self,
        frame: int,
        people: Mapping[int, Points],
        size: FrameSize | None = None,
        time: float | None = None,
    ) -> None:
        """Add the poses of one frame.

        Args:
            frame: its number, larger than the last one.
            people: `(18, 2)` in pixels by person.
            size: width and height of the frame; None when it never changes.
            time: of the frame in seconds; None when the rate does not matter.
        """
        if size != self._size:
            self._size = size
            self._histories.clear()
        if time is not None:
            self._rate.add(frame, time)
        moment, capacity = time or 0.0, self._capacity()
        for person, points in people.items():
            history = self._histories.pop(person, None)
            # No window may span a longer gap, so poses from before it are useless.
            if history is None or not self._joined(history, frame, moment):
                history = _History(capacity)
            elif history.capacity < capacity:
                history = history.enlarged(capacity)
            history.add(frame, moment, points)
            self._histories[person] = history  # the last in order is who was seen last
        self._forget(frame)
        self._seen = [person for person in people if person in self._histories]

    def windows(self) -> tuple[list[int], Points]:
        """Return the people of the last frame who have a window, and their windows `(N, 2, T, 18)` in pixels."""
        if self._resampled():
            return self._sampled_windows()
        max_span = self._window + self._max_missing
        ready = [p for p in self._seen if 0 < self._histories[p].span(self._window) <= max_span]
        return ready, _stack((self._histories[p].points(self._window) for p in ready), self._window)

    def _sampled_windows(self) -> tuple[list[int], Points]:
        """Sample the windows of all people whose poses are of the same frames at once."""
        fps = self._fps
        if fps is None or self.reason:
            return [], _stack([], self._window)
        together: dict[tuple[float, ...], list[int]] = {}
        for person in self._seen:
            if times := self._histories[person].times_since((self._window - 1) / fps):
                together.setdefault(times, []).append(person)
        parts = []
        for times, people in together.items():
            positions = np.array(times) * fps
            moments = np.maximum(positions[-1] - np.arange(self._window - 1, -1, -1), positions[0])
            before, after, weight = neighbours(positions, moments)
            poses = np.stack([self._histories[person].points(len(times)) for person in people])
            parts.append(interpolate(poses[:, :, before], poses[:, :, after], weight[:, None]))
        ready = [person for people in together.values() for person in people]
        return ready, np.concatenate(parts) if parts else _stack([], self._window)

    def _resampled(self) -> bool:
        return not is_same_rate(self._rate.fps, self._fps)

    def _joined(self, history: _History, frame: int, time: float) -> bool:
        steps, rate = frame - history.last, self._rate.fps
        if not self._resampled() or self._fps is None or rate is None:
            return steps <= self._max_missing + 1 and not self._rate.is_pause(steps, time - history.time)
        return (time - history.time) * self._fps <= max_step(rate, self._fps, self._max_missing)

    def _capacity(self) -> int:
        """Return how many poses a window may need."""
        if not self._resampled() or self._fps is None or self._rate.fps is None or self.reason:
            return self._window
        poses = _SPARE * (self._window - 1) * self._rate.fps / self._fps + 2
        return max(self._window, math.ceil(poses / self._window) * self._window)

    def _forget(self, frame: int) -> None:
        forgotten = [p for p, h in self._histories.items() if frame - h.last > self._forget_after]
        forgotten += list(self._histories)[len(forgotten) : max(len(forgotten), len(self) - self._max_people)]
        for person in forgotten:
            del self._histories[person]


class _RecentRate:
    """The mean rate of the last frames; frames that are missing count."""

    def __init__(self) -> None:
        self.fps: float | None = None
        self._frames: deque[tuple[int, float]] = deque(maxlen=_RATE_FRAMES)

    def add(self, frame: int, time: float) -> None:
        if self._frames and self._restarts(frame - self._frames[-1][0], time - self._frames[-1][1]):
            self._frames.clear()
        self._frames.append((frame, time))
        if len(self._frames) >= _MIN_RATE_FRAMES:
            (first, begin), (last, end) = self._frames[0], self._frames[-1]
            self.fps = (last - first) / (end - begin)

    def _restarts(self, frames: int, seconds: float) -> bool:
        """Whether the stream begins anew or goes on after one pause; several in a row are a slow stream."""
        if frames <= 0 or seconds <= 0:
            return True
        return len(self._frames) > 1 and self.is_pause(frames, seconds)

    def is_pause(self, frames: int, seconds: float) -> bool:
        """Whether a step is a pause, which frame numbers may not show: a recorder waited for motion."""
        return self.fps is not None and seconds > max(MAX_GAP, _PAUSE_STEPS * frames / self.fps)


class _History:
    """One person's poses, each written twice so that the last ones are always one slice."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.last = -1
        self.time = 0.0
        self._points = np.zeros((2, 2 * capacity, 18), dtype=np.float32)
        self._times = [0.0] * (2 * capacity)
        self._frames = [0] * capacity
        self._count = 0

    def add(self, frame: int, time: float, points: Points) -> None:
        self._write(frame, time, points.T)

    def _write(self, frame: int, time: float, points: Points) -> None:
        capacity = self.capacity
        slot = self._count % capacity
        self._points[:, slot] = self._points[:, slot + capacity] = points
        self._times[slot] = self._times[slot + capacity] = time
        self._frames[slot] = frame
        self._count += 1
        self.last, self.time = frame, time

    def enlarged(self, capacity: int) -> _History:
        """Return a history with the same poses and room for more."""
        larger = _History(capacity)
        for index in range(max(0, self._count - self.capacity), self._count):
            slot = index % self.capacity
            larger._write(self._frames[slot], self._times[slot], self._points[:, slot])
        return larger

    def span(self, window: int) -> int:
        """Return the frames from the first to the last pose of the window, 0 while there are too few poses."""
        if self._count < window:
            return 0
        return self.last - self._frames[(self._count - window) % self.capacity] + 1

    def points(self, poses: int) -> Points:
        """Return the last poses, `(2, poses, 18)`."""
        end = self._end()
        return self._points[:, end - poses : end]

    def times_since(self, seconds: float) -> tuple[float, ...]:
        """Return the times of the poses of the last seconds and of the one before; empty when they are fewer."""
        end = self._end()
        begin, first = self.time - seconds, end - min(self._count, self.capacity)
        if self._times[first] > begin + _ROUNDING_S:
            return ()
        return tuple(self._times[bisect_right(self._times, begin + _ROUNDING_S, first, end) - 1 : end])

    def _end(self) -> int:
        return (self._count - 1) % self.capacity + self.capacity + 1


def _stack(points: Iterable[Points], window: int) -> Points:
    windows = list(points)
    return np.stack(windows) if windows else np.zeros((0, 2, window, 18), dtype=np.float32)
