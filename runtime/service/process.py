"""What the process of a service does beside it: who may read its files, and which signals end and reload it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from runtime.service.service import Service


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Let only this user read what the process writes, as it is about people; also what SQLite and FFmpeg write.

    Files and folders that are there already keep their permissions.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def signals(service: Service) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the service in order, and SIGHUP reload it."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        service.stop()

    def reload(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        service.reload()

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
