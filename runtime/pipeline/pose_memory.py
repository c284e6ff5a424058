"""The last 24 poses of each person, ready to be scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize

Points = npt.NDArray[np.float32]


class PoseMemory:
    """A ring buffer of poses for each person, with the same rule for windows as training has.

    A window is the last `window` poses of a person if they span at most `window + max_missing` frames; missing poses
    are not interpolated. People who were not seen for `forget_after` frames are forgotten, and with more than
    `max_people` those who were not seen for the longest time. Another frame size clears the memory: a window must not
    mix pixels of two sizes.

    Args:
        window: poses in a window.
        max_missing: frames that may be missing inside.
        forget_after: frames after which a person who is not seen is forgotten.
        max_people: people remembered at most.

    >>> memory = PoseMemory(window=2, max_missing=0)
    >>> for frame in range(2):
    ...     memory.add(frame, {7: np.full((18, 2), frame, dtype=np.float32)})
    >>> people, points = memory.windows()
    >>> people, points.shape, points[0, 0, :, 0].tolist()
    ([7], (1, 2, 2, 18), [0.0, 1.0])
    """

    def __init__(self, window: int, max_missing: int, forget_after: int = 50, max_people: int = 256) -> None:
        self._window = window
        self._max_missing = max_missing
        self._forget_after = max(forget_after, max_missing + 1)
        self._max_people = max_people
        self._size: FrameSize | None = None
        self._histories: dict[int, _History] = {}
        self._seen: list[int] = []

    def __len__(self) -> int:
        return len(self._histories)

    def add(self, frame: int, people: Mapping[int, Points], size: FrameSize | None = None) -> None:
        """Add the poses of one frame.

        Args:
            frame: its number, larger than the last one.
            people: `(18, 2)` in pixels by person.
            size: width and height of the frame; None when it never changes.
        """
        if size != self._size:
            self._size = size
            self._histories.clear()
        for person, points in people.items():
            history = self._histories.pop(person, None)
            # No window may span a longer gap, so poses from before it are useless.
            if history is None or frame - history.last > self._max_missing + 1:
                history = _History(self._window)
            history.add(frame, points)
            self._histories[person] = history  # the last in order is who was seen last
        self._forget(frame)
        self._seen = [person for person in people if person in self._histories]

    def windows(self) -> tuple[list[int], Points]:
        """Return the people of the last frame who have a window, and their windows `(N, 2, T, 18)` in pixels."""
        max_span = self._window + self._max_missing
        ready = [p for p in self._seen if 0 < self._histories[p].span() <= max_span]
        return ready, _stack((self._histories[p].points() for p in ready), self._window)

    def _forget(self, frame: int) -> None:
        forgotten = [p for p, h in self._histories.items() if frame - h.last > self._forget_after]
        forgotten += list(self._histories)[len(forgotten) : max(len(forgotten), len(self) - self._max_people)]
        for person in forgotten:
            del self._histories[person]


class _History:
    """One person's poses, each written twice so that the last T are always one slice."""

    def __init__(self, window: int) -> None:
        self._points = np.zeros((2, 2 * window, 18), dtype=np.float32)
        self._frames = [0] * window
        self._count = 0
        self.last = -1

    def add(self, frame: int, points: Points) -> None:
        window = len(self._frames)
        slot = self._count % window
        self._points[:, slot] = self._points[:, slot + window] = points.T
        self._frames[slot] = frame
        self._count += 1
        self.last = frame

    def span(self) -> int:
        """Return the frames from the first to the last pose of the window, 0 while there are too few poses."""
        window = len(self._frames)
        if self._count < window:
            return 0
        return self.last - self._frames[self._count % window] + 1

    def points(self) -> Points:
        window = len(self._frames)
        first = self._count % window
        return self._points[:, first : first + window]


def _stack(points: Iterable[Points], window: int) -> Points:
    windows = list(points)
    return np.stack(windows) if windows else np.zeros((0, 2, window, 18), dtype=np.float32)
