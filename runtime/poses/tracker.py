"""Tracking: ids that stay with people from frame to frame, by ByteTrack on the boxes of their skeletons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.errors import unusable_package
from runtime.poses.boxes import Boxes, overlaps
from runtime.sources.frames import Keypoints

_MAX_LOST_SECONDS = 1.0  # the package's default, 30 frames at 30 frames per second
MIN_FRAMES = 3
"""In a row in which somebody must be found, chosen: a skeleton that was found once may be a tree."""

_MIN_OVERLAP = (
    0.05  # IoU, chosen: half the package's default, since skeletons are narrow and people fall quickly
)
_MARGIN = (
    0.1  # of the skeleton's size: a body is larger than its joints, and boxes overlap better during falls
)


class SkeletonTracker:
    """ByteTrack (arXiv 2110.06864, package `trackers`) on the bounding boxes of skeletons.

    Args:
        fps: the nominal rate, frames per second.
        min_frames: in a row in which somebody must be found to get an id.

    Raises:
        InputError: the package trackers is missing.
    """

    def __init__(self, fps: float, min_frames: int = MIN_FRAMES) -> None:
        try:
            from trackers import ByteTrackTracker
        except ImportError as error:
            raise unusable_package(error, "trackers", "edge") from None
        self._step = 1 / fps
        self._time = -np.inf
        self._at_once = min_frames == 1
        overlap: Any = _Overlap()
        self._tracker: Any = ByteTrackTracker(
            lost_track_buffer=max(1, round(_MAX_LOST_SECONDS * 30)),
            frame_rate=fps,
            track_activation_threshold=0.0,
            high_conf_det_threshold=0.0,
            minimum_consecutive_frames=min_frames,
            minimum_iou_threshold=_MIN_OVERLAP,
            iou=overlap,
        )

    def update(self, found: Keypoints, time: float | None = None) -> npt.NDArray[np.int64]:
        """Assign ids to the skeletons of the next frame.

        Args:
            found: skeletons `(N, J, 3)`.
            time: seconds since the source began, so that skipped frames count; None is one frame after the last.

        Returns:
            The id of each skeleton, `(N,)`, -1 before it was found in enough frames.
        """
        low, high = found[..., :2].min(axis=1), found[..., :2].max(axis=1)
        margin = _MARGIN * (high - low).max(axis=1, keepdims=True, initial=1.0)
        boxes = np.concatenate([low - margin, high + margin], axis=1).reshape(-1, 4)
        detections = _Boxes(boxes, np.ones(len(found), dtype=np.float32), np.arange(len(found)))
        tracked = self._tracker.update(detections, timestamp=self._next(time))
        ids = np.full(len(found), -1, dtype=np.int64)
        if len(tracked):
            ids[tracked.index] = tracked.tracker_id
        if self._at_once:
            self._number_new(ids, tracked.index[tracked.tracker_id < 0] if len(tracked) else [])
        return ids

    def _number_new(self, ids: npt.NDArray[np.int64], new: Sequence[int] | npt.NDArray[np.int64]) -> None:
        """Give ids to people who are seen for the first time, which the library does in their second frame."""
        begun = [track for track in self._tracker.tracks if track.tracker_id < 0]
        for row, track in zip(new, begun, strict=True):
            ids[row] = track.tracker_id = self._tracker._allocate_tracker_id()

    def _next(self, time: float | None) -> float:
        """Return a time that grows, which the library requires."""
        if time is None or time <= self._time:
            time = self._step if np.isinf(self._time) else self._time + self._step
        self._time = time
        return time


@dataclass
class _Boxes:
    """The part of `supervision.Detections` that ByteTrack uses, without its checks, which take longer than tracking."""

    xyxy: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    index: npt.NDArray[np.int64]
    tracker_id: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> _Boxes:
        return _Boxes(self.xyxy[rows], self.confidence[rows], self.index[rows])


class _Overlap:
    """Intersection over union of boxes, with the interface that `trackers` requires."""

    def compute(self, ours: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
        """Return the similarity `(N, M)` of boxes `(N, 4)` and `(M, 4)`."""
        return overlaps(ours.reshape(-1, 4), others)  # of none it may be `(0,)`
