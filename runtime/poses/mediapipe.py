"""The pose estimator MediaPipe (PoseLandmarker), for the pictures of a stream or for single pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import blazepose_to_coco
from daflow.core.errors import SYSTEM_LIBRARIES, InputError, unusable_package
from runtime.sources.frames import Frame, Keypoints

_STREAM_CONFIDENCE = 0.5  # MediaPipe's own default
_CROP_CONFIDENCE = 0.3  # measured: with 0.5 a fifth of the people of a surveillance view is missed
_TORSO = (5, 6, 11, 12)  # COCO's shoulders and hips
_MIN_VISIBLE_TORSO = 0.9  # measured on its worst joint: people who lie have 0.97, signs and rocks 0.5 to 0.9
_MIN_VISIBLE = 0.6  # mean of all joints, chosen


class MediaPipePoses:
    """MediaPipe's PoseLandmarker; every joint has a place, which is a guess where it is not visible.

    Args:
        model: a `.task` file.
        max_people: largest number of people to find. While fewer are there, the detector runs on every frame, which
            takes time.
        follow: whether the pictures are of one stream, so that people are followed from frame to frame. Otherwise each
            picture is searched by itself, with a lower confidence, and skeletons whose joints are not visible are
            dropped.

    Raises:
        InputError: mediapipe is missing or the model cannot be loaded.
    """

    def __init__(self, model: Path, max_people: int = 1, follow: bool = True) -> None:
        if not model.is_file():
            raise InputError(f"There is no pose model {model}; 'daflow models fetch' downloads one.")
        os.environ.setdefault("GLOG_minloglevel", "2")  # hide its log, which is about its own internals
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
            running_mode=vision.RunningMode.VIDEO if follow else vision.RunningMode.IMAGE,
            num_poses=max_people,
            min_pose_detection_confidence=_STREAM_CONFIDENCE if follow else _CROP_CONFIDENCE,
            min_pose_presence_confidence=_STREAM_CONFIDENCE if follow else _CROP_CONFIDENCE,
        )
        try:
            self._landmarker: Any = vision.PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0]
            raise InputError(f"{model} is not a pose model that mediapipe can load: {reason}") from None
        self._follow = follow
        self._last_ms = -1

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` float32 COCO keypoints: x and y in pixels, and the visibility of the joint, 0 to 1."""
        assert frame.image is not None
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame.image)
        )
        if self._follow:
            # MediaPipe refuses a timestamp that does not grow, which two frames of one millisecond would give.
            self._last_ms = max(self._last_ms + 1, round(frame.time * 1000))
            result = self._landmarker.detect_for_video(image, self._last_ms)
        else:
            result = self._landmarker.detect(image)
        landmarks: npt.NDArray[np.float32] = np.array(
            [[(p.x, p.y, p.visibility) for p in pose] for pose in result.pose_landmarks],
            dtype=np.float32,
        ).reshape(-1, 33, 3)
        landmarks[..., :2] *= frame.size
        poses = np.asarray(blazepose_to_coco(landmarks), dtype=np.float32)
        return poses if self._follow else poses[_is_visible(poses)]

    def close(self) -> None:
        """Release the model; otherwise MediaPipe prints an error when Python exits."""
        self._landmarker.close()


def _is_visible(poses: Keypoints) -> npt.NDArray[np.bool_]:
    """Return for each skeleton of `(N, 17, 3)` whether it is a person, and not another thing that moved."""
    visible = poses[..., 2]
    torso, body = visible[:, _TORSO].min(axis=1), visible.mean(axis=1)
    return np.asarray((torso >= _MIN_VISIBLE_TORSO) & (body >= _MIN_VISIBLE), dtype=np.bool_)
