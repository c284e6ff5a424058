"""The pose estimator MediaPipe (PoseLandmarker), for the pictures of one stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import blazepose_to_coco
from daflow.core.errors import SYSTEM_LIBRARIES, InputError, unusable_package
from runtime.sources.frames import Frame, Keypoints


class MediaPipePoses:
    """MediaPipe's PoseLandmarker; every joint has a place, which is a guess where it is not visible.

    Args:
        model: a `.task` file.
        max_people: largest number of people to find. While fewer are there, the detector runs on every frame, which
            takes time.

    Raises:
        InputError: mediapipe is missing or the model cannot be loaded.
    """

    def __init__(self, model: Path, max_people: int = 1) -> None:
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
            running_mode=vision.RunningMode.VIDEO,
            num_poses=max_people,
        )
        try:
            self._landmarker: Any = vision.PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0]
            raise InputError(f"{model} is not a pose model that mediapipe can load: {reason}") from None
        self._last_ms = -1

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` float32 COCO keypoints: x and y in pixels, and the visibility of the joint, 0 to 1."""
        assert frame.image is not None
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame.image)
        )
        # MediaPipe refuses a timestamp that does not grow, which two frames of one millisecond would give.
        self._last_ms = max(self._last_ms + 1, round(frame.time * 1000))
        result = self._landmarker.detect_for_video(image, self._last_ms)
        landmarks: npt.NDArray[np.float32] = np.array(
            [[(p.x, p.y, p.visibility) for p in pose] for pose in result.pose_landmarks],
            dtype=np.float32,
        ).reshape(-1, 33, 3)
        landmarks[..., :2] *= frame.size
        return np.asarray(blazepose_to_coco(landmarks), dtype=np.float32)

    def close(self) -> None:
        """Release the model; otherwise MediaPipe prints an error when Python exits."""
        self._landmarker.close()
