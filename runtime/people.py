"""Who is in a frame: pose estimation and tracking, or the people that the source already knows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from daflow.errors import SYSTEM_LIBRARIES, InputError, unusable_package
from daflow.skeleton import blazepose_to_coco
from runtime.clock import StageClock
from runtime.sources import Frame, Keypoints
from runtime.tracking import SkeletonTracker


class PoseEstimator(Protocol):
    """Finds skeletons in a picture; a context manager that owns its model."""

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` float32 COCO keypoints, x and y in pixels and a confidence; N may be 0."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...


class MediaPipePoses:
    """MediaPipe's PoseLandmarker on whole frames, following people from frame to frame.

    Args:
        model: a `.task` file.
        max_people: people looked for. Looking for more than are there costs time: the detector runs on every frame.

    Raises:
        InputError: mediapipe is missing or the model cannot be loaded.
    """

    def __init__(self, model: Path, max_people: int = 1) -> None:
        if not model.is_file():
            raise InputError(f"There is no pose model {model}; 'daflow models fetch' brings one.")
        os.environ.setdefault("GLOG_minloglevel", "2")  # its log is about itself
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            raise unusable_package(error, "mediapipe", "edge") from None
        except OSError as error:
            raise InputError(
                f"mediapipe cannot load a system library ({error}); "
                f"on Debian, Ubuntu and JetPack: apt-get install {SYSTEM_LIBRARIES}"
            ) from None
        self._mediapipe: Any = mediapipe
        options = vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=max_people,
        )
        try:
            self._landmarker = vision.PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0]
            raise InputError(f"{model} is not a pose model that mediapipe can load: {reason}") from None
        self._last_ms = -1

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` float32 COCO keypoints in pixels."""
        assert frame.image is not None
        # MediaPipe refuses a timestamp that does not grow, which two frames of one millisecond would give.
        self._last_ms = max(self._last_ms + 1, round(frame.time * 1000))
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame.image)
        )
        result = self._landmarker.detect_for_video(image, self._last_ms)
        landmarks = np.array(
            [[(p.x, p.y, p.visibility) for p in pose] for pose in result.pose_landmarks],
            dtype=np.float32,
        ).reshape(-1, 33, 3)
        landmarks[..., :2] *= frame.size
        return np.asarray(blazepose_to_coco(landmarks), dtype=np.float32)

    def close(self) -> None:
        """Release the model; MediaPipe complains at interpreter exit otherwise."""
        self._landmarker.close()


class PeopleFinder:
    """Gives each frame's people with ids that stay.

    Args:
        estimator: finds skeletons; None when every source knows its people.
        fps: frames a second, for the tracker.
    """

    def __init__(self, estimator: PoseEstimator | None, fps: float) -> None:
        self._estimator = estimator
        try:
            self._tracker = SkeletonTracker(fps) if estimator else None
        except InputError:
            self.__exit__()
            raise

    def find(self, frame: Frame, clock: StageClock) -> Mapping[int, Keypoints]:
        """Return keypoints `(J, 3)` by person."""
        if frame.people is not None:
            return frame.people
        if self._estimator is None or self._tracker is None:
            raise InputError("This source has pictures only, and no pose model was given.")
        found = self._estimator.estimate(frame)
        clock.lap("pose")
        ids = self._tracker.update(found)
        clock.lap("track")
        return {person: keypoints for person, keypoints in zip(_ints(ids), found, strict=True) if person >= 0}

    def __enter__(self) -> PeopleFinder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._estimator is not None:
            self._estimator.close()


def _ints(ids: npt.NDArray[np.int64]) -> list[int]:
    return [int(person) for person in ids]
