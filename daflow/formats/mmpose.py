"""MMPose: lists of frames with their people, as its demos (`instance_info`) and `MMPoseInferencer` write them."""

from __future__ import annotations

import math
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


def read_frames(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read a list of frames; the order of joints is that of `meta_info` where it names them.

    Raises:
        InputError: it is not of this form.
    """
    entries = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a list of frames with their people.")
    layout = options.layout or (_named(content.get("meta_info")) if isinstance(content, dict) else None)
    collected = Poses(path)
    for place, entry in enumerate(entries):
        where = f"{path}: frame {place}"
        people = entry.get("instances") if isinstance(entry, dict) else None
        if not isinstance(people, list):
            raise InputError(f"{where}: the list of instances is missing.")
        frame = frame_of(entry.get("frame_id"), where)
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
    return [collected.recording("MMPose frames", layout)]


def _named(meta: object) -> Layout | None:
    """The layout whose joints `keypoint_id2name` of `meta_info` names."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        return None
    if sorted(names) != sorted(map(str, range(len(names)))):
        return None
    return layout_by_names([names[str(place)] for place in range(len(names))])
