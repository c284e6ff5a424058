"""YOLO-pose: one text file a frame, one line a person, in fractions of the frame.

A line is `class cx cy w h (x y v)*K`, or without `v`, as Ultralytics writes it with `save_txt`; then perhaps the
confidence of the box (`save_conf`), then perhaps the number of the track.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from daflow.core.errors import InputError
from daflow.core.files import decode_text
from daflow.formats.layouts import LAYOUTS
from daflow.formats.recording import Array, Options, Poses, Recording, person_of, without_flags

_BOX = 5  # class, center, width, height


def is_line(line: str) -> bool:
    """Whether a line of text may be a person: at least 33 numbers between spaces."""
    try:
        return len([float(word) for word in line.split()]) >= _BOX + 28
    except ValueError:
        return False


def read_frames(path: Path, frames: Iterable[tuple[int, Path, bytes]], options: Options) -> list[Recording]:
    """Read the frames of a clip; an empty file is a frame without people.

    Args:
        path: what an error about all of them names.
        frames: number, path and bytes of each frame.
        options: what a person says; without a layout the joints are COCO's 17, which YOLO's models have.

    Raises:
        InputError: a line has another form, or lines have several forms.
    """
    layout = options.layout or LAYOUTS["coco"]
    collected, extras = Poses(path), []
    width = 0
    for number, file, content in frames:
        for place, row in enumerate(_rows(file, content), start=1):
            where = f"{file}, line {place}"
            if not width:
                width = len(row)
                joints = _values_of(width, layout.joints, options.layout is not None, where)
            if len(row) != width:
                raise InputError(f"{where} has {len(row)} values, and others have {width}.")
            end = _BOX + layout.joints * joints
            collected.add(number, row[_BOX:end].reshape(layout.joints, joints))
            extras.append(row[end:])
    recording = collected.recording("YOLO frames", layout, "fractions")
    recording = replace(recording, keypoints=without_flags(recording.keypoints))
    return [_with_extras(recording, np.asarray(extras), path)] if extras and len(extras[0]) else [recording]


def _rows(file: Path, content: bytes) -> list[Array]:
    try:
        lines = [line for line in decode_text(content).splitlines() if line.strip()]
        return [np.array([float(word) for word in line.split()]) for line in lines]
    except ValueError:
        raise InputError(f"{file} is not a frame of YOLO: each line must hold numbers alone.") from None


def _values_of(width: int, joints: int, sure: bool, where: str) -> int:
    """Return how many values a joint has, 2 or 3, from the number of values in a line."""
    left = width - _BOX
    if not sure and left == 36:
        raise InputError(
            f"{where}: {width} values may be 17 joints with a confidence and a track, or 18 joints: give --layout coco "
            "or --layout openpose18."
        )
    for values in (3, 2):
        if 0 <= left - values * joints <= 2:
            return values
    raise InputError(
        f"{where}: {width} values are not class, box and {joints} joints of x, y and perhaps visibility. Give another "
        "--layout."
    )


def _with_extras(recording: Recording, extras: Array, path: Path) -> Recording:
    """Add the confidence of the box and the number of the track; a single one is a number when all are whole."""
    last = extras[:, -1]
    whole = bool((np.isfinite(last) & (last == np.round(last))).all())
    if extras.shape[1] == 2 and not whole:
        raise InputError(f"{path}: the last value of a line is not the number of a track.")
    scores = extras[:, 0] if extras.shape[1] == 2 or not whole else np.full(len(extras), math.nan)
    scores = np.where(np.abs(scores) <= 1, scores, math.nan)
    people = [person_of(float(value), str(path)) for value in last] if whole else recording.people
    return replace(
        recording, people=np.asarray(people, dtype=np.int64), scores=np.asarray(scores, dtype=np.float32)
    )
