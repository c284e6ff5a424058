"""AlphaPose: the list of results of a video, and the files of poses by person and frame that this project uses too."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError
from daflow.core.log import shortened
from daflow.formats.recording import Options, Poses, Recording, frame_of, person_of, pose_values, score_of

_PERSON_FIELDS = ("idx", "track_id", "person_id", "instance_id")


def is_results(content: object) -> bool:
    """Whether a JSON value is a list of results: `image_id` and `keypoints` of one pose in each entry."""
    return isinstance(content, list) and bool(content) and _is_result(content[0])


def _is_result(entry: object) -> bool:
    return isinstance(entry, dict) and "keypoints" in entry and "image_id" in entry


def is_tracks(content: object) -> bool:
    """Whether a JSON value is `{person: {frame: pose}}` or `{person: [{frame: pose}]}`."""
    return (
        isinstance(content, dict)
        and bool(content)
        and all(re.fullmatch(r"[0-9]+", name) for name in content)
        and all(isinstance(poses, dict | list) for poses in content.values())
    )


def read_results(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read a list of results; AlphaPose, Detectron2 and COCO's own tools write it.

    The frame is the number in `image_id`, such as `"12.jpg"`. The person is `idx`, `track_id` or `person_id`, a number
    or a list of one. Images of several folders, such as `"hall/0001.jpg"`, are a clip for each folder.

    Raises:
        InputError: an entry is no result.
    """
    if not isinstance(content, list):
        raise InputError(f"{path} is not a list of results.")
    clips: dict[str, Poses] = defaultdict(lambda: Poses(path))
    named = False
    for number, entry in enumerate(content):
        where = f"{path}: entry {number}"
        if not _is_result(entry):
            raise InputError(f"{where} has no image_id or no keypoints.")
        image = entry["image_id"]
        named |= isinstance(image, str)
        clips[folder_of(image)].add(
            frame_of(image, where),
            pose_values(entry["keypoints"], options.joints, where),
            entry_person(entry, where),
            score_of(entry.get("score"), where),
        )
    clips = clips or {"": Poses(path)}
    form = "AlphaPose results" if named or not content else "COCO results"
    several = len(clips) > 1
    return [poses.recording(form, name=name if several else "") for name, poses in clips.items()]


def entry_person(entry: dict[str, Any], where: str) -> int:
    """Return the number of the person of a pose, -1 where none of the usual fields gives one.

    Raises:
        InputError: it is no number.
    """
    for name in _PERSON_FIELDS:
        if name in entry:
            return person_of(entry[name], f"{where}: {name}")
    return person_of(None, where)


def folder_of(image: object) -> str:
    """Return the folder of an image as the name of a clip: letters, digits and `._-` alone, so it leads nowhere else.

    >>> folder_of("scene/../01/0001.jpg"), folder_of("0001.jpg"), folder_of(7)
    ('scene_01', '', '')
    """
    if not isinstance(image, str):
        return ""
    parts = [re.sub(r"[^\w.-]+", "_", part).strip("._") for part in re.split(r"[\\/]", image)[:-1]]
    return "_".join(part for part in parts if part)[:120]


def is_by_image(content: object) -> bool:
    """Whether a JSON value is `{image: {"people": [...]}}` or `{image: {"bodies": [...]}}`."""
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(image, dict) and isinstance(_bodies(image), list) for image in content.values())
    )


def _bodies(image: dict[str, Any]) -> object:
    return image.get("people", image.get("bodies"))


def read_by_image(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read poses by image, of AlphaPose's `--format open` and `--format cmu`; there are no numbers of people.

    Raises:
        InputError: it is not of this form.
    """
    if not is_by_image(content):
        raise InputError(f"{path} is not an object of images with people or bodies.")
    collected = Poses(path)
    for name, image in content.items():
        where = f"{path}: image {shortened(name)}"
        for person in _bodies(image):  # type: ignore[attr-defined]
            if not isinstance(person, dict):
                raise InputError(f"{where}: a person is not an object.")
            values = person.get("pose_keypoints_2d", person.get("joints"))
            collected.add(frame_of(name, where), pose_values(values, options.joints, where))
    return [collected.recording("AlphaPose results by image")]


def read_tracks(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read poses by person and frame, with or without confidences, with null for joints that were not seen.

    Raises:
        InputError: it is not of this form.
    """
    if content != {} and not is_tracks(content):
        raise InputError(f'{path} is not a pose track file: it must hold {{"1": {{"0000": pose}}}}.')
    collected = Poses(path)
    for name, given in content.items():
        parts = given if isinstance(given, list) else [given]
        if not all(isinstance(part, dict) for part in parts):
            raise InputError(f"{path}: person {shortened(name)}: the list must hold objects by frame.")
        for frame, pose in ((frame, pose) for part in parts for frame, pose in part.items()):
            where = f"{path}: person {shortened(name)}, frame {shortened(frame)}"
            if not isinstance(pose, dict):
                raise InputError(f"{where}: the list of keypoints is missing.")
            if not re.fullmatch(r"[0-9]{1,15}", frame):
                raise InputError(f"{where}: the frame is not a number.")
            score = pose.get("scores", math.nan)
            collected.add(
                int(frame),
                pose_values(pose.get("keypoints"), options.joints, where),
                person_of(name, where),
                score_of(score, where),
            )
    return [collected.recording("pose tracks")]
