"""Regions: what is cut out of a picture, and where the joints in it are in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.poses.regions import Tiling, cut, following_regions, tile_side, to_picture, upright_regions

SHAPES = st.sampled_from([(256, 256), (192, 256), (416, 416)])


@given(
    x=st.floats(20, 620),
    y=st.floats(20, 460),
    height=st.floats(5, 2000),
    angle=st.floats(-7, 7),
    shape=SHAPES,
)
def test_the_middle_of_a_cut_is_the_middle_of_its_region_and_its_height_is_the_regions(
    x: float, y: float, height: float, angle: float, shape: tuple[int, int]
) -> None:
    region = np.array([[x, y, height, angle]], np.float32)
    ends = np.array([[[shape[0] / 2, shape[1] / 2], [shape[0] / 2, 0], [shape[0] / 2, shape[1]]]], np.float32)
    middle, top, bottom = to_picture(ends, region, shape)[0]
    np.testing.assert_allclose(middle, (x, y), atol=0.05)
    assert np.hypot(*(bottom - top)) == pytest.approx(height, rel=1e-3)
    np.testing.assert_allclose(
        middle - top, height / 2 * np.array([-np.sin(angle), np.cos(angle)]), atol=0.01 * height
    )


@given(
    x=st.integers(60, 580),
    y=st.integers(60, 420),
    side=st.integers(40, 120),
    angle=st.floats(-3.2, 3.2),
    shape=SHAPES,
)
def test_a_spot_is_found_again_where_it_is_in_the_picture(
    x: int, y: int, side: int, angle: float, shape: tuple[int, int]
) -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[y - 4 : y + 5, x - 4 : x + 5] = 255
    region = np.array([[x + 0.2 * side, y - 0.1 * side, side, angle]], np.float32)
    (piece,) = cut(picture, region, shape)
    rows, columns = np.nonzero(piece[..., 0] > 128)
    spot = np.array([[[columns.mean(), rows.mean()]]], np.float32)
    np.testing.assert_allclose(to_picture(spot, region, shape)[0, 0], (x, y), atol=1.2)


def test_what_lies_beyond_the_picture_is_black() -> None:
    (piece,) = cut(np.full((100, 100, 3), 200, np.uint8), np.array([[0, 0, 100, 0]], np.float32), (64, 64))
    assert piece[:30, :30].max() == 0
    assert piece[34:, 34:].min() == 200


def test_no_region_is_no_cut() -> None:
    assert cut(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 4), np.float32), (8, 8)).shape == (0, 8, 8, 3)


@given(angle=st.floats(-3.1, 3.1), distance=st.floats(5, 300))
def test_the_next_region_of_blazepose_is_turned_so_that_the_body_is_upright(
    angle: float, distance: float
) -> None:
    joints = np.zeros((1, 39, 2), np.float32)
    joints[0, 33] = 300, 200
    joints[0, 34] = joints[0, 33] + distance * np.array(
        [np.sin(angle), -np.cos(angle)]
    )  # up, turned clockwise
    (region,) = following_regions(joints)
    np.testing.assert_allclose(region[:3], (300, 200, 2.5 * distance), rtol=1e-4)
    assert np.cos(region[3] - angle) == pytest.approx(1, abs=1e-4)
    # in the cut the point lies straight above the middle, four fifths of the way to the edge
    up = to_picture(np.array([[[128, 128 - 0.8 * 128]]], np.float32), region[None], (256, 256))[0, 0]
    np.testing.assert_allclose(up, joints[0, 34], atol=0.01 * distance)


def test_the_next_region_of_other_networks_holds_all_joints() -> None:
    joints = np.random.default_rng(0).uniform(100, 300, (5, 17, 2)).astype(np.float32)
    for region, points in zip(following_regions(joints, aspect=0.75), joints, strict=True):
        half = np.array([0.75, 1.0]) * region[2] / 2
        assert (np.abs(points - region[:2]) <= half).all()


def test_a_region_around_a_box_has_the_shape_of_the_network() -> None:
    wide, high = upright_regions(np.array([[0, 0, 200, 50], [0, 0, 50, 200]], np.float32), aspect=0.75)
    assert wide.tolist() == pytest.approx([100, 25, 1.25 * 200 / 0.75, 0])
    assert high.tolist() == pytest.approx([25, 100, 1.25 * 200, 0])


@given(
    width=st.integers(16, 4000),
    height=st.integers(16, 4000),
    across=st.integers(1, 4),
    stride=st.sampled_from([None, 32]),
)
def test_tiles_cover_the_picture_and_whoever_is_small_is_whole_in_one(
    width: int, height: int, across: int, stride: int | None
) -> None:
    tiles = Tiling(416, stride).tiles((width, height), across)
    places = tiles.places.astype(np.float64)
    low, high = places[:, :2] - tiles.extent / 2, places[:, :2] + tiles.extent / 2
    rng = np.random.default_rng(across)
    size = 0.99 * tiles.overlap
    assert np.allclose(tiles.extent / tiles.shape, tile_side((width, height), across) / 416, rtol=1e-4)
    for corner in rng.uniform(0, np.maximum(np.array([width, height]) - size, 1e-6), (50, 2)):
        end = np.minimum(corner + size, (width, height))
        assert ((low <= corner + 1e-2).all(axis=1) & (high >= end - 1e-2).all(axis=1)).any()
    assert len(places) <= 2 * across**2
    assert np.allclose(places[:, 2], tiles.extent[1])
    if stride is not None:
        assert all(side % stride == 0 for side in tiles.shape)
        assert max(tiles.shape) == 416
        assert across > 1 or min(tiles.shape) < 416 * min(width, height) / max(width, height) + stride


def test_tiles_around_points_are_those_in_whose_middle_they_are() -> None:
    tiles = Tiling(416).tiles((360, 240), 2)
    some = tiles.containing(np.array([[90, 20], [100, 30]], np.float32))
    assert some.places[:, :2].tolist() == [[100.0, 100.0]]
    assert some.hold(np.array([90, 60], np.float32))
    assert not some.hold(np.array([300, 60], np.float32))
    assert not len(tiles.containing(np.zeros((0, 2), np.float32)))
    whole = Tiling(416, 32).tiles((360, 240), 1)
    assert whole.hold(np.array([30, 15], np.float32))
    assert not whole.hold(np.array([10, 120], np.float32))
