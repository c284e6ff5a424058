"""Dumps of MediaPipe: a list of frames with 33 landmarks for each person, in fractions of the frame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeGuard

from daflow.core.errors import InputError
from daflow.formats.alphapose import entry_person
from daflow.formats.layouts import LAYOUTS
from daflow.formats.recording import Array, Options, Poses, Recording, frame_of, numbers

_POSES = ("landmarks", "pose_landmarks", "poseLandmarks", "keypoints")
_FRAMES = ("frame", "frame_id", "frame_number", "frame_index")
_JOINTS = 33


def is_landmarks(content: object) -> bool:
    """Whether a JSON value is a list of frames, of which the first one with somebody has 33 landmarks."""
    frames = _frames(content)
    return frames is not None and any(_first_pose(entry) is not None for entry in frames)


def read_landmarks(path: Path, content: Any, options: Options) -> list[Recording]:
    """Read a list of frames.

    A frame is a list of landmarks, a list of people with their landmarks, null, or an object that has one of these in
    `landmarks` or `pose_landmarks` and perhaps its number in `frame`; else its place in the list is its number. A
    landmark is an object with x, y and perhaps visibility, or a list: x, y; x, y, visibility; x, y, z, visibility, and
    perhaps presence.

    Raises:
        InputError: it is not of this form.
    """
    frames = _frames(content)
    if frames is None:
        raise InputError(f"{path} is not a list of frames with landmarks.")
    collected = Poses(path)
    for place, entry in enumerate(frames):
        where = f"{path}: frame {place}"
        number = place
        if isinstance(entry, dict):
            given = next((entry[name] for name in _FRAMES if name in entry), place)
            number = frame_of(given, where)
        person = entry_person(entry, where) if isinstance(entry, dict) else -1
        for pose in _people(entry, where):
            collected.add(number, _pose(pose, where), person)
    layout = options.layout or LAYOUTS["blazepose"]
    return [collected.recording("MediaPipe landmarks", layout, "fractions")]


def _frames(content: object) -> list[Any] | None:
    if isinstance(content, dict):
        content = content.get("frames")
    return content if isinstance(content, list) else None


def _found(entry: object) -> object:
    """What a frame has in place of landmarks; None for nobody."""
    if isinstance(entry, dict):
        return next((entry[name] for name in _POSES if name in entry), None)
    return entry


def _is_landmark(value: object) -> bool:
    if isinstance(value, dict):
        return {"x", "y"} <= set(value)
    return isinstance(value, list) and bool(value) and not isinstance(value[0], list | dict)


def _is_pose(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and len(value) == _JOINTS and _is_landmark(value[0])


def _first_pose(entry: object) -> list[Any] | None:
    found = _found(entry)
    if _is_pose(found):
        return found
    if isinstance(found, list) and found and _is_pose(found[0]):
        return found[0]
    return None


def _people(entry: object, where: str) -> list[Any]:
    found = _found(entry)
    if found is None or found == []:
        return []
    if not isinstance(found, list):
        raise InputError(f"{where}: the list of landmarks is missing.")
    people = [found] if _is_landmark(found[0]) else [pose for pose in found if pose]
    if not all(_is_pose(pose) for pose in people):
        raise InputError(f"{where}: a person has not {_JOINTS} landmarks.")
    return people


def _pose(landmarks: list[Any], where: str) -> Array:
    rows: list[list[object]] = []
    for mark in landmarks:
        if isinstance(mark, dict):
            rows.append([mark.get("x"), mark.get("y"), mark.get("visibility", 1.0)])
        elif isinstance(mark, list) and 2 <= len(mark) <= 5:
            rows.append([*mark[:2], mark[min(3, len(mark) - 1)] if len(mark) > 2 else 1.0])
        elif mark is None:
            rows.append([math.nan] * 3)
        else:
            raise InputError(
                f"{where}: a landmark is not an object with x and y, or a list of 2 to 5 numbers."
            )
    return numbers([value for row in rows for value in row], where).reshape(-1, 3)
