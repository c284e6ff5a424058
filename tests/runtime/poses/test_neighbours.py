"""Who stands beside somebody is blurred in the crop of that person."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runtime.poses.neighbours import blur_neighbours
from runtime.poses.regions import cut, upright_regions

pytest.importorskip("cv2")

OWN, OTHER = (40.0, 20.0, 60.0, 100.0), (65.0, 20.0, 85.0, 100.0)
SHAPE = (128, 128)


def picture() -> np.ndarray:
    """Two people of vertical stripes, which a blur makes even."""
    image = np.zeros((120, 160, 3), np.uint8)
    for left, top, right, bottom in (OWN, OTHER):
        image[int(top) : int(bottom), int(left) : int(right) : 2] = 255
    return image


def crops(people: np.ndarray, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The crop of the first person before and after."""
    regions = upright_regions(people[:1])
    regions[:, 3] = angle
    plain = cut(picture(), regions, SHAPE)
    blurred = plain.copy()
    blur_neighbours(blurred, regions, people)
    return plain[0], blurred[0]


def contrast(crop: np.ndarray, box: tuple[float, ...]) -> float:
    """The difference of neighbouring pixels within a box of the picture; the region is around OWN, 100 pixels high."""
    left, right = (int((x - 50) * 1.28 + 64) for x in (box[0] + 3, box[2] - 3))
    return float(np.abs(np.diff(crop[40:90, left:right].astype(float), axis=1)).mean())


def test_the_other_is_blurred_and_the_person_is_not() -> None:
    plain, blurred = crops(np.array([OWN, OTHER], np.float32))
    assert contrast(plain, OTHER) > 50
    assert contrast(blurred, OTHER) < 10
    inside = slice(52, 76)  # columns of OWN
    np.testing.assert_array_equal(blurred[:, inside], plain[:, inside])


def test_who_is_before_somebody_stays_visible_in_that_crop() -> None:
    wide = (30.0, 10.0, 90.0, 110.0)
    plain, blurred = crops(np.array([wide, OWN, OTHER], np.float32))
    np.testing.assert_array_equal(blurred, plain)


@pytest.mark.parametrize("far", [(200.0, 20.0, 220.0, 100.0), (-60.0, 20.0, -40.0, 100.0)])
def test_who_is_elsewhere_changes_nothing(far: tuple[float, ...]) -> None:
    plain, blurred = crops(np.array([OWN, far], np.float32))
    np.testing.assert_array_equal(blurred, plain)


def test_a_turned_crop_is_blurred_where_the_other_is() -> None:
    people = np.array([OWN, OTHER], np.float32)
    plain, blurred = crops(people, angle=math.pi)  # upside down: the other is to the left
    changed = (plain != blurred).any(axis=(0, 2))
    assert changed[: SHAPE[0] // 2 - 14].any()
    assert not changed[SHAPE[0] // 2 :].any()


def test_everybody_can_be_beside_everybody() -> None:
    people = np.array([OWN, OTHER, (50.0, 30.0, 80.0, 90.0)], np.float32)
    regions = upright_regions(people[:2])
    both = cut(picture(), regions, SHAPE)
    blur_neighbours(both, regions, people)
    assert both.shape == (2, 128, 128, 3)
    alone = cut(picture(), regions[:0], SHAPE)
    blur_neighbours(alone, regions[:0], people)
    assert alone.shape == (0, 128, 128, 3)
