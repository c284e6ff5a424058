"""MMPose: people by frame, as its demos (`instance_info`) and `MMPoseInferencer` write them.

Of a video it is one file with a list of frames. Of a folder of pictures it is one file a picture with a list of people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.errors import InputError
from daflow.formats.alphapose import entry_person
from daflow.formats.layouts import Layout, layout_by_names
from daflow.formats.recording import Options, Poses, Recording, frame_of, numbers, pose_values, score_of


def is_frames(content: object) -> bool:
    """Whether a JSON value is of this form."""
    if isinstance(content, dict):
        return isinstance(content.get("instance_info"), list)
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and {"frame_id", "instances"} <= set(content[0])
    )


def is_picture(content: object) -> bool:
    """Whether a JSON value is the people of one picture: a list of keypoints that says neither image nor frame."""
    people = content.get("instance_info") if isinstance(content, dict) else content
    return (
        isinstance(people, list)
        and bool(people)
        and all(isinstance(person, dict) and "keypoints" in person for person in people)
        and not any({"image_id", "frame_id", "category_id"} & set(person) for person in people)
    )


def read_frames(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read a list of frames; the order of joints is that of `meta_info` where it names them.

    Raises:
        InputError: it is not of this form.
    """
    entries = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a list of frames with their people.")
    layout = _layout(content, options)
    collected = Poses(path)
    for place, entry in enumerate(entries):
        where = f"{path}: frame {place}"
        people = entry.get("instances") if isinstance(entry, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{where}: the list of instances is missing.")
        _add_people(collected, frame_of(entry.get("frame_id"), where), people, layout, where)
    return [collected.recording("MMPose frames", layout)]


def read_pictures(path: Path, pictures: Iterable[tuple[int, Path, Any]], options: Options) -> list[Recording]:
    """Read the pictures of a clip, each with a list of its people.

    Args:
        path: what an error about all of them names.
        pictures: number, path and JSON value of each.
        options: what a person says.

    Raises:
        InputError: one is not of this form.
    """
    collected = Poses(path)
    layout = options.layout
    for number, file, content in pictures:
        people = content.get("instance_info") if isinstance(content, dict) else content
        if not isinstance(people, list):
            raise InputError(f"{file} is not a list of people.")
        layout = layout or _layout(content, options)
        _add_people(collected, number, people, layout, str(file))
    return [collected.recording("MMPose pictures", layout)]


def _add_people(collected: Poses, frame: int, people: list[Any], layout: Layout | None, where: str) -> None:
    for person in people:
        if not isinstance(person, dict):
            raise InputError(f"{where}: an instance is not an object.")
        values = pose_values(person.get("keypoints"), layout.joints if layout else None, where)
        if (scores := person.get("keypoint_scores")) is not None:
            if not isinstance(scores, list) or len(scores) != len(values):
                raise InputError(f"{where}: keypoint_scores must be one number for each joint.")
            values = np.column_stack([values[:, :2], numbers(scores, where)])
        score = score_of(person.get("bbox_score", math.nan), where)
        collected.add(frame, values, entry_person(person, where), score)


def _layout(content: object, options: Options) -> Layout | None:
    return options.layout or (_named(content.get("meta_info")) if isinstance(content, dict) else None)


def _named(meta: object) -> Layout | None:
    """The layout whose joints `keypoint_id2name` of `meta_info` names."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        return None
    if sorted(names) != sorted(map(str, range(len(names)))):
        return None
    return layout_by_names([names[str(place)] for place in range(len(names))])
