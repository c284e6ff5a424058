"""Boxes around people, and how much boxes and skeletons overlap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import blazepose_to_coco

Boxes = npt.NDArray[np.float32]
"""`(N, 4)`: left, top, right, bottom in pixels."""

SAME_PERSON = 0.3
"""Overlap of a detector's box and the box around the skeleton of the same person, at least."""

_BODY = 0.055  # of a skeleton's longer side, that a body reaches beyond its joints,
_BLUR = (
    2.0  # and so many pixels, within which a small body's edge is blurred; both after the detector's boxes
)
_TORSO_AND_LIMBS = (5, 6, 7, 8, 11, 12, 13, 14, 15, 16)  # without wrists, which move most
_TWICE_SIGMA = 2 * np.array([79, 79, 72, 72, 107, 107, 87, 87, 89, 89]) / 1000
"""Twice COCO's sigma of those joints: the disagreement of annotators, as a share of a person's size."""


def joint_boxes(keypoints: npt.NDArray[np.float32]) -> Boxes:
    """Return the boxes around the joints of skeletons `(N, J, >=2)`, `(N, 4)`."""
    points = keypoints[..., :2]
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)


def body_boxes(keypoints: npt.NDArray[np.float32]) -> Boxes:
    """Return the boxes around the bodies of skeletons `(N, J, >=2)`, `(N, 4)`."""
    boxes = joint_boxes(keypoints)
    margin = _BODY * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) + _BLUR
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def overlaps(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Return the intersection over union of boxes `(N, 4)` and `(M, 4)`, `(N, M)`.

    >>> overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [[0.3330000042915344, 0.0]]
    """
    shared = _intersections(a, b)
    union = _areas(a)[:, None] + _areas(b)[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), dtype=np.float32)


def covered(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Return which share of each box `(N, 4)` each other box `(M, 4)` covers, `(N, M)`."""
    return np.asarray(_intersections(a, b) / np.maximum(_areas(a)[:, None], 1e-9), dtype=np.float32)


def matches(a: Boxes, b: Boxes, least_overlap: float) -> list[tuple[int, int]]:
    """Return pairs of a box of `a` and one of `b` that overlap most; each box is in one pair at most.

    >>> matches(np.array([[0, 0, 2, 2], [1, 0, 3, 2]]), np.array([[1, 0, 3, 2]]), 0.3)
    [(1, 0)]
    """
    shared = overlaps(a, b)
    pairs: list[tuple[int, int]] = []
    while shared.size and shared.max() >= least_overlap:
        row, column = divmod(int(shared.argmax()), shared.shape[1])
        pairs.append((row, column))
        shared[row], shared[:, column] = -1.0, -1.0
    return pairs


def strongest(boxes: Boxes, scores: npt.NDArray[np.float32], most_overlap: float) -> npt.NDArray[np.int64]:
    """Return which boxes stay when of any two that overlap more than `most_overlap` only the stronger one does.

    This is non-maximum suppression.

    >>> strongest(np.array([[0, 0, 9, 9], [1, 0, 9, 9], [20, 0, 29, 9]]), np.array([0.5, 0.9, 0.3]), 0.5).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(int(first))
        order = order[overlaps(boxes[first : first + 1], boxes[order])[0] <= most_overlap]
    return np.array(kept, dtype=np.int64)


def keypoint_similarity(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return COCO's object keypoint similarity of skeletons over torso and limbs.

    Args:
        a: `(N, J, >=2)` in pixels.
        b: `(M, J, >=2)`.

    Returns:
        `(N, M)`, 0 to 1.

    >>> pose = np.random.default_rng(0).uniform(0, 100, (1, 17, 2))
    >>> keypoint_similarity(pose, np.concatenate([pose, pose + 5000])).tolist()
    [[1.0, 0.0]]
    """
    first, second = _limbs(a), _limbs(b)
    sizes = np.maximum(_areas(joint_boxes(a))[:, None], _areas(joint_boxes(b))[None])
    squared = ((first[:, None] - second[None]) ** 2).sum(axis=-1)
    similarity = np.exp(-squared / (2 * np.maximum(sizes, 1.0)[..., None] * _TWICE_SIGMA**2)).mean(axis=-1)
    return np.asarray(similarity, dtype=np.float32)


def _limbs(skeletons: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    if skeletons.shape[1] >= 33:
        skeletons = blazepose_to_coco(skeletons[:, :33])
    return np.asarray(skeletons[:, list(_TORSO_AND_LIMBS), :2], dtype=np.float64)


def _areas(boxes: Boxes) -> npt.NDArray[np.float32]:
    return np.asarray(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1))


def _intersections(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=2))
