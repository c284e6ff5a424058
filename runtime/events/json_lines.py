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

_OURS = b'{"schema":'
_BLOCK = 65_536


class JsonLines:
    """Appends a line for each message to a file, and holds it open only while it writes: it may be rotated.

    A line is whole or it is not there: what a full disk cut off is removed at once, what a killed process left is
    removed before the next line. A last line without line end that is not ours is ended instead.

    Args:
        path: the file; its folder is made. A pipe or a terminal will do.

    Raises:
        InputError: it cannot be written to.
    """

    name = "lines"

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
        """Nothing is held."""

    def _repair(self) -> None:
        """Remove half a line of ours at the end; end another's."""
        with self._path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            tail, start = b"", end
            while start > 0 and b"\n" not in tail:
                size = min(_BLOCK, start)
                start = file.seek(start - size)
                tail = file.read(size) + tail
            line = tail[tail.rfind(b"\n") + 1 :]
            if not line:
                return
            if not (line.startswith(_OURS) or _OURS.startswith(line)):
                file.write(b"\n")
                return
            file.truncate(end - len(line))
            logger.warning("Half a line at the end of %s was removed; its event is written again", self._path)


def _append(descriptor: int, line: bytes) -> None:
    """Append a line, or nothing of it."""
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

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Print the messages; they are the reader's when this returns."""
        try:
            for message in messages:
                sys.stdout.write(message.json() + "\n")
            sys.stdout.flush()
        except (OSError, ValueError) as error:  # ValueError: it is closed
            raise DeliveryFailed(f"cannot print: {error}") from error

    def close(self) -> None:
        """Standard output is not ours to close."""
