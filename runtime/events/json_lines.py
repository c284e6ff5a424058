"""Messages as lines of JSON: appended to a file, or printed."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from daflow.core.errors import InputError
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage

logger = logging.getLogger(__name__)

_EVENT_START = b'{"schema":'
_BLOCK_BYTES = 65_536


class JsonLines:
    """Appends a line for each message to a file, and opens it for each write, so that it may be rotated.

    The file holds whole lines only: the part of a line that was written when the disk was full is removed at once, and
    the part that a killed process wrote is removed before the next line. If the last line has no line end and is not an
    event, a line end is added.

    Args:
        path: the file; its folder is created. A pipe or a terminal works too.

    Raises:
        InputError: it cannot be written to.
    """

    name = "lines"
    pictures = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):
                pass
        except OSError as error:
            raise InputError(f"Cannot write events to {path}: {error.strerror}.") from error

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Append the messages; they are on the disk when this returns."""
        done = 0
        try:
            with self._path.open("ab", buffering=0) as stream:
                if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    self._repair()
                for message in messages:
                    _append(stream.fileno(), message.json().encode() + b"\n")
                    done += 1
                if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    os.fsync(stream.fileno())
        except OSError as error:
            raise DeliveryFailed(f"cannot write to {self._path}: {error.strerror}", delivered=done) from error

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _repair(self) -> None:
        """Remove an incomplete event at the end; add a line end to an incomplete line that is none."""
        with self._path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            tail, start = b"", end
            while start > 0 and b"\n" not in tail:
                size = min(_BLOCK_BYTES, start)
                start = file.seek(start - size)
                tail = file.read(size) + tail
            line = tail[tail.rfind(b"\n") + 1 :]
            if not line:
                return
            if not (line.startswith(_EVENT_START) or _EVENT_START.startswith(line)):
                file.write(b"\n")
                return
            file.truncate(end - len(line))
            logger.warning(
                "Removed an incomplete line at the end of %s; its event is written again", self._path
            )


def _append(descriptor: int, line: bytes) -> None:
    """Append a whole line or nothing."""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    end = os.fstat(descriptor).st_size
    left = memoryview(line)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        if regular:
            os.ftruncate(descriptor, end)
        raise


class Stdout:
    """Prints a line for each message on standard output."""

    name = "stdout"
    pictures = False

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Print the messages; standard output is flushed when this returns."""
        try:
            for message in messages:
                sys.stdout.write(message.json() + "\n")
            sys.stdout.flush()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            raise DeliveryFailed(f"cannot write to standard output: {error}") from error

    def close(self) -> None:
        """Do nothing: standard output belongs to the process."""
