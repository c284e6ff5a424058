"""Ids that stay with people from frame to frame, by a library's multi-object tracker on the skeletons' boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.errors import unusable_package
from runtime.sources.frames import Keypoints

_REMEMBERED_SECONDS = 1.0
_SURE_AFTER = 3  # frames in a row; a skeleton that was seen once may be a tree
_MARGIN = 0.1  # of the skeleton's size: a body is larger than its joints, and falls overlap better


class SkeletonTracker:
    """ByteTrack (arXiv 2110.06864, package `trackers`) on the bounding boxes of skeletons.

    Args:
        fps: the nominal rate, frames a second.

    Raises:
        InputError: the package trackers is missing.
    """

    def __init__(self, fps: float) -> None:
        try:
            from trackers import ByteTrackTracker
        except ImportError as error:
            raise unusable_package(error, "trackers", "edge") from None
        self._step = 1 / fps
        self._time = -np.inf
        overlap: Any = _Overlap()
        self._tracker: Any = ByteTrackTracker(
            lost_track_buffer=max(1, round(_REMEMBERED_SECONDS * 30)),
            frame_rate=fps,
            track_activation_threshold=0.0,
            high_conf_det_threshold=0.0,
            minimum_consecutive_frames=_SURE_AFTER,
            minimum_iou_threshold=0.05,
            iou=overlap,
        )

    def update(self, found: Keypoints, time: float | None = None) -> npt.NDArray[np.int64]:
        """Find out who is who in the next frame.

        Args:
            found: skeletons `(N, J, 3)`.
            time: seconds since the source began, so that frames which were left out count; None is a frame after the
                last one.

        Returns:
            The id of each skeleton, `(N,)`, -1 while the tracker is not sure.
        """
        low, high = found[..., :2].min(axis=1), found[..., :2].max(axis=1)
        margin = _MARGIN * (high - low).max(axis=1, keepdims=True, initial=1.0)
        boxes = np.concatenate([low - margin, high + margin], axis=1).reshape(-1, 4)
        detections = _Boxes(boxes, np.ones(len(found), dtype=np.float32), np.arange(len(found)))
        tracked = self._tracker.update(detections, timestamp=self._next(time))
        ids = np.full(len(found), -1, dtype=np.int64)
        if len(tracked):
            ids[tracked.index] = tracked.tracker_id
        return ids

    def _next(self, time: float | None) -> float:
        """Return a time that grows, which the library asks for."""
        if time is None or time <= self._time:
            time = self._step if np.isinf(self._time) else self._time + self._step
        self._time = time
        return time


@dataclass
class _Boxes:
    """What ByteTrack uses of `supervision.Detections`, without its checks, which cost more than the tracking itself."""

    xyxy: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    index: npt.NDArray[np.int64]
    tracker_id: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.confidence[rows], self.index[rows])


class _Overlap:
    """Intersection over union of boxes, as `trackers` asks for it."""

    def compute(
        self, ours: npt.NDArray[np.float64], others: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Return the similarity `(N, M)` of boxes `(N, 4)` and `(M, 4)`."""
        if not len(ours) or not len(others):
            return np.zeros((len(ours), len(others)))
        a, b = ours[:, None], others[None].astype(np.float64)
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
        common = np.maximum(sides, 0).prod(axis=2)
        whole = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2) - common
        return np.asarray(common / np.maximum(whole, 1e-9))
