"""A CSV file with a value for each frame of each clip: labels, or scores."""

from __future__ import annotations

import csv
import io
import reprlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.files import read_text

_T = TypeVar("_T")

Parsers = Mapping[str, Callable[[str], _T]]
"""By the name of the third column what reads its values, which raises a ValueError with the reason."""


def read_frame_table(path: Path, parsers: Parsers[_T], what: str) -> dict[str, dict[int, _T]]:
    """Read a table whose first line is `clip,frame,NAME`, and return the values by clip and frame.

    Args:
        path: the file.
        parsers: of each NAME that there may be.
        what: what an error calls the values, such as `label`.

    Raises:
        InputError: the file is missing or invalid; the message names the file and the line.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not a table of {what}s: {error}.") from None
    found: dict[str, dict[int, _T]] = {}
    for line, clip, frame, value in _rows(path, text, parsers):
        if frame in found.setdefault(clip, {}):
            raise InputError(
                f"{path}, line {line}: frame {frame} of clip {reprlib.repr(clip)[1:-1]} has a {what} already."
            )
        found[clip][frame] = value
    if not found:
        raise InputError(f"{path} holds no {what}.")
    if sum(max(frames) + 1 for frames in found.values()) > MAX_FRAMES:
        raise InputError(
            f"{path}: its clips have more than {MAX_FRAMES} frames in total. Check the frame numbers."
        )
    return found


def _rows(path: Path, text: str, parsers: Parsers[_T]) -> Iterator[tuple[int, str, int, _T]]:
    """Yield the number of the line, the clip, the frame and the value of each row."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        if header[:2] != ["clip", "frame"] or len(header) != 3 or header[2] not in parsers:
            *others, last = [f"clip,frame,{name}" for name in sorted(parsers)]
            names = f"{', '.join(others)} or {last}" if others else last
            raise InputError(f"{path}, line 1: the header must be {names}.")
        parse = parsers[header[2]]
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
            try:
                parsed = parse(value)
            except ValueError as error:
                raise InputError(f"{where}: {header[2]} {reprlib.repr(value)} is {error}.") from None
            yield rows.line_num, clip, int(frame), parsed
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: it cannot be read as CSV: {error}.") from None
