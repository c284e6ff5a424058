"""What the programs of the child processes that read cameras have in common: they are begun, limited and ended alike.

What they are asked comes on standard input, as everybody can read command lines and it may hold a password.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

MEMORY_BYTES = 2 << 30  # chosen: 17 pictures of 8K, which H.264 may keep, take half of it
_KILL_FIRST = "1000"  # the process that Linux ends when memory is short, rather than the service


def begin() -> Any:
    """Return the request, a line of JSON on standard input, with the limits of this process set.

    From now on it ends when standard input is closed, as its parent's end does.
    """
    _limit_resources()
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return request


def end() -> NoReturn:
    """End this process; the end of Python would wait for the thread that reads standard input, and abort."""
    os._exit(0)


def fail(reason: str) -> NoReturn:
    """End this process with a message, which the parent reads."""
    print(reason, file=sys.stderr, flush=True)  # noqa: T201 - the parent reads it
    os._exit(1)


def _limit_resources() -> None:
    for kind, limit in ((resource.RLIMIT_DATA, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):  # a lower limit holds already
            resource.setrlimit(kind, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILL_FIRST, encoding="ascii")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    end()
