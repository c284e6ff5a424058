"""Boxes and joints of networks, in pixels of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from runtime.poses.pose_networks import BundleNetworks
from runtime.poses.regions import Tiles

IMAGE = np.zeros((400, 600, 3), np.uint8)
IMAGE[100:200, 300:340] = 255


class Bright:
    """A detector whose box is around what is bright in its input, and three more that are no people."""

    name, row = "fake", (416, 416, 3)

    def run(self, batch: Any) -> Mapping[str, Any]:
        boxes, scores = np.zeros((len(batch), 4, 4), np.float32), np.zeros((len(batch), 4), np.float32)
        for row, picture in enumerate(batch):
            rows, columns = np.nonzero(picture[..., 0] > 128)
            if len(rows):
                boxes[row, 0] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                boxes[row, 1] = boxes[row, 0] + 2
                scores[row] = 0.9, 0.5, 0.1, 0.05
        return {"boxes": boxes, "scores": scores}

    def close(self) -> None:
        self.closed = True


class Middle:
    """Landmarks that are all in the middle of the crop, but for the one that tells the next region."""

    name, row = "fake", (256, 256, 3)

    def run(self, batch: Any) -> Mapping[str, Any]:
        keypoints = np.full((len(batch), 39, 4), 128, np.float32)
        keypoints[:, 34, 1] = 128 - 102.4  # a region of the same size again
        keypoints[..., 2:] = 0.75
        return {"keypoints": keypoints, "presence": np.full(len(batch), 0.6, np.float32)}

    def close(self) -> None:
        self.closed = True


STRIDES = pytest.mark.parametrize("stride", [None, 32])


def networks(stride: int | None = None) -> BundleNetworks:
    return BundleNetworks(Bright(), Middle(), 33, stride)


def detect(image: Any, across: int, stride: int | None) -> Any:
    opened = networks(stride)
    return opened.detect(image, [opened.tiling.tiles((image.shape[1], image.shape[0]), across)]).boxes


@STRIDES
def test_boxes_are_in_pixels_of_the_picture_and_of_doubles_the_stronger_stays(stride: int | None) -> None:
    np.testing.assert_allclose(detect(IMAGE, 1, stride), [[300, 100, 340, 200]], atol=1.5)
    turned = IMAGE.transpose(1, 0, 2)
    np.testing.assert_allclose(detect(turned, 1, stride), [[100, 300, 200, 340]], atol=1.5)


@STRIDES
def test_who_is_in_two_tiles_is_one_person(stride: int | None) -> None:
    small = np.zeros_like(IMAGE)
    small[160:220, 290:315] = 255
    for across in (2, 3):
        np.testing.assert_allclose(detect(small, across, stride), [[290, 160, 315, 220]], atol=1.5)


def test_tiles_of_several_sizes_are_searched_together() -> None:
    opened = networks(32)
    searched = [opened.tiling.tiles((600, 400), across) for across in (1, 3)]
    np.testing.assert_allclose(opened.detect(IMAGE, searched).boxes, [[300, 100, 340, 200]], atol=1.5)


def test_what_the_edge_of_a_tile_cuts_off_is_left_out() -> None:
    beside = tile(410, 150, 200)  # begins at 310, within the box
    assert len(networks().detect(IMAGE, [beside])) == 1  # too large to be whole in another tile
    wide = tile(860, 300, 1080)  # begins at 320: ten pixels of a hundred are small
    assert len(networks().detect(IMAGE, [wide])) == 0


def tile(x: float, y: float, side: float) -> Tiles:
    place = np.array([[x, y, side, 0]], np.float32)
    return Tiles(place, np.array([side, side], np.float32), (416, 416), 0.2 * side)


@STRIDES
def test_nothing_is_nobody(stride: int | None) -> None:
    assert detect(np.zeros_like(IMAGE), 2, stride).shape == (0, 4)


def test_joints_are_in_pixels_of_the_picture_with_their_visibility() -> None:
    places = np.array([[100, 200, 80, 0.5], [300, 100, 40, 0]], np.float32)
    bodies = networks().joints(
        IMAGE, places, np.array([[60, 160, 140, 240], [280, 80, 320, 120]], np.float32)
    )
    assert bodies.keypoints.shape == (2, 33, 3)
    np.testing.assert_allclose(bodies.keypoints[:, 0], [[100, 200, 0.75], [300, 100, 0.75]], atol=1e-3)
    np.testing.assert_allclose(bodies.following, places, atol=1e-2)
    assert bodies.presence.tolist() == [np.float32(0.6)] * 2


def test_closing_releases_both() -> None:
    opened = networks()
    opened.close()
    assert all(part.closed for part in opened.parts[:2])  # type: ignore[attr-defined]
