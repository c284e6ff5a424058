"""Decoded pictures on a pipe: written by the process that decodes a network camera, read by the one that watches.

Each entry is a length (uint32), so many bytes of JSON, and the planes of a picture if the JSON has a `size`. An entry
without one says how the stream is, and that it lives.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from runtime.sources.containers import MAX_PIXELS
from runtime.sources.packets import Damage, display_matrix

LENGTH = struct.Struct("<I")
MAX_HEAD = 1 << 16
"""Bytes of JSON; a real entry has a few hundred."""

# Other pictures, such as those of 10 bits, become RGB before they are written: their colours would not be the same to
# the last bit afterwards, as PyAV cannot say where in a picture its colour samples lie.
_FORMATS = re.compile(r"yuvj?4[0-4]{2}p|gray|nv12|rgb24")
_COLOURS = ("color_range", "colorspace")  # what the conversion to RGB goes by
_MAX_MATRIX = 64  # bytes; a display matrix has 36


class PictureWriter:
    """Writes entries.

    Args:
        output: a file descriptor.
        damage: is told with each entry.
    """

    def __init__(self, output: int, damage: Damage) -> None:
        self._output = output
        self._damage = damage
        self._blank: Any = None

    def tell(self, **facts: Any) -> None:
        """Write an entry without a picture.

        Raises:
            BrokenPipeError: nobody reads.
        """
        told = {"damaged": self._damage.packets, "error": self._damage.error[:500], **facts}
        head = json.dumps(told).encode()
        self._write(LENGTH.pack(len(head)) + head)

    def write(self, picture: Any, stamp: float | None) -> None:
        """Write a picture (`av.VideoFrame`) with its colours as they are, and its time stamp in seconds.

        Raises:
            BrokenPipeError: nobody reads.
        """
        matrix = display_matrix(picture)
        if not _FORMATS.fullmatch(picture.format.name):
            picture = picture.reformat(format="rgb24")
        self.tell(
            stamp=stamp,
            size=(picture.width, picture.height),
            format=picture.format.name,
            colours=[int(getattr(picture, name)) for name in _COLOURS],
            matrix=matrix.hex() if matrix else None,
        )
        for plane, wanted in zip(picture.planes, self._blank_of(picture).planes, strict=True):
            self._write(_rows(plane, wanted.line_size))

    def _blank_of(self, picture: Any) -> Any:
        """A picture as the reader makes it: its lines may have another length than the decoder's."""
        form = (picture.width, picture.height, picture.format.name)
        if self._blank is None or form != (self._blank.width, self._blank.height, self._blank.format.name):
            self._blank = _blank(*form)
        return self._blank

    def _write(self, content: Any) -> None:
        left = memoryview(content)
        while left:
            left = left[os.write(self._output, left) :]


def read_picture(facts: Mapping[str, Any], fill: Callable[[memoryview], bool]) -> Any:
    """Return the picture (`av.VideoFrame`) of an entry, None if the pipe ends before it does.

    Args:
        facts: the JSON of the entry, not trusted: a decoder that was taken over may have written it.
        fill: fills a buffer from the pipe; returns whether there was enough.

    Raises:
        ValueError: the facts are none of a picture.
    """
    width, height = map(int, facts["size"])
    if min(width, height) < 1 or width * height > MAX_PIXELS or not _FORMATS.fullmatch(facts["format"]):
        raise ValueError("its pictures have a size or a format that is not read")
    picture = _blank(width, height, facts["format"])
    for name, value in zip(_COLOURS, facts["colours"], strict=True):
        setattr(picture, name, int(value))
    return picture if all(fill(memoryview(plane)) for plane in picture.planes) else None


def read_matrix(facts: Mapping[str, Any]) -> bytes | None:
    """Return the display matrix of an entry, if it has one."""
    return bytes.fromhex(facts["matrix"])[:_MAX_MATRIX] if facts.get("matrix") else None


def _blank(width: int, height: int, form: str) -> Any:
    import av

    return av.VideoFrame(width, height, form)


def _rows(plane: Any, length: int) -> Any:
    """Return the lines of a plane, each with so many bytes."""
    content, own = memoryview(plane), plane.line_size
    if own == length:
        return content
    padding = bytes(max(0, length - own))
    used = min(own, length)
    return b"".join(bytes(content[at : at + used]) + padding for at in range(0, own * plane.height, own))
