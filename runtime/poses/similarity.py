"""Similarity of skeletons and of boxes, and whether two skeletons are of the same person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import blazepose_to_coco
from runtime.sources.frames import Keypoints

Box = npt.NDArray[np.float32]
"""`(4,)`: left, top, right, bottom in pixels."""

_TORSO_AND_LIMBS = (5, 6, 7, 8, 11, 12, 13, 14, 15, 16)
_TWICE_SIGMA = np.array([0.158, 0.158, 0.144, 0.144, 0.214, 0.214, 0.174, 0.174, 0.178, 0.178])
"""Twice COCO's sigma of those joints: the disagreement of annotators, as a share of a person's size."""
_SAME_PERSON_KEYPOINTS = 0.3  # object keypoint similarity, chosen
_SAME_PERSON_BOXES = 0.5  # intersection over union, chosen


def box_of(skeleton: Keypoints) -> Box:
    """Return the box around the joints of `(J, 3)`."""
    return np.concatenate([skeleton[:, :2].min(axis=0), skeleton[:, :2].max(axis=0)]).astype(np.float32)


def iou(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union.

    >>> iou(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2]))
    0.3333333333333333
    """
    shared = _intersection(a, b)
    union = _area(a) + _area(b) - shared
    return shared / union if union > 0 else 0.0


def covered(box: Box, others: Iterable[Box]) -> float:
    """Return the largest share of a box that one of the others covers.

    >>> covered(np.array([0, 0, 2, 2]), [np.array([1, 0, 9, 9]), np.array([5, 5, 6, 6])])
    0.5
    """
    area = _area(box)
    return max((_intersection(box, other) / area for other in others), default=0.0) if area > 0 else 0.0


def keypoint_similarity(a: Keypoints, b: Keypoints) -> float:
    """Return COCO's object keypoint similarity of two skeletons `(J, 3)`, 0 to 1, over torso and limbs.

    >>> pose = np.random.default_rng(0).uniform(0, 100, (17, 3))
    >>> keypoint_similarity(pose, pose), keypoint_similarity(pose, pose + 5000)
    (1.0, 0.0)
    """
    first, second = _limbs(a), _limbs(b)
    size = max(_area(box_of(a)), _area(box_of(b)), 1.0)
    squared = ((first - second) ** 2).sum(axis=1)
    return float(np.exp(-squared / (2 * size * _TWICE_SIGMA**2)).mean())


def are_same_person(a: Keypoints, b: Keypoints) -> bool:
    """Return whether two skeletons `(J, 3)` are of one person, who was found twice."""
    return (
        keypoint_similarity(a, b) >= _SAME_PERSON_KEYPOINTS or iou(box_of(a), box_of(b)) >= _SAME_PERSON_BOXES
    )


def _limbs(skeleton: Keypoints) -> npt.NDArray[np.float64]:
    if len(skeleton) == 33:
        skeleton = np.asarray(blazepose_to_coco(skeleton), dtype=np.float32)
    return skeleton[list(_TORSO_AND_LIMBS), :2].astype(np.float64)


def _area(box: Box) -> float:
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))


def _intersection(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return float(max(width, 0) * max(height, 0))
