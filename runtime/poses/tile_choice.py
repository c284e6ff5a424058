"""How finely a picture is divided into tiles for the detector."""

from __future__ import annotations

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from runtime.poses.boxes import Boxes
from runtime.poses.regions import tile_side

_LEAST = 0.1  # of a tile's side, that people should be high: smaller ones are often missed (on Ped2)
_MEMORY = 0.7  # of the height of people before, when some more are seen
_SMALLER_EVERY = 8  # searches of the whole picture: one with smaller tiles, for whoever is smaller


class TileChoice:
    """Chooses how many tiles a picture is divided into, by the median height of the people who are seen.

    While nobody was seen, it goes through all sizes of tiles.

    Args:
        size: width and height of the picture in pixels.
        most: tiles along its longer side, at most.

    Attributes:
        most: the same.

    >>> choice = TileChoice((360, 240), 3)
    >>> [choice.next() for _ in range(4)]
    [1, 2, 3, 1]
    >>> choice.learn(np.array([[10, 10, 20, 40], [50, 10, 60, 40]], np.float32))
    >>> [choice.next() for _ in range(8)]
    [2, 2, 2, 3, 2, 2, 2, 2]
    """

    def __init__(self, size: FrameSize, most: int) -> None:
        self.most = most
        self._sides = [tile_side(size, across) for across in range(1, most + 1)]
        self._searches = 0
        self._height: float | None = None

    @property
    def across(self) -> int:
        """The best number of tiles along the longer side of the picture."""
        if self._height is None:
            return 1
        large_enough = (across for across, side in enumerate(self._sides, 1) if self._height >= _LEAST * side)
        return next(large_enough, len(self._sides))

    @property
    def is_new(self) -> bool:
        """Whether nobody was seen yet, and there are sizes of tiles that were not tried."""
        return self._height is None and self._searches < self.most

    def instead(self, failed: int) -> int:
        """Return how many tiles there are along the longer side where so many searches in a row found nobody."""
        return (self.across - 1 + failed) % self.most + 1

    def next(self) -> int:
        """Return how many tiles there are along the longer side in the next search of the whole picture."""
        self._searches += 1
        if self._height is None:
            return (self._searches - 1) % len(self._sides) + 1
        smaller = self._searches % _SMALLER_EVERY == 0
        return min(self.across + smaller, len(self._sides))

    def learn(self, people: Boxes) -> None:
        """Take the boxes `(N, 4)` of the people who are seen after a search."""
        if not len(people):
            return
        height = float(np.median((people[:, 2:] - people[:, :2]).max(axis=1)))
        before = height if self._height is None else self._height
        self._height = _MEMORY * before + (1 - _MEMORY) * height
