"""OpenPose: one JSON file a frame, with `people` and their `pose_keypoints_2d`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError
from daflow.formats.layouts import LAYOUTS, Layout
from daflow.formats.recording import Options, Poses, Recording, numbers, person_of

_BY_COUNT = {25: LAYOUTS["body25"], 18: LAYOUTS["openpose18"]}


def is_frame(content: object) -> bool:
    """Whether a JSON value is one frame."""
    return isinstance(content, dict) and isinstance(content.get("people"), list)


def read_frames(path: Path, frames: Iterable[tuple[int, Path, Any]], options: Options) -> list[Recording]:
    """Read the frames of a clip.

    BODY_25 has 75 values, COCO-18 has 54. A person whose list is empty, of whom only a face or a hand was found, is
    left out. The person is `person_id`, a number or a list of one, where it is not -1.

    Args:
        path: what an error about all of them names.
        frames: number, path and JSON value of each frame.
        options: what a person says.

    Raises:
        InputError: a frame is not of this form, or of both layouts.
    """
    collected = Poses(path)
    layout: Layout | None = options.layout
    for number, file, content in frames:
        if not is_frame(content):
            raise InputError(f"{file} is not a frame of OpenPose: the list of people is missing.")
        for place, person in enumerate(content["people"]):
            where = f"{file}: person {place}"
            values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
            if not isinstance(values, list):
                raise InputError(f"{where}: the list pose_keypoints_2d is missing.")
            if not values:
                continue
            layout = layout or _BY_COUNT.get(len(values) // 3)
            if layout is None or len(values) != 3 * layout.joints:
                wanted = (
                    f"the {layout.joints} joints of {layout.name}"
                    if layout
                    else "BODY_25 (75) or COCO-18 (54)"
                )
                raise InputError(f"{where}: {len(values)} values are not those of {wanted}.")
            pose = numbers(values, where).reshape(-1, 3)
            collected.add(number, pose, person_of(person.get("person_id"), where))
    return [collected.recording("OpenPose frames", layout)]
