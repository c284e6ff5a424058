"""COCO annotations: `images`, `annotations` with keypoints, and `categories` with the names of the joints."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.clip_tables import MAX_SIDE, FrameSize
from daflow.core.errors import InputError
from daflow.core.log import shortened
from daflow.formats.alphapose import entry_person, folder_of
from daflow.formats.layouts import Layout, layout_by_names
from daflow.formats.recording import (
    Array,
    Options,
    Poses,
    Recording,
    frame_of,
    numbers,
    pose_values,
    require_frame,
    score_of,
    without_flags,
)


def is_annotations(content: object) -> bool:
    """Whether a JSON value is a set of COCO annotations."""
    return isinstance(content, dict) and {"images", "annotations"} <= set(content)


@dataclass(frozen=True)
class _Image:
    clip: str
    frame: int
    size: FrameSize | None


def read_annotations(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read COCO annotations.

    The frame is the number in `file_name`, else `frame_id`; images of several folders are a clip for each folder. The
    third value of a joint may be COCO's visibility, where 1 and 2 are confidence 1; `keypoint_scores` of an annotation
    are confidences and go before it. `track_id` is the person.

    Raises:
        InputError: it is not of this form.
    """
    if not is_annotations(content) or not all(
        isinstance(content[name], list) for name in ("images", "annotations")
    ):
        raise InputError(
            f"{path} is not a set of COCO annotations: the list of images or annotations is missing."
        )
    images = _images(path, content["images"])
    orders = {} if options.layout else _orders(path, content.get("categories", []))
    clips: dict[tuple[str, str], Poses] = defaultdict(lambda: Poses(path))
    layouts: dict[tuple[str, str], Layout | None] = {}
    for number, entry in enumerate(content["annotations"]):
        where = f"{path}: annotation {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{where} is not an object.")
        if not entry.get("keypoints"):
            continue  # a box alone, as of a crowd or a bag
        image = images.get(_key(entry.get("image_id"), where))
        if image is None:
            raise InputError(f"{where}: its image_id is not that of an image.")
        layout = options.layout or orders.get(_key(entry.get("category_id", 0), where))
        values = pose_values(entry["keypoints"], layout.joints if layout else None, where)
        key = (image.clip, layout.name if layout else "")
        layouts[key] = layout
        score = score_of(entry.get("score"), where)
        clips[key].add(image.frame, _with_scores(values, entry, where), entry_person(entry, where), score)
    names = {image.clip for image in images.values()} or {""}
    if len(clips) > len({name for name, _ in clips}):
        raise InputError(f"{path} has poses of several layouts. Split it by category.")
    several = len(names) > 1
    found = []
    for name in sorted(names):
        key = next((key for key in clips if key[0] == name), (name, ""))
        recording = clips[key].recording(
            "COCO annotations", layouts.get(key), frame_size=_size(images, name), name=name if several else ""
        )
        found.append(replace(recording, keypoints=without_flags(recording.keypoints)))
    return found


def _key(value: object, where: str) -> str:
    if type(value) not in (int, str):
        raise InputError(f"{where}: {shortened(repr(value), 40)} is not the id of an image or a category.")
    return str(value)


def _images(path: Path, entries: list[Any]) -> dict[str, _Image]:
    images: dict[str, _Image] = {}
    for number, entry in enumerate(entries):
        where = f"{path}: image {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{where} is not an object.")
        key = _key(entry.get("id"), where)
        name = entry.get("file_name")
        try:
            frame = frame_of(name, where)
        except InputError:
            frame = frame_of(entry.get("frame_id", name), where)
        require_frame(frame, where)
        if key in images:
            raise InputError(f"{where}: the id {shortened(key, 40)} is that of another image.")
        images[key] = _Image(folder_of(name), frame, _side_pair(entry))
    seen: set[tuple[str, int]] = set()
    for image in images.values():
        if (image.clip, image.frame) in seen:
            raise InputError(f"{path}: two images have the frame number {image.frame}.")
        seen.add((image.clip, image.frame))
    return images


def _side_pair(entry: dict[str, Any]) -> FrameSize | None:
    width, height = entry.get("width"), entry.get("height")
    if type(width) is int and type(height) is int and 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE:
        return width, height
    return None


def _size(images: dict[str, _Image], clip: str) -> FrameSize | None:
    """The size of all images of a clip; None where they differ or do not say it."""
    sizes = {image.size for image in images.values() if image.clip == clip}
    return sizes.pop() if len(sizes) == 1 else None


def _orders(path: Path, categories: object) -> dict[str, Layout]:
    """The layouts of the categories that name their joints."""
    if not isinstance(categories, list):
        return {}
    found = {}
    for entry in categories:
        names = entry.get("keypoints") if isinstance(entry, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            layout = layout_by_names(names)
            if layout is not None:
                found[_key(entry.get("id"), f"{path}: categories")] = layout
    return found


def _with_scores(values: Array, entry: dict[str, Any], where: str) -> Array:
    """Replace the third value of each joint by `keypoint_scores` where they are there."""
    scores = entry.get("keypoint_scores")
    if scores is None:
        return values
    if not isinstance(scores, list) or len(scores) != len(values):
        raise InputError(f"{where}: keypoint_scores must be one number for each of {len(values)} joints.")
    confidence = numbers(scores, where)
    hidden = (values[:, 2] == 0) & (confidence > 0) if values.shape[1] == 3 else np.zeros(len(values), bool)
    return np.where(hidden[:, None], math.nan, np.column_stack([values[:, :2], confidence]))
