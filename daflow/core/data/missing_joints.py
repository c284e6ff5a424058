"""Joints that were not seen: how they are told, and how windows of a person who was partly seen are filled.

Pose estimators write 0, 0 for a joint that they did not see. `seen_points` makes NaN of it, and `fill_missing` fills
NaN inside of a window from the poses of the same window alone, so a window on the edge is the window of training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import OPENPOSE_JOINTS

MAX_HIDDEN = 15
"""Poses in a row in which a shoulder or hip may be hidden, at the model's rate: longer holes were not measured."""

_TORSO = [
    OPENPOSE_JOINTS.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")
]
_NECK = OPENPOSE_JOINTS.index("neck")
_BLOCK = 1024  # windows
_ALONG = np.array(
    [-0.9, -0.5, -0.5, 0.1, 0.5, -0.5, 0.1, 0.5, 0.5, 1.2, 1.9, 0.5, 1.2, 1.9, -1.0, -1.0, -1.0, -1.0],
    np.float32,
)
"""Where joints usually are: from the middle of the torso towards the hips, in lengths of the torso."""

Points = npt.NDArray[np.float32]


def seen_points(keypoints: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return the coordinates of joints, NaN for those that were not seen.

    A joint was not seen that is at exactly 0, 0. Nor was one whose confidence is 0 while another joint of the pose has
    a positive one; where all are 0 they are not known. One of a low confidence is used: its place may be good.

    Args:
        keypoints: `(..., J, 3)`, x, y and confidence.

    Returns:
        `(..., J, 2)`, a view of the keypoints where all were seen.

    >>> seen_points(np.array([[5.0, 6.0, 0.9], [0.0, 0.0, 0.9], [7.0, 8.0, 0.0], [0.0, 4.0, 0.1]])).tolist()
    [[5.0, 6.0], [nan, nan], [nan, nan], [0.0, 4.0]]
    """
    points = keypoints[..., :2]
    if keypoints.all():  # no value is 0, as nearly always
        return points
    confidence = keypoints[..., 2]
    known = (confidence > 0).any(axis=-1, keepdims=True)
    hidden = ~points.any(axis=-1) | ((confidence == 0) & known)
    return np.where(hidden[..., None], keypoints.dtype.type(np.nan), points)


def fill_missing(points: Points) -> tuple[Points, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Fill joints that are missing in some poses of windows.

    Between two poses in which a joint was seen it moves in a straight line, and before the first and after the last one
    it stays: shoulders and hips in the picture, the others beside the middle of those four. A neck that is missing is
    the middle of the shoulders. A joint that is seen in no pose is on the middle line of the body, where it usually is.
    In a window in which a shoulder or hip is hidden for more than `MAX_HIDDEN` poses in a row nothing can be filled.

    Args:
        points: `(N, 2, T, 18)` float32, pixels; a joint with a NaN or infinite coordinate is missing.

    Returns:
        The points, with NaN where the torso cannot be filled, and the same array where no joint is missing; which
        windows miss joints, `(N,)` bool; and in which of those a shoulder or hip is missing for too long, `(N,)` bool.
    """
    holes = np.asarray(~np.isfinite(points).all(axis=(1, 2, 3)))
    unseen = np.zeros(len(points), dtype=np.bool_)
    if not holes.any():
        return points, holes, unseen
    filled = points.copy()
    rows = np.flatnonzero(holes)
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK]
        filled[block] = _fill(points[block])
    unseen[rows] = ~np.isfinite(filled[rows][..., _TORSO]).all(axis=(1, 2, 3))
    return filled, holes, unseen


def _fill(points: Points) -> Points:
    points = points.copy()
    torso = points[..., _TORSO] = _bridge(points[..., _TORSO], MAX_HIDDEN)
    # Added one by one: the order of a sum must not depend on how the windows lie in memory.
    shoulders, hips = (torso[..., 0] + torso[..., 1]) / 2, (torso[..., 2] + torso[..., 3]) / 2
    neck = points[..., _NECK]
    points[..., _NECK] = np.where(np.isfinite(neck).all(axis=1, keepdims=True), neck, shoulders)
    middle, along = ((shoulders + hips) / 2)[..., None], (hips - shoulders)[..., None]
    missing = ~np.isfinite(points).all(axis=1, keepdims=True)
    beside = _bridge(np.asarray(points - middle, dtype=np.float32), points.shape[2])
    beside = np.where(np.isfinite(beside), beside, along * _ALONG)
    return np.asarray(np.where(missing, middle + beside, points), dtype=np.float32)


def _bridge(points: Points, longest: int) -> Points:
    """Fill the holes of joints `(N, 2, T, J)` that are at most so many poses long; the others are NaN."""
    seen = np.asarray(np.isfinite(points).all(axis=1))
    length = points.shape[2]
    pose = np.arange(length)[:, None]
    before = np.maximum.accumulate(np.where(seen, pose, -1), axis=1)
    after = np.flip(np.minimum.accumulate(np.flip(np.where(seen, pose, length), 1), axis=1), 1)
    short = (after - before - 1 <= longest) & seen.any(axis=1, keepdims=True)
    first, last = np.where(before < 0, after, before), np.where(after == length, before, after)
    first, last = (np.clip(place, 0, length - 1)[:, None] for place in (first, last))
    weight = ((pose - first) / np.maximum(last - first, 1)).astype(np.float32)
    weight = np.where(first == last, np.float32(0), weight)
    begin, end = (np.take_along_axis(points, place, axis=2) for place in (first, last))
    with np.errstate(invalid="ignore", over="ignore"):
        line = begin + weight * (end - begin)
    return np.where(seen[:, None], points, np.where(short[:, None], line, np.float32(np.nan)))
