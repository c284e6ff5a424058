"""Regions of a picture that are cut out for a network: rectangles that may be turned, all of one network's shape.

A region is `cx, cy, height, angle`: its middle and its height in pixels of the picture, and by how much it is turned,
in radians, clockwise as it is seen. Its width follows from the shape of the network's input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from runtime.opencv import opencv
from runtime.sources.frames import Image

Regions = npt.NDArray[np.float32]
"""`(N, 4)`: cx, cy, height, angle."""

OVERLAP = 0.2
"""How much neighbouring tiles overlap, at least, as a share of their side: whoever is not larger is whole in one."""

_MARGIN = 1.25  # of a person's longer side, as MediaPipe and most top-down networks are trained with
_NOWHERE = np.zeros((0, 4), dtype=np.float32)
# BlazePose's auxiliary joints: the middle of the hips, and a point on the circle around the body.
_MIDDLE, _RIM = 33, 34


def upright_regions(boxes: npt.NDArray[np.float32], aspect: float = 1.0, margin: float = _MARGIN) -> Regions:
    """Return regions around boxes `(N, 4)`, left, top, right, bottom, not turned.

    Args:
        boxes: in pixels.
        aspect: width of the network's input divided by its height.
        margin: the region's size as a multiple of the box's.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = boxes[:, 2:] - boxes[:, :2]
    height = margin * np.maximum(sides[:, 1], sides[:, 0] / aspect)
    return np.column_stack([middle, height, np.zeros(len(boxes))]).astype(np.float32)


def following_regions(keypoints: npt.NDArray[np.float32], aspect: float = 1.0) -> Regions:
    """Return where to look for people in the next picture, given their joints in this one.

    BlazePose has two auxiliary joints for this purpose: its region is turned so that the body is upright in it, and
    2.5 times as high as they are apart (MediaPipe, `pose_landmarks_to_roi.pbtxt`). Of other networks it is upright.

    Args:
        keypoints: `(N, J, 2)` in pixels of the picture; J is 39 for BlazePose.
        aspect: width of the network's input divided by its height.
    """
    if keypoints.shape[1] <= _RIM:
        return upright_regions(np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1), aspect)
    middle = keypoints[:, _MIDDLE]
    up = keypoints[:, _RIM] - middle
    height = 2 * _MARGIN * np.hypot(up[:, 0], up[:, 1])
    return np.column_stack([middle, height, np.arctan2(up[:, 0], -up[:, 1])]).astype(np.float32)


@dataclass(frozen=True)
class Tiles:
    """Parts of a picture in which a detector looks for people, all of one size and not turned.

    Attributes:
        places: `(N, 4)` regions of the picture.
        extent: width and height of a tile, `(2,)`, in pixels of the picture.
        shape: width and height of the detector's input, which a tile fills.
        overlap: of neighbours, in pixels of the picture: whoever is not larger is whole in one of them.
    """

    places: Regions
    extent: npt.NDArray[np.float32]
    shape: FrameSize
    overlap: float

    def __len__(self) -> int:
        return len(self.places)

    def containing(self, points: npt.NDArray[np.float32]) -> Tiles:
        """Return the tiles in whose middle points `(M, 2)` are, without repetition."""
        away = np.linalg.norm(points[:, None] - self.places[None, :, :2], axis=2)
        return replace(self, places=self.places[np.unique(away.argmin(axis=1))] if len(points) else _NOWHERE)

    def hold(self, point: npt.NDArray[np.float32]) -> bool:
        """Whether a point `(2,)` is in one of them, not at its edge."""
        return bool((np.abs(self.places[:, :2] - point) < 0.45 * self.extent).all(axis=1).any())


@dataclass(frozen=True)
class Tiling:
    """How a picture is divided into tiles for a detector.

    Attributes:
        side: of the detector's square input in pixels.
        stride: what the sides of its input must be multiples of, where they may be shorter. Then the whole picture is
            one tile of its own shape. Smaller tiles are squares all the same: they overlap more, and who is small is
            often seen in one of two only (82 % of the people of Ped2 are found, and 79 % without that overlap).
    """

    side: int
    stride: int | None = None

    def tiles(self, size: FrameSize, across: int) -> Tiles:
        """Return tiles that cover a picture.

        Args:
            size: width and height of the picture in pixels.
            across: tiles along its longer side; one tile is the whole picture.

        >>> Tiling(416).tiles((360, 240), 1).places.tolist()
        [[180.0, 120.0, 360.0, 0.0]]
        >>> Tiling(416).tiles((360, 240), 2).places[:, :2].round().tolist()
        [[100.0, 100.0], [260.0, 100.0], [100.0, 140.0], [260.0, 140.0]]
        >>> Tiling(416, 32).tiles((360, 240), 1).shape
        (416, 288)
        """
        longer = tile_side(size, across)
        scale, overlap = longer / self.side, longer * OVERLAP
        shape = self.side, self.side
        if self.stride is not None and across == 1:
            shorter = math.ceil(min(size) / scale / self.stride - 1e-6) * self.stride
            shape = (self.side, shorter) if size[0] >= size[1] else (shorter, self.side)
        extent = scale * np.array(shape, dtype=np.float32)
        xs, ys = (_middles(length, float(side), overlap) for length, side in zip(size, extent, strict=True))
        places = np.array([(x, y, extent[1], 0.0) for y in ys for x in xs], dtype=np.float32)
        return Tiles(places, extent, shape, overlap)


def tile_side(size: FrameSize, across: int) -> float:
    """Return the length of a tile in pixels, for so many tiles along the longer side of a picture."""
    return max(size) / (across - (across - 1) * OVERLAP)


def _middles(length: float, side: float, overlap: float) -> npt.NDArray[np.float64]:
    if length <= side:
        return np.array([length / 2])
    count = math.ceil((length - overlap) / (side - overlap) - 1e-6)
    return np.linspace(side / 2, length - side / 2, count)


def cut(image: Image, regions: Regions, shape: FrameSize) -> npt.NDArray[np.uint8]:
    """Cut regions out of a picture and scale them; what lies beyond the picture is black.

    Args:
        image: `(H, W, 3)` uint8.
        regions: `(N, 4)`.
        shape: width and height of the network's input.

    Returns:
        `(N, height, width, 3)` uint8.

    Raises:
        InputError: OpenCV is missing.
    """
    cv2 = opencv()
    cuts = np.empty((len(regions), shape[1], shape[0], 3), dtype=np.uint8)
    for matrix, target in zip(to_network(regions, shape), cuts, strict=True):
        cv2.warpAffine(image, matrix, shape, dst=target, flags=cv2.INTER_LINEAR)
    return cuts


def to_picture(
    points: npt.NDArray[np.float32], regions: Regions, shape: FrameSize
) -> npt.NDArray[np.float32]:
    """Return points `(N, K, 2)` of the network's input as points of the picture that the regions were cut out of."""
    scale = (regions[:, 2] / shape[1])[:, None]
    right, down = ((points[..., axis] - shape[axis] / 2) * scale for axis in (0, 1))
    cosine, sine = np.cos(regions[:, 3])[:, None], np.sin(regions[:, 3])[:, None]
    x = right * cosine - down * sine + regions[:, :1]
    y = right * sine + down * cosine + regions[:, 1:2]
    return np.stack([x, y], axis=-1).astype(np.float32)


def to_network(regions: Regions, shape: FrameSize) -> npt.NDArray[np.float64]:
    """Return the affine matrices `(N, 2, 3)` from the picture to the network's input."""
    x, y, height, angle = regions.astype(np.float64).T
    scale = shape[1] / np.maximum(height, 1e-3)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.stack([
        np.stack([cosine, sine, shape[0] / 2 - cosine * x - sine * y], axis=-1),
        np.stack([-sine, cosine, shape[1] / 2 + sine * x - cosine * y], axis=-1),
    ], axis=1)  # fmt: skip
