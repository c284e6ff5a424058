"""Labels of frames as a table: a CSV file with one line for each frame of each clip, beside the folders of masks."""

from __future__ import annotations

import csv
import io
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import numpy as np

from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.files import StrPath, read_text

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
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not a table of labels: {error}.") from None
    found: dict[str, dict[int, int]] = {}
    for line, clip, frame, label in _rows(path, text):
        if frame in found.setdefault(clip, {}):
            raise InputError(
                f"{path}, line {line}: frame {frame} of clip {reprlib.repr(clip)[1:-1]} is labelled twice."
            )
        found[clip][frame] = label
    if not found:
        raise InputError(f"{path} holds no label.")
    if sum(max(frames) + 1 for frames in found.values()) > MAX_FRAMES:
        raise InputError(
            f"{path}: its clips have more than {MAX_FRAMES} frames in total. Check the frame numbers."
        )
    return {clip: _mask(frames) for clip, frames in found.items()}


def _rows(path: Path, text: str) -> Iterator[tuple[int, str, int, int]]:
    """Yield the number of the line, the clip, the frame and the label of each row."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        if header[:2] != ["clip", "frame"] or len(header) != 3 or header[2] not in _VALUES:
            raise InputError(
                f"{path}, line 1: the header must be clip,frame,label, clip,frame,abnormal or clip,frame,posture."
            )
        values = _VALUES[header[2]]
        for row in rows:
            if not row:
                continue
            where = f"{path}, line {rows.line_num}"
            if len(row) != 3:
                raise InputError(f"{where}: {len(row)} values instead of {','.join(header)}.")
            clip, frame, value = (cell.strip() for cell in row)
            if not clip:
                raise InputError(f"{where}: the clip has no name.")
            if not (frame.isascii() and frame.isdigit() and len(frame) < 16 and int(frame) < MAX_FRAMES):
                raise InputError(
                    f"{where}: frame {reprlib.repr(frame)} is not a number from 0 to {MAX_FRAMES - 1}."
                )
            if value not in values:
                raise InputError(
                    f"{where}: {header[2]} {reprlib.repr(value)} is not one of {', '.join(values)}."
                )
            yield rows.line_num, clip, int(frame), values[value]
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: it cannot be read as CSV: {error}.") from None


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
