"""What a track file cannot say about its clip: tables by clip name, beside the track files of a folder.

`frame_sizes.json` holds `{clip: [width, height]}` in pixels and `frame_rates.json` holds
`{clip: {"fps": mean, "low": slowest, "high": fastest}}` in frames per second; a plain number is a constant rate. Both
may be written by hand. A table is changed under the lock of its folder, so that several processes can add clips.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, StrictInt, TypeAdapter

from daflow.core.data.frame_rate import Fps, FrameRate
from daflow.core.errors import InputError
from daflow.core.files import StrPath, locked, parse_json, write_text

FRAME_SIZES = "frame_sizes.json"
FRAME_RATES = "frame_rates.json"

FrameSize = tuple[int, int]
"""Width and height of a video frame in pixels."""

_Entry = TypeVar("_Entry")

MAX_SIDE = 32_768
"""Pixels of a frame's width or height at most."""

_Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]
_SIZES: TypeAdapter[dict[str, tuple[_Side, _Side]]] = TypeAdapter(dict[str, tuple[_Side, _Side]])
_RATES: TypeAdapter[dict[str, Fps | dict[str, Fps]]] = TypeAdapter(dict[str, Fps | dict[str, Fps]])


def require_frame_size(size: object) -> None:
    """Check that a value is a width and a height in whole pixels.

    Raises:
        InputError: it is not, or one of them is not from 1 to 32768.
    """
    if not (
        isinstance(size, tuple | list)
        and len(size) == 2
        and all(isinstance(side, Integral) and not isinstance(side, bool) for side in size)
        and all(1 <= side <= MAX_SIDE for side in size)
    ):
        raise InputError(
            f"The frame size {reprlib.repr(size)} is not a width and a height in pixels, each from 1 to {MAX_SIDE}."
        )


def read_frame_sizes(folder: StrPath) -> dict[str, FrameSize]:
    """Read `frame_sizes.json`: frame sizes by clip name, empty when the file is missing.

    Raises:
        InputError: the file is invalid.
    """
    return read_table(
        Path(folder) / FRAME_SIZES, _SIZES, f"{{clip: [width, height]}}, both from 1 to {MAX_SIDE} pixels"
    )


def add_frame_sizes(folder: StrPath, sizes: Mapping[str, FrameSize]) -> None:
    """Add frame sizes by clip name to `frame_sizes.json`.

    Raises:
        OSError: the folder cannot be written.
    """
    update_table(Path(folder) / FRAME_SIZES, _SIZES, sizes)


def read_frame_rates(folder: StrPath) -> dict[str, FrameRate]:
    """Read `frame_rates.json`: frame rates by clip name, empty when the file is missing.

    Raises:
        InputError: the file is invalid.
    """
    path = Path(folder) / FRAME_RATES
    form = '{clip: frames per second} or {clip: {"fps": mean, "low": slowest, "high": fastest}}'
    content = read_table(path, _RATES, form)
    try:
        return {
            clip: FrameRate(**rate) if isinstance(rate, dict) else FrameRate.constant(rate)
            for clip, rate in content.items()
        }
    except TypeError:
        raise InputError(f"{path} is invalid: it must hold {form}.") from None


def add_frame_rates(folder: StrPath, rates: Mapping[str, FrameRate]) -> None:
    """Add frame rates by clip name to `frame_rates.json`.

    Raises:
        OSError: the folder cannot be written.
    """
    update_table(Path(folder) / FRAME_RATES, _RATES, {clip: vars(rate) for clip, rate in rates.items()})


def read_table(path: Path, kind: TypeAdapter[dict[str, _Entry]], form: str) -> dict[str, _Entry]:
    """Read a table by clip name, empty when the file is missing.

    Args:
        path: the file.
        kind: what it must hold.
        form: the same in words, for the error.

    Raises:
        InputError: the file is invalid.
    """
    try:
        return kind.validate_python(parse_json(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        reason = "" if hasattr(error, "errors") else f" ({error})"  # pydantic's words name no file
        raise InputError(f"{path} is invalid{reason}: it must hold {form}.") from None


def update_table(path: Path, kind: TypeAdapter[dict[str, Any]], entries: Mapping[str, Any]) -> None:
    """Add entries to a table by clip name, under the lock of its folder; an entry of the same clip is replaced.

    Raises:
        InputError: the file that is there is invalid.
        OSError: the folder cannot be written.
    """
    with locked(path.parent):
        content = {**read_table(path, kind, "a table by clip name"), **entries}
        write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
