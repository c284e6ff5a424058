"""Joint layouts: what each index of a skeleton means, and how one layout becomes another.

Tracks come in COCO-17 (AlphaPose), OpenPose-18 or BlazePose-33 (MediaPipe); the model always sees the 18 OpenPose
joints, in the order of STG-NF (github.com/orhir/STG-NF, `keypoints17_to_coco18`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError

FloatArray = npt.NDArray[np.floating[Any]]

COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

OPENPOSE_JOINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip

OPENPOSE_BONES = (
    (4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5), (8, 2), (5, 1),
    (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14),
)  # fmt: skip
"""Pairs of OpenPose joints that a bone connects: the edges of the model's graph and of every drawing."""

_OPENPOSE_FROM_COCO_AND_NECK = (0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_COCO_FROM_BLAZEPOSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)

OPENPOSE_MIRROR = tuple(
    OPENPOSE_JOINTS.index(name.replace("left", "?").replace("right", "left").replace("?", "right"))
    for name in OPENPOSE_JOINTS
)
"""For each OpenPose joint, the joint on the other side of the body."""


def blazepose_to_coco(keypoints: FloatArray) -> FloatArray:
    """Select the 17 COCO joints from the 33 BlazePose landmarks, `(..., 33, C)` to `(..., 17, C)`."""
    return keypoints[..., _COCO_FROM_BLAZEPOSE, :]


def coco_to_openpose(keypoints: FloatArray) -> FloatArray:
    """Append the neck (mean of the shoulders) and reorder, `(..., 17, C)` to `(..., 18, C)`."""
    with np.errstate(invalid="ignore", over="ignore"):
        neck = (keypoints[..., 5:6, :] + keypoints[..., 6:7, :]) / 2
    return np.concatenate([keypoints, neck], axis=-2)[..., _OPENPOSE_FROM_COCO_AND_NECK, :]


def to_openpose(keypoints: FloatArray) -> FloatArray:
    """Convert keypoints of a known layout to the model's 18 joints.

    Args:
        keypoints: `(..., J, C)` with J = 17 (COCO), 18 (OpenPose, returned unchanged) or 33 (BlazePose).

    Returns:
        `(..., 18, C)`.

    Raises:
        InputError: another number of joints.

    >>> to_openpose(np.zeros((5, 17, 3))).shape
    (5, 18, 3)
    """
    joints = keypoints.shape[-2]
    if joints == 18:
        return keypoints
    if joints == 17:
        return coco_to_openpose(keypoints)
    if joints == 33:
        return coco_to_openpose(blazepose_to_coco(keypoints))
    raise InputError(
        f"A skeleton has {joints} joints. Supported are 17 (COCO), 18 (OpenPose) and 33 (BlazePose)."
    )
