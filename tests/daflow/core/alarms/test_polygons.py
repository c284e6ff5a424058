from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daflow.core.alarms.polygons import Point, inside, outline_problem

UNIT = st.floats(0, 1, allow_nan=False)


@st.composite
def stars(draw: st.DrawFn) -> list[Point]:
    """Corners around the middle of the picture, in the order of their angles: no two sides cross."""
    count = draw(st.integers(4, 12))
    turns = draw(st.lists(st.floats(0.05, 1), min_size=count, max_size=count))
    angles = np.cumsum(turns) / sum(turns) * 2 * math.pi
    assume(max(turns) / sum(turns) < 0.45)
    radii = draw(st.lists(st.floats(0.05, 0.5), min_size=count, max_size=count))
    return [
        (0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in zip(radii, angles.tolist(), strict=True)
    ]


def winding(corners: list[Point], point: Point) -> int:
    """How often the outline goes around a point: the sum of the angles in which it sees the sides."""
    seen = [complex(x - point[0], y - point[1]) for x, y in corners]
    turned = sum(cmath.phase(end / begin) for begin, end in zip(seen, [*seen[1:], seen[0]], strict=True))
    return round(turned / (2 * math.pi))


def nearest(corners: list[Point], point: Point) -> float:
    """The distance to the outline, from many points on it."""
    steps = np.linspace(0, 1, 400)[:, None]
    sides = zip(np.array(corners), np.roll(np.array(corners), -1, axis=0), strict=True)
    along = np.concatenate([begin + steps * (end - begin) for begin, end in sides])
    return float(np.hypot(*(along - point).T).min())


@given(stars(), UNIT, UNIT)
def test_a_point_is_inside_where_the_outline_goes_around_it(corners: list[Point], x: float, y: float) -> None:
    assume(nearest(corners, (x, y)) > 0.004)  # on the outline the angles are not defined
    assert inside(corners, np.array([[x, y]])).tolist() == [winding(corners, (x, y)) != 0]


@given(stars(), st.integers(0, 11), UNIT)
def test_the_outline_belongs_to_the_polygon(corners: list[Point], side: int, share: float) -> None:
    begin, end = (np.array(corners[(side + step) % len(corners)]) for step in (0, 1))
    assert inside(corners, (begin + share * (end - begin))[None]).all()


@given(stars(), st.integers(0, 11))
def test_where_an_outline_begins_and_which_way_it_goes_makes_no_difference(
    corners: list[Point], first: int
) -> None:
    points = np.random.default_rng(0).random((50, 2))
    for other in (corners[first:] + corners[:first], corners[::-1]):
        assert (inside(other, points) == inside(corners, points)).all()


@given(stars())
def test_an_outline_without_crossings_is_one(corners: list[Point]) -> None:
    assert outline_problem(corners) is None


@given(stars(), st.data())
def test_exchanging_two_corners_crosses_the_outline_unless_every_angle_is_still_passed_once(
    corners: list[Point], data: st.DataObject
) -> None:
    """The sides of the exchanged outline, each against each, by solving for the place where they meet."""
    one, two = data.draw(st.lists(st.integers(0, len(corners) - 1), min_size=2, max_size=2, unique=True))
    changed = list(corners)
    changed[one], changed[two] = changed[two], changed[one]
    sides = [(np.array(changed[i]), np.array(changed[(i + 1) % len(changed)])) for i in range(len(changed))]
    crossed, doubtful = False, False
    for i, (a, b) in enumerate(sides):
        for j, (c, d) in enumerate(sides[i + 2 :], start=i + 2):
            if (j + 1) % len(sides) == i:
                continue
            matrix = np.stack([b - a, c - d], axis=1)
            if abs(np.linalg.det(matrix)) < 1e-9:
                doubtful = True
                continue
            s, t = np.linalg.solve(matrix, c - a)
            doubtful |= any(min(abs(v), abs(v - 1)) < 1e-6 for v in (s, t))
            crossed |= bool(0 < s < 1 and 0 < t < 1)
    assume(not doubtful)
    assert (outline_problem(changed) is not None) == crossed


@pytest.mark.parametrize(
    ("corners", "said"),
    [
        ([(0, 0), (1, 1)], "2 corners"),
        ([], "0 corners"),
        ([(0, 0), (1, 0), (1.2, 1)], "corner 3 is at 1.2, 1"),
        ([(0, 0), (-0.1, 0), (1, 1)], "corner 2 is at -0.1, 0"),
        ([(0, 0), (1, 0), (1, math.nan)], "corner 3"),
        ([(0, 0), (1, 0), (1, 0), (1, 1)], "corners 2 and 3 are at the same place"),
        ([(0, 0), (1, 0), (1, 1), (0, 0)], "corners 4 and 1 are at the same place"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "crosses or touches itself"),
        ([(0, 0), (1, 0), (0.5, 0)], "crosses or touches itself"),
        ([(0, 0), (0.5, 0.5), (1, 1)], "crosses or touches itself"),
        ([(0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)], "crosses or touches itself"),
    ],
)
def test_what_is_wrong_with_an_outline_is_said(corners: list[Point], said: str) -> None:
    problem = outline_problem(corners)
    assert problem is not None
    assert said in problem
