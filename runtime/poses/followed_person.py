"""Somebody who is followed: where they are, how they move, and whether they are somebody at all."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from runtime.sources.frames import Keypoints

SURE = 0.6
"""Score of the detector for somebody who need not move; office chairs have up to 0.56."""

_PROOF_S = 1.0  # in which others must have moved,
_MOVED = 0.1  # by so much of the region's height; on a chair it moves by 0.08
_GESTURE = 0.3  # or a tenth of their joints by so much; on a chair mostly by less than 0.26
_JITTER = 2.0  # pixels more than that, by which joints of small things are uncertain: of a cone of 20 pixels
_MAX_UNCONFIRMED = 3  # searches of the place of a followed person in which the detector sees nobody there,
_MAX_UNCONFIRMED_S = 2.0  # and how long that may last
_SURPRISE, _SURPRISE_PER_S = 0.04, 0.65  # largest step off the way they were going, of the region's height
_RESIZED = 1.6  # largest change of size
_SHRUNK = 1.7  # since the detector saw them; it may have seen a part of them only, so that they can be larger
_INERTIA_S = 0.15  # over which the speed is averaged


class Sighting(NamedTuple):
    """What the detector saw: the height of the region around it, and its score."""

    size: float
    score: float


class FollowedPerson:
    """Somebody who is followed.

    Attributes:
        number: that stays with them.
        keypoints: `(J, 3)` when they were seen last.
        region: `(4,)` to look in, in the picture after that.
        speed: `(2,)` of its middle, pixels per second.
        seen: the time of `keypoints`, seconds.
        since: when they were found, seconds.
        searched: whether the detector has looked for them since they were followed.
        confirmed: when the detector saw them last, seconds.
        unconfirmed: searches since then.
        size: height of the region that the detector's box asked for then, pixels.
        alive: whether the detector was sure once, or they have moved while it saw them; a chair does neither.
    """

    def __init__(
        self, number: int, keypoints: Keypoints, region: npt.NDArray[np.float32], time: float, seen: Sighting
    ) -> None:
        self.number = number
        self.keypoints, self.region = keypoints, region
        self._start, self._pose, self.alive = region[:2], keypoints[:, :2], False
        self.speed = np.zeros(2, dtype=np.float32)
        self.seen = self.since = time
        self.searched = True
        self.confirm(time, seen)

    def confirm(self, time: float, seen: Sighting) -> None:
        """Note that the detector sees them."""
        self.confirmed, self.unconfirmed, self.size = time, 0, seen.size
        self.alive |= seen.score >= SURE

    def is_somebody(self, time: float) -> bool:
        """Whether they are alive, or may still prove it; of whom the detector is not sure must move."""
        return self.alive or time - self.since <= _PROOF_S

    def is_doubtful(self, time: float) -> bool:
        """Whether the detector has not seen them for so long that nobody is there."""
        return self.unconfirmed >= _MAX_UNCONFIRMED and time - self.confirmed > _MAX_UNCONFIRMED_S

    def way(self, time: float) -> npt.NDArray[np.float32]:
        """Return how far `(2,)` they should have gone since they were seen."""
        return np.asarray(self.speed * (time - self.seen))

    def expected(self, time: float) -> npt.NDArray[np.float32]:
        """Return the region `(4,)` in which they should be."""
        return np.concatenate([self.region[:2] + self.way(time), self.region[2:]])

    def is_likely(self, region: npt.NDArray[np.float32], time: float) -> bool:
        """Whether they can have moved to this region; otherwise the joints are of somebody beside them."""
        way = self.way(time)
        moved = region[:2] - self.region[:2]
        along = np.clip(moved @ way / max(float(way @ way), 1e-6), 0.0, 1.0)  # they may also have stopped
        surprise = float(np.hypot(*(moved - along * way))) / float(self.region[2])
        resized = float(region[2]) / float(self.region[2])
        likely = _SURPRISE + _SURPRISE_PER_S * (time - self.seen)
        shrunk = self.size / float(region[2])
        return surprise <= likely and 1 / _RESIZED < resized < _RESIZED and shrunk < _SHRUNK

    def move(self, keypoints: Keypoints, region: npt.NDArray[np.float32], time: float) -> None:
        """Take where they are now."""
        since = max(time - self.seen, 1e-3)
        old = math.exp(-since / _INERTIA_S)
        self.speed = old * self.speed + (1 - old) * (region[:2] - self.region[:2]) / since
        self.keypoints, self.region, self.seen = keypoints, region, time
        self.alive = self.alive or (not self.unconfirmed and self._has_moved())

    def correct(self, keypoints: Keypoints, region: npt.NDArray[np.float32]) -> None:
        """Take where they are instead of where they seemed to be in the same picture."""
        self.keypoints, self.region = keypoints, region

    def _has_moved(self) -> bool:
        """Whether they have gone somewhere since they were found, or stand where they were and move their limbs."""
        height = float(self.region[2])
        gone = float(np.hypot(*(self.region[:2] - self._start)))
        joints = np.linalg.norm(self.keypoints[:, :2] - self._pose, axis=1)
        gesture = float(np.quantile(joints, 0.9))
        return gone > _MOVED * height + _JITTER or gesture > _GESTURE * height + _JITTER
