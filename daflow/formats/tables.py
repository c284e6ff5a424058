"""Tables in CSV: one line for each joint (long), or one line for each pose (wide)."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.files import decode_text
from daflow.core.log import shortened
from daflow.formats.bounded import MAX_VALUES
from daflow.formats.layouts import COUNTS, Keypoints, Layout, joint_name, layout_by_names
from daflow.formats.recording import (
    NOBODY,
    Options,
    Poses,
    Recording,
    frame_of,
    person_of,
    require_frame,
)

_FRAME = ("frame", "frame_id", "frame_number", "frame_index", "image", "image_id")
_PERSON = ("person", "person_id", "track", "track_id", "id", "idx")
_JOINT = (
    "joint",
    "joint_name",
    "joint_id",
    "keypoint",
    "keypoint_name",
    "keypoint_id",
    "landmark",
    "bodypart",
)
_COORDINATES = {
    "x": 0, "y": 1,
    **dict.fromkeys(("c", "conf", "confidence", "score", "s", "v", "visibility", "likelihood"), 2),
}  # fmt: skip
_NUMBERED = re.compile(rf"({'|'.join(_COORDINATES)})_?([0-9]{{1,3}})")
_NAMED = re.compile(rf"(.+?)[_ .:-]?({'|'.join(sorted(_COORDINATES, key=len, reverse=True))})")
_MAX_JOINTS = 256


@dataclass(frozen=True)
class _Table:
    """The text of a table, whose lines are parsed one by one: lists of cells take many times as much memory."""

    path: Path
    text: str
    delimiter: str
    columns: dict[str, int]

    def column(self, names: tuple[str, ...]) -> int | None:
        return next((self.columns[name] for name in names if name in self.columns), None)

    def numbered(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each line with the beginning of an error about it."""
        rows = _rows(self.path, self.text, self.delimiter)
        next(rows, None)
        for number, row in enumerate(rows, start=2):
            where = f"{self.path}, line {number}"
            if len(row) != len(self.columns):
                raise InputError(
                    f"{where} has {len(row)} values, and the first line has {len(self.columns)}."
                )
            yield where, row

    def frame(self, row: list[str], where: str) -> int:
        place = self.column(_FRAME)
        assert place is not None
        cell = row[place].strip()
        if re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell, re.IGNORECASE):
            value = _number(cell, where)
            if not abs(value) <= MAX_FRAMES or value != int(value):
                raise InputError(f"{where}: {shortened(cell, 40)} is not the number of a frame.")
            frame = int(value)
        else:
            frame = frame_of(cell, where)
        require_frame(frame, where)
        return frame

    def person(self, row: list[str], where: str) -> int:
        place = self.column(_PERSON)
        cell = row[place].strip() if place is not None else ""
        return person_of(cell, where) if cell else NOBODY


def read_table(path: Path, content: bytes, options: Options) -> list[Recording]:
    """Read a table; its columns tell whether it is long or wide. Columns end with a comma, a semicolon or a tab.

    Long: frame, perhaps person, joint (an index or a name), x, y, perhaps confidence. Wide: frame, perhaps person, and
    for each joint x0, y0 and perhaps c0, or nose_x, nose_y and perhaps nose_c. An empty cell of a coordinate is a joint
    that was not seen.

    Raises:
        InputError: it is not a table of this form.
    """
    table = _parse(path, content)
    if table.column(_FRAME) is None:
        raise InputError(f"{path} has no column frame.")
    if table.column(_JOINT) is not None:
        return [_read_long(table, options)]
    return [_read_wide(table, options)]


def _parse(path: Path, content: bytes) -> _Table:
    try:
        text = decode_text(content).replace("\r\n", "\n").replace("\r", "\n")
    except ValueError as error:
        raise InputError(f"{path} is not a table: {error}.") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    names = [name.strip().lower() for name in next(_rows(path, text, delimiter), [])]
    if len(set(names)) != len(names):
        raise InputError(f"{path} has two columns of one name.")
    return _Table(path, text, delimiter, {name: place for place, name in enumerate(names)})


def _rows(path: Path, text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of each line that is not empty."""
    try:
        yield from filter(None, csv.reader(_lines(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is not a table: {error}.") from None


def _lines(text: str) -> Iterator[str]:
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _number(cell: str, where: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise InputError(f"{where}: {shortened(repr(cell), 40)} is not a number.") from None


def _read_long(table: _Table, options: Options) -> Recording:
    joint = table.column(_JOINT)
    places = [table.columns.get("x"), table.columns.get("y")]
    confidence = next(
        (table.columns[name] for name, axis in _COORDINATES.items() if axis == 2 and name in table.columns),
        None,
    )
    if None in places or joint is None:
        raise InputError(f"{table.path} has a column of joints, and none of x or y.")
    names: dict[str, int] = {}
    for where, row in table.numbered():
        names.setdefault(row[joint].strip(), len(names))
        if len(names) > _MAX_JOINTS:
            raise InputError(f"{where}: there are more than {_MAX_JOINTS} joints.")
    index, count, layout = _order(table, names, options)
    poses: dict[tuple[int, int], Keypoints] = {}
    seen: dict[tuple[int, int], int] = defaultdict(int)  # one bit for each joint that a pose has
    for where, row in table.numbered():
        frame, person, place = table.frame(row, where), table.person(row, where), index[row[joint].strip()]
        if seen[frame, person] >> place & 1:
            raise InputError(
                f"{where}: the joint is there twice in frame {frame}. Several people need a column person."
            )
        seen[frame, person] |= 1 << place
        if (frame, person) not in poses:
            if (len(poses) + 1) * count * 3 > MAX_VALUES:
                raise InputError(f"{table.path} holds more than {MAX_VALUES} values.")
            poses[frame, person] = np.full((count, 3), math.nan, dtype=np.float32)
        values = [_number(row[column], where) for column in places if column is not None]
        cell = row[confidence] if confidence is not None else ""
        poses[frame, person][place] = (*values, _number(cell, where) if cell.strip() else 1.0)
    collected = Poses(table.path)
    for (frame, person), pose in poses.items():
        collected.add(frame, pose, person)
    return collected.recording("table of joints (long)", layout)


def _order(
    table: _Table, names: dict[str, int], options: Options
) -> tuple[dict[str, int], int, Layout | None]:
    """Return the place of each joint that is named, the number of joints, and the layout if it is known."""
    if all(re.fullmatch(r"[0-9]{1,3}", name) for name in names):
        index = {name: int(name) for name in names}
        count = options.joints or max(index.values(), default=16) + 1
        if max(index.values(), default=0) >= count:
            raise InputError(
                f"{table.path} has joint {max(index.values())}, and the layout has {count} joints."
            )
        if count not in COUNTS:
            raise InputError(f"{table.path} has {count} joints, which is no known layout: give --layout.")
        return index, count, options.layout
    return names, len(names), _by_names(table, list(names), options)


def _read_wide(table: _Table, options: Options) -> Recording:
    columns, layout = _wide_columns(table, options)
    collected = Poses(table.path)
    for where, row in table.numbered():
        pose = np.full((len(columns), 3), math.nan, dtype=np.float32)
        for place, (x, y, c) in enumerate(columns):
            if x is None or y is None:
                continue
            cell = row[c] if c is not None else ""
            pose[place] = (
                _number(row[x], where), _number(row[y], where), _number(cell, where) if cell.strip() else 1.0
            )  # fmt: skip
        collected.add(table.frame(row, where), pose, table.person(row, where))
    return collected.recording("table of poses (wide)", layout)


def _wide_columns(
    table: _Table, options: Options
) -> tuple[list[tuple[int | None, int | None, int | None]], Layout | None]:
    """Return the columns of x, y and confidence of each joint, and the layout if it is known."""
    kept = {table.column(_FRAME), table.column(_PERSON)}
    numbered: dict[int, list[int | None]] = {}
    named: dict[str, list[int | None]] = {}
    for name, column in table.columns.items():
        if column in kept:
            continue
        if match := _NUMBERED.fullmatch(name):
            numbered.setdefault(int(match[2]), [None] * 3)[_COORDINATES[match[1]]] = column
        elif match := _NAMED.fullmatch(name):
            named.setdefault(match[1], [None] * 3)[_COORDINATES[match[2]]] = column
    if numbered:
        count = options.joints or max(numbered) + 1
        if count not in COUNTS or max(numbered) >= count:
            raise InputError(f"{table.path} has columns of {max(numbered) + 1} joints: give the --layout.")
        joints = [numbered.get(place, [None] * 3) for place in range(count)]
        return [(x, y, c) for x, y, c in joints], options.layout
    whole = {name: joint for name, joint in named.items() if joint[0] is not None and joint[1] is not None}
    if not any(map(joint_name, whole)):
        raise InputError(
            f"{table.path} has no columns joint, x, y, nor x0, y0, x1, y1 and so on, nor nose_x, nose_y and so on."
        )
    return [(x, y, c) for x, y, c in whole.values()], _by_names(table, list(whole), options)


def _by_names(table: _Table, names: list[str], options: Options) -> Layout:
    """Return the layout of joints that have names; these are the order, whatever it is.

    Raises:
        InputError: they are not those of a body, or a layout is given.
    """
    if options.layout:
        raise InputError(f"{table.path} names its joints, so no --layout is needed.")
    try:
        layout = layout_by_names(names)
    except InputError as error:
        raise InputError(f"{table.path}: {error.message.removesuffix(': give --layout.')}.") from None
    if layout is None:
        raise InputError(f"{table.path} has no joint that is called as in COCO, such as left_shoulder.")
    return layout
