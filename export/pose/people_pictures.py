"""Pictures to calibrate and to verify on: frames of recordings, and the people that the detector finds in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError
from runtime.sources.images import ImagesSource
from runtime.sources.video import VideoSource

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
Detect = Callable[[Image], tuple[npt.NDArray[np.float32], Boxes]]

FRAMES = 48
"""Of all recordings together; more hardly change a range or an error."""

CROPS = 96
FOUND = 0.4  # score of a box that counts
SAME = 0.5  # overlap of boxes of the same person
_SMALLEST = 24  # pixels; what is smaller is not a person to see joints on
_MARGIN = 1.25  # of a crop around a box
_SEED = 5  # any number; the same crops every time


def read_frames(paths: Sequence[Path], count: int = FRAMES) -> list[Image]:
    """Return frames spread evenly over recordings, each `(H, W, 3)` uint8 RGB.

    Args:
        paths: folders of pictures and video files.
        count: how many frames at most.

    Raises:
        InputError: a recording cannot be read.
    """
    each = -(-count // len(paths))
    frames: list[Image] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"There is no folder of pictures or video {path}.")
        with ImagesSource(path) if path.is_dir() else VideoSource(path) as source:
            step = max(1, (source.frames or each) // each)
            chosen = [frame.image for frame in source if frame.index % step == 0 and frame.image is not None]
        frames += chosen[:each]
    return frames[:count]


def fit(image: Image, width: int, height: int) -> tuple[Image, float]:
    """Scale a picture into the upper left of another of a given size; return that and the scale."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    fitted = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted[: size[1], : size[0]] = cv2.resize(image, size, interpolation=method)
    return fitted, scale


def overlaps(box: Boxes, boxes: Boxes) -> npt.NDArray[np.float32]:
    """Return the intersection over union of a box `(4,)` and others `(N, 4)`."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = [np.clip(b[..., 2:] - b[..., :2], 0, None).prod(axis=-1) for b in (box, boxes)]
    shares: npt.NDArray[np.float32] = shared / np.maximum(areas[0] + areas[1] - shared, 1e-6)
    return shares


def distinct(scores: npt.NDArray[np.float32], boxes: Boxes) -> list[int]:
    """Return the boxes that count, best first, without those that overlap a better one."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if scores[index] < FOUND:
            break
        if not kept or overlaps(boxes[index], boxes[kept]).max() < SAME:
            kept.append(int(index))
    return kept


def people_crops(frames: Sequence[Image], detect: Detect, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return crops `(N, height, width, 3)`: people, and one place without people for every four of them.

    Args:
        frames: the pictures.
        detect: returns scores and boxes of a picture in its pixels.
        width: of a crop in pixels.
        height: of a crop in pixels.

    Raises:
        InputError: the detector finds nobody.
    """
    rng = np.random.default_rng(_SEED)
    crops = [crop for frame in frames for crop in _crops(frame, detect, width / height, (width, height), rng)]
    if not crops:
        raise InputError(
            "The detector finds nobody in the pictures to verify on. Give pictures or a video in which people are seen."
        )
    places = np.linspace(0, len(crops) - 1, min(CROPS, len(crops))).round().astype(int)
    return np.stack([crops[place] for place in places])


def _crops(
    frame: Image, detect: Detect, aspect: float, size: tuple[int, int], rng: np.random.Generator
) -> Iterator[Image]:
    scores, boxes = detect(frame)
    people = boxes[distinct(scores, boxes)]
    people = people[(people[:, 3] - people[:, 1]) >= _SMALLEST]
    for number, box in enumerate(people):
        yield _cut(frame, box, aspect, size)
        if number % 4 == 0:
            extent = box[2:] - box[:2]
            corner = rng.uniform(0, np.maximum(np.array(frame.shape[1::-1]) - extent, 1))
            empty = np.concatenate([corner, corner + extent]).astype(np.float32)
            if overlaps(empty, people).max() == 0:
                yield _cut(frame, empty, aspect, size)


def _cut(frame: Image, box: Boxes, aspect: float, size: tuple[int, int]) -> Image:
    """Cut a box with a margin; what is beyond the picture is black."""
    centre = (box[:2] + box[2:]) / 2
    width, height = (box[2:] - box[:2]) * _MARGIN
    height = max(height, width / aspect)
    scale = size[1] / height
    offset = np.array(size) / 2 - centre * scale
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    cut = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.asarray(cut, np.uint8)
