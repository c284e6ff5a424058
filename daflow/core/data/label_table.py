"""Labels of frames as a table: a CSV file with one line for each frame of each clip, beside the folders of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.frame_table import read_frame_table
from daflow.core.errors import InputError
from daflow.core.files import StrPath

_T = TypeVar("_T")

CLIPS_HELP = (
    "Only clips whose name matches this pattern, such as 'fall-0[1-7]' with its quotes. May be repeated."
)

_LABELS = {"-1": -1, "0": 0, "1": 1}  # ignored, normal, abnormal
_VALUES = {
    "posture": {"-1": 0, "0": 1, "1": 1},  # upright, falling, lying
    "label": _LABELS,
    "abnormal": _LABELS,
}


def read_labels(path: StrPath) -> dict[str, Labels]:
    """Read the labels of frames by clip name: a CSV file, or a folder of frame masks as `read_masks` reads them.

    The first line of a CSV file is `clip,frame,posture`, `clip,frame,label` or `clip,frame,abnormal`, which is the
    same as a label. Frames are counted from 0. A posture is -1 upright (normal), 0 falling or 1 lying (both abnormal);
    a label is 0 normal, 1 abnormal or -1 ignored. Frames without a line are ignored.

    Returns:
        `(frames,)` int64 of -1, 0 and 1 for each clip, as long as its last labelled frame.

    Raises:
        InputError: the file is missing or invalid; the message names the file and the line.
    """
    path = Path(path)
    if path.is_dir():
        return read_masks(path)
    table = read_frame_table(
        path, {name: partial(_value, values) for name, values in _VALUES.items()}, "label"
    )
    return {clip: _mask(frames) for clip, frames in table.items()}


def _value(values: Mapping[str, int], text: str) -> int:
    if text not in values:
        raise ValueError(f"not one of {', '.join(values)}")
    return values[text]


def _mask(frames: dict[int, int]) -> Labels:
    mask = np.full(max(frames) + 1, -1, dtype=np.int64)
    mask[list(frames)] = list(frames.values())
    return mask


def choose_clips(clips: Mapping[str, _T], globs: Sequence[str], thing: str) -> dict[str, _T]:
    """Return the clips whose names match one of the patterns; all clips without a pattern.

    Raises:
        InputError: a pattern matches no clip.

    >>> choose_clips({"a1": 1, "a2": 2, "b1": 3}, ["a?"], "label")
    {'a1': 1, 'a2': 2}
    """
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in clips):
            raise InputError(f"--clips {glob} matches the name of no clip with a {thing}.")
    return {
        n: value for n, value in clips.items() if not globs or any(fnmatchcase(n, glob) for glob in globs)
    }
