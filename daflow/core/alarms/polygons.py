"""Polygons in fractions of a picture: whether an outline can be used, and which points are inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]
Points = npt.NDArray[np.float64]

_ON_OUTLINE = 1e-9  # of the picture's side: nearer to a side is on it


def outline_problem(points: Sequence[Point]) -> str | None:
    """Return why points are not the corners of a simple polygon inside of the picture; None when they are.

    >>> outline_problem([(0, 0), (1, 0), (1, 1)])
    >>> outline_problem([(0, 0), (1, 1), (1, 0), (0, 1)])
    'its outline crosses or touches itself, between corners 1 and 2 and between corners 3 and 4'
    """
    for number, point in enumerate(points, start=1):
        if not all(math.isfinite(value) and 0 <= value <= 1 for value in point):
            x, y = point
            return f"corner {number} is at {x:g}, {y:g}, and a corner is in fractions of the picture, from 0 to 1"
    if len(points) < 3:
        return f"it has {len(points)} corners, and at least three are needed"
    sides = list(zip(points, [*points[1:], points[0]], strict=True))
    for number, (begin, end) in enumerate(sides, start=1):
        if begin == end:
            return f"corners {number} and {number % len(points) + 1} are at the same place"
    for (first, side), (second, other) in combinations(enumerate(sides), 2):
        if second == first + 1:
            meet = _folds_back(*side, other[1])
        elif first == 0 and second == len(sides) - 1:
            meet = _folds_back(*other, side[1])
        else:
            meet = _meet(*side, *other)
        if meet:
            names = (f"{begin + 1} and {(begin + 1) % len(points) + 1}" for begin in (first, second))
            return "its outline crosses or touches itself, between corners " + " and between corners ".join(
                names
            )
    return None


def _turn(a: Point, b: Point, c: Point) -> float:
    """Return twice the area of a triangle: positive where its corners turn from x towards y, 0 on a line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _between(a: Point, b: Point, c: Point) -> bool:
    """Whether a point `c` on the line through `a` and `b` is from the one to the other."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _folds_back(a: Point, b: Point, c: Point) -> bool:
    """Whether the side from `b` to `c` runs back along the one from `a` to `b`."""
    ahead = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return _turn(a, b, c) == 0 and ahead < 0


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the line from `a` to `b` and that from `c` to `d` have a point in common."""
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _between(*end) for turn, end in zip(turns, ends, strict=True))


def inside(corners: Sequence[Point], points: Points) -> npt.NDArray[np.bool_]:
    """Return which points are inside of a polygon, by the even-odd rule, or on its outline.

    Args:
        corners: of the polygon, `(K, 2)`.
        points: `(N, 2)`; a NaN is outside.

    Returns:
        `(N,)`.

    >>> inside([(0, 0), (1, 0), (1, 1)], np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])).tolist()
    [True, False, True]
    """
    begin = np.asarray(corners, dtype=np.float64)
    side = np.roll(begin, -1, axis=0) - begin
    x, y = points[:, 0, None], points[:, 1, None]
    away = np.stack([x - begin[:, 0], y - begin[:, 1]], axis=-1)  # (N, K, 2), from the begin of each side
    end_y = begin[:, 1] + side[:, 1]
    spans = (begin[:, 1] > y) != (end_y > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = begin[:, 0] + side[:, 0] * (away[..., 1] / side[:, 1])
    odd = (spans & (x < crossing)).sum(axis=1) % 2 == 1
    along = np.clip((away * side).sum(axis=-1) / (side**2).sum(axis=-1), 0, 1)
    distance = np.hypot(*np.moveaxis(away - along[..., None] * side, -1, 0)).min(axis=1)
    return np.asarray(odd | (distance <= _ON_OUTLINE))
