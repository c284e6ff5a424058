"""What must hold of every input: a documented error or success, soon, and without much memory."""

from __future__ import annotations

import faulthandler
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from daflow.core.errors import InputError

MAX_SECONDS = 60  # of processor time
_MAX_REAL_SECONDS = 600  # on a busy machine
MAX_MEMORY = 500 << 20  # bytes
_MAX_ADDRESS_SPACE = 4 << 30  # bytes more: what asks for more gets a MemoryError, not the whole machine
_MAX_MESSAGE = 1_000  # characters of a line


class Hang(BaseException):
    """An input kept the toolkit busy for too long; no `except Exception` catches it."""


@contextmanager
def guarded() -> Iterator[None]:
    """Check what one input does: the only exception is an `InputError` with a message for people.

    Raises:
        Hang: it keeps the processor busy for a minute. Where it waits for ten, or the interpreter itself hangs, the
            process ends with a traceback.
        AssertionError: it takes more than 500 MB of memory, or the message is not fit for a screen.
    """
    before = _reset_peak()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + _MAX_ADDRESS_SPACE, hard))
    former = signal.signal(signal.SIGPROF, _hang)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    faulthandler.dump_traceback_later(_MAX_REAL_SECONDS, exit=True)
    try:
        yield
    except InputError as error:
        check_message(error.message)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    taken = _status("VmHWM") - before
    assert taken <= MAX_MEMORY, f"it took {taken >> 20} MiB of memory"


def check_message(message: str) -> None:
    """Check that a message for users is one, of lines that a screen can show."""
    lines = message.splitlines()
    assert lines, "the error has no message"
    for line in lines:
        assert line.replace("\u200c", "").replace("\u200d", "").isprintable(), (
            f"the message has characters that no screen shows: {line[:300]!r}"
        )
        assert len(line) <= _MAX_MESSAGE, f"the message has {len(line)} characters: {line[:300]!r}"


def _hang(signum: int, frame: FrameType | None) -> None:
    raise Hang(f"it takes more than {MAX_SECONDS} s of processor time")


def _reset_peak() -> int:
    """Let the largest memory of the process begin anew, and return its memory in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")
    )
    return int(line.split()[1]) << 10
