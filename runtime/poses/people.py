"""The people of each frame: pose estimation and tracking, or the people that the source already knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daflow.core.errors import InputError
from runtime.config.schema import CameraOptions
from runtime.poses.estimators import Follower, PoseEstimator, open_estimator
from runtime.poses.mediapipe import MediaPipePoses
from runtime.poses.tracker import SkeletonTracker
from runtime.sources.frames import Frame, Keypoints
from runtime.stage_clock import StageClock

__all__ = ["MediaPipePoses", "PeopleFinder", "PoseEstimator", "open_people"]


def open_people(options: CameraOptions, fps: float, needs_poses: bool) -> PeopleFinder:
    """Open the finder of one camera's people.

    Args:
        options: the mode (`people`), `max_people`, the `estimator` and its model.
        fps: the source's nominal rate, frames per second.
        needs_poses: whether the source has pictures only; recorded and generated people need no estimator.

    Raises:
        InputError: the estimator, its model or a package is missing.
    """
    if not needs_poses:
        return PeopleFinder(None, fps)
    return PeopleFinder(open_estimator(options), fps)


class PeopleFinder:
    """Finds each frame's people and gives them ids that stay: the estimator's, or those of a tracker.

    Args:
        estimator: finds skeletons; None when the source knows its people.
        fps: frames per second, for the tracker.
    """

    def __init__(self, estimator: PoseEstimator | None, fps: float) -> None:
        self._estimator = estimator
        self._follower = estimator if isinstance(estimator, Follower) else None
        try:
            self._tracker = SkeletonTracker(fps) if estimator and not self._follower else None
        except InputError:
            self.__exit__()
            raise

    def find(self, frame: Frame, clock: StageClock) -> Mapping[int, Keypoints]:
        """Return keypoints `(J, 3)` by person."""
        if frame.people is not None:
            return frame.people
        if self._estimator is None:
            raise InputError("This source has pictures only, and no pose model was given.")
        found = self._estimator.estimate(frame)
        clock.lap("pose")
        ids = self._ids(found, frame.time)
        clock.lap("track")
        return {person: keypoints for person, keypoints in zip(ids, found, strict=True) if person >= 0}

    def _ids(self, found: Keypoints, time: float) -> Sequence[int]:
        if self._follower is not None:
            return self._follower.ids
        assert self._tracker is not None
        ids: list[int] = self._tracker.update(found, time).tolist()
        return ids

    def __enter__(self) -> PeopleFinder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._estimator is not None:
            self._estimator.close()
