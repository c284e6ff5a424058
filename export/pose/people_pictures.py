"""Pictures to calibrate and to verify on: frames of recordings, and the people that the detector finds in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError
from runtime.poses.boxes import Boxes, overlaps, strongest
from runtime.poses.regions import cut, upright_regions
from runtime.sources.frames import Image
from runtime.sources.images import ImagesSource
from runtime.sources.video import VideoSource

Detect = Callable[[Image], tuple[npt.NDArray[np.float32], Boxes]]

CROPS = 96
FOUND = 0.4  # score of a box that counts
SAME = 0.5  # overlap of boxes of the same person
_SMALLEST = 24  # pixels; what is smaller is not a person to see joints on
_SEED = 5  # any number; the same crops every time


def read_frames(paths: Sequence[Path], count: int) -> list[Image]:
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
            frames += _spread((frame.image for frame in source if frame.image is not None), each)
    return [frames[place] for place in even_places(len(frames), count)]


def _spread(images: Iterable[Image], count: int) -> list[Image]:
    """Return images spread evenly, of which never more than `2 * count` are held, however many there are."""
    kept: list[Image] = []
    step = 1
    for index, image in enumerate(images):
        if index % step == 0:
            kept.append(image)
        if len(kept) == 2 * count:
            kept, step = kept[::2], 2 * step
    return [kept[place] for place in even_places(len(kept), count)]


def even_places(length: int, count: int) -> npt.NDArray[np.int64]:
    """Return at most `count` places in a list, from the first to the last, equally far apart.

    >>> even_places(9, 3).tolist(), even_places(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.asarray(np.linspace(0, length - 1, min(count, length)).round(), np.int64)


def fit(image: Image, width: int, height: int) -> tuple[Image, float]:
    """Scale a picture into the upper left of another of a given size; return that and the scale."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    fitted = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted[: size[1], : size[0]] = cv2.resize(image, size, interpolation=method)
    return fitted, scale


def distinct(scores: npt.NDArray[np.float32], boxes: Boxes) -> Boxes:
    """Return the boxes that count, best first, without those that overlap a better one."""
    counting = scores >= FOUND
    counted = boxes[counting]
    return np.asarray(counted[strongest(counted, scores[counting], SAME)])


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
    crops = [
        crop
        for frame in frames
        for crop in cut(frame, upright_regions(_places(frame, detect, rng), width / height), (width, height))
    ]
    if not crops:
        raise InputError(
            "The detector finds nobody in the pictures. Give pictures or a video in which people are seen."
        )
    return np.stack([crops[place] for place in even_places(len(crops), CROPS)])


def _places(frame: Image, detect: Detect, rng: np.random.Generator) -> Boxes:
    """The boxes `(N, 4)` of people, and behind every fourth one of the same size without people, if there is room."""
    people = distinct(*detect(frame))
    people = people[(people[:, 3] - people[:, 1]) >= _SMALLEST]
    places = []
    for number, box in enumerate(people):
        places.append(box)
        if number % 4 == 0:
            extent = box[2:] - box[:2]
            corner = rng.uniform(0, np.maximum(np.array(frame.shape[1::-1]) - extent, 1))
            empty = np.concatenate([corner, corner + extent]).astype(np.float32)
            if overlaps(empty[None], people).max() == 0:
                places.append(empty)
    return np.array(places, np.float32).reshape(-1, 4)
