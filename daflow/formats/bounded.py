"""Files that somebody else wrote: opened within limits, unpacked where they are gzip files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from daflow.core.errors import InputError
from daflow.core.files import parse_json

MAX_BYTES = 256 << 20
"""Bytes of a file at most, unpacked."""

MAX_FRAME_BYTES = 16 << 20
"""Bytes of a file of one frame at most, unpacked."""

MAX_VALUES = 50_000_000
"""Numbers of a clip at most, and values of a JSON file: Python makes up to 64 bytes of one."""

_GZIP = b"\x1f\x8b"
_HEAD = 4096
_PIECE = 1 << 20


def read_head(path: Path) -> bytes:
    """Return the first 4096 bytes of a file, unpacked.

    Raises:
        InputError: it is a damaged gzip file, or no file.
        OSError: it cannot be read.
    """
    return _read(path, _HEAD)


def read_whole(path: Path, limit: int | None = None) -> bytes:
    """Return the bytes of a file, unpacked.

    Args:
        path: the file.
        limit: bytes at most, None is `MAX_BYTES`.

    Raises:
        InputError: it has more bytes than that, is a damaged gzip file, or no file.
        OSError: it cannot be read.
    """
    limit = MAX_BYTES if limit is None else limit
    content = _read(path, limit + 1)
    if len(content) > limit:
        raise InputError(f"{path} is larger than {limit >> 20} MiB, which is the limit. Split the recording.")
    return content


def read_json(path: Path, content: bytes) -> Any:
    """Return the value of a JSON file.

    Raises:
        InputError: it is not valid JSON, or has more values than `MAX_VALUES`.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise InputError(
            f"{path} holds more than {MAX_VALUES} values, which is the limit. Split the recording."
        )
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None


def _read(path: Path, size: int) -> bytes:
    """Return at most so many bytes, unpacked; room is made for what is there, not for what is allowed."""
    if not path.is_file():  # a pipe or a device may never end
        raise InputError(f"{path} is not a file.")
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        try:
            return _pieces(gzip.GzipFile(fileobj=file) if packed else file, size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{path} is a damaged gzip file: {error}.") from None


def _pieces(file: BinaryIO | gzip.GzipFile, size: int) -> bytes:
    content = bytearray()
    while piece := file.read(min(_PIECE, size - len(content))):
        content += piece
    return bytes(content)
