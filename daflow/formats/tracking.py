"""Numbers for people in recordings that have none, by a tracker that the caller brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daflow.formats.layouts import Keypoints


class Tracker(Protocol):
    """Gives people numbers that stay from frame to frame."""

    def update(self, found: Keypoints, time: float | None = None) -> npt.NDArray[np.int64]:
        """Return the number of each skeleton `(N, J, 3)` of the next frame, `(N,)`, -1 for none."""


NewTracker = Callable[[float], Tracker]
"""Makes a tracker for a number of frames per second."""


def follow(
    frames: npt.NDArray[np.int64], keypoints: Keypoints, fps: float, new_tracker: NewTracker
) -> npt.NDArray[np.int64]:
    """Return the number of the person of each pose, -1 for those that the tracker gives none.

    Args:
        frames: `(N,)`, in any order.
        keypoints: `(N, J, 3)`, pixels; each pose has a joint that is not at 0, 0.
        fps: frames per second.
        new_tracker: makes the tracker.
    """
    people = np.full(len(frames), -1, dtype=np.int64)
    order = np.argsort(frames, kind="stable")
    numbers, starts = np.unique(frames[order], return_index=True)
    tracker = new_tracker(fps)
    for frame, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        people[rows] = tracker.update(_without_holes(keypoints[rows]), frame / fps)
    return people


def _without_holes(keypoints: Keypoints) -> Keypoints:
    """Put joints that were not seen into the middle of the others, so that the box of a person does not reach 0, 0."""
    seen = keypoints[..., :2].any(axis=-1, keepdims=True)
    middle = (keypoints[..., :2] * seen).sum(axis=1, keepdims=True) / seen.sum(axis=1, keepdims=True)
    points = np.where(seen, keypoints[..., :2], middle)
    return np.concatenate([points, keypoints[..., 2:]], axis=-1).astype(np.float32)
