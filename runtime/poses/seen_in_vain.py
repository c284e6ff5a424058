"""Where the detector saw a person and the landmarks did not: a post, a sign. It is not looked at again for a while."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runtime.poses.boxes import Boxes, overlaps

_FORGOTTEN_S = 2.0  # after which it is looked at again
_SAME = 0.7  # overlap of the boxes of one thing that stands still


class SeenInVain:
    """The boxes that were looked at in vain.

    >>> vain = SeenInVain()
    >>> vain.add(np.array([[0, 0, 10, 20]], np.float32), 1.0)
    >>> vain.are_known(np.array([[0, 0, 10, 21], [5, 0, 15, 20]], np.float32), 2.0).tolist()
    [True, False]
    >>> vain.are_known(np.array([[0, 0, 10, 21]], np.float32), 3.5).tolist()
    [False]
    """

    def __init__(self) -> None:
        self._boxes: Boxes = np.zeros((0, 4), dtype=np.float32)
        self._until: npt.NDArray[np.float64] = np.zeros(0)

    def add(self, boxes: Boxes, time: float) -> None:
        """Take boxes `(N, 4)` that were looked at in vain at a time in seconds."""
        self._boxes = np.concatenate([self._boxes, boxes])
        self._until = np.concatenate([self._until, np.full(len(boxes), time + _FORGOTTEN_S)])

    def are_known(self, boxes: Boxes, time: float) -> npt.NDArray[np.bool_]:
        """Return which of these boxes `(N, 4)` were looked at in vain lately, `(N,)`."""
        kept = self._until > time
        self._boxes, self._until = self._boxes[kept], self._until[kept]
        return np.asarray(overlaps(boxes, self._boxes).max(axis=1, initial=0.0) > _SAME)
