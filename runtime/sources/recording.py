"""What all recordings have in common: a rate, a number of frames, a status, and an end as soon as they are closed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeVar

from runtime.sources.frames import Frame, SourceStatus
from runtime.sources.status import StatusKeeper

_Self = TypeVar("_Self", bound="Recording")


class Recording(ABC):
    """A source that is read by the thread that iterates over it; see `runtime.sources.frames.Source`.

    Args:
        fps: the nominal rate, frames per second.
        frames: their number, None when it is unknown or without end.
    """

    def __init__(self, fps: float, frames: int | None) -> None:
        self.fps = fps
        self.frames = frames
        self._status = StatusKeeper()
        self._stopped = threading.Event()

    @property
    def status(self) -> SourceStatus:
        """How far the recording is, and what went wrong."""
        return self._status.value

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
