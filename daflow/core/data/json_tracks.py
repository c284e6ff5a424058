"""Pose tracks as JSON, the form of the field: `{person: {frame: {"keypoints": [x, y, confidence] * J, "scores": s}}}`.

`s` is a number or null. Coordinates and confidences are written with three digits behind the point, scores with four.
The form carries neither frame size nor frame rate.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.clip import Track
from daflow.core.data.other_formats import convert_advice, describe_content, describe_keypoints
from daflow.core.errors import InputError
from daflow.core.files import parse_json, write_text
from daflow.core.log import shortened

_MAX_DIGITS = 15  # of the number of a person or a frame
_NUMBERS = frozenset({float, int})


def read_json_tracks(path: Path) -> tuple[tuple[Track, ...], list[str]]:
    """Read a file; a person whose poses are invalid is left out.

    Returns:
        The tracks in the order of the file, and the message of each person who is left out.

    Raises:
        InputError: the file is missing, not JSON or not a pose track file, or none of its persons is valid; the message
            names the file and, where it applies, the person and the frame.
    """
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"There is no pose track file {path}.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a pose track file.") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None
    if other := describe_content(content):
        raise InputError(f"{path} is not a pose track file but {other}. {convert_advice(path)}")
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a pose track file: it must hold a JSON object of persons.")
    tracks, skipped = [], []
    for name, poses in content.items():
        try:
            tracks.append(_read_person(path, name, poses))
        except InputError as error:
            skipped.append(error.message)
    if skipped and not tracks:
        raise InputError(skipped[0])
    persons = Counter(track.person for track in tracks)
    if doubled := [person for person, count in persons.items() if count > 1]:
        raise InputError(f"{path}: person {min(doubled)} appears twice.")
    return tuple(tracks), skipped


def write_json_tracks(path: Path, tracks: tuple[Track, ...]) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    write_text(path, json.dumps({str(track.person): _person_json(track) for track in tracks}))


def _person_json(track: Track) -> dict[str, dict[str, Any]]:
    keypoints = np.round(track.keypoints.astype(np.float64), 3)
    confidence, rounded = track.keypoints[..., 2], keypoints[..., 2]
    rounded[(confidence > 0) & (rounded == 0)] = 0.001  # 0 would say that the joint was not seen
    keypoints = keypoints.reshape(len(track.frames), -1)
    return {
        f"{frame:04d}": {
            "keypoints": points,
            "scores": None if np.isnan(score) else round(float(score), 4),
        }
        for frame, points, score in zip(track.frames.tolist(), keypoints.tolist(), track.scores, strict=True)
    }


def _read_person(path: Path, name: str, poses: object) -> Track:
    if isinstance(poses, list):  # AlphaPose's other form: a list of {frame: pose}
        if not all(isinstance(part, dict) for part in poses):
            raise InputError(f"{path}: person {shortened(name)}: the list must hold objects by frame.")
        pairs = [pair for part in poses for pair in part.items()]
    else:
        pairs = list(poses.items()) if isinstance(poses, dict) else []
    if not pairs:
        raise InputError(f"{path}: person {shortened(name)} has no poses by frame.")
    if not _is_number(name):
        raise InputError(f"{path}: person {shortened(name)!r}: the name must be a number.")
    person = int(name)
    if (wrong := next((key for key, _ in pairs if not _is_number(key)), None)) is not None:
        raise InputError(f"{path}: person {person}: frame {shortened(wrong)!r} is not a number.")
    numbers = {int(key): pose for key, pose in pairs}
    if len(numbers) != len(pairs):
        raise InputError(f"{path}: person {name} has two poses in one frame.")
    frames = sorted(numbers)
    joints = 0
    rows, scores = [], []
    for frame in frames:
        try:
            row, score = _read_pose(numbers[frame])
        except ValueError as error:
            raise InputError(f"{path}: person {name}, frame {frame}: {error}.") from None
        joints = joints or len(row) // 3
        if len(row) != 3 * joints or joints not in (17, 18):
            raise InputError(
                f"{path}: person {name}, frame {frame}: {len(row)} keypoint values. Each pose needs 17 or 18 joints of "
                f"x, y, confidence, the same number in every frame.{describe_keypoints(row)}"
            )
        rows.append(row)
        scores.append(score)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and its windows are skipped
        try:
            keypoints = np.asarray(rows, dtype=np.float32).reshape(-1, joints, 3)
            found = np.asarray(scores, dtype=np.float32)
        except OverflowError:
            raise InputError(f"{path}: person {name}, {_too_large(frames, rows, scores)}") from None
    return Track(person, np.asarray(frames, dtype=np.int64), keypoints, found)


def _read_pose(pose: object) -> tuple[list[float], float]:
    """Return the values of a pose as they are in the file, and its score; ValueError says what is wrong."""
    if not isinstance(pose, Mapping) or not isinstance(pose.get("keypoints"), list):
        raise ValueError("the list of keypoints is missing")
    row, score = pose["keypoints"], pose.get("scores")
    if not _NUMBERS.issuperset(map(type, row)):  # bool is not among them
        raise ValueError("a keypoint value is not a number")
    if score is not None and type(score) not in _NUMBERS:
        raise ValueError("the score is not a number")
    return row, float("nan") if score is None else score


def _too_large(frames: Sequence[int], rows: Sequence[list[float]], scores: Sequence[float]) -> str:
    """Say in which frame an integer is beyond any float."""
    for frame, row, score in zip(frames, rows, scores, strict=True):
        try:
            [float(value) for value in (*row, score)]
        except OverflowError:
            return f"frame {frame}: a value is too large."
    raise AssertionError("every value is a float")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
