"""Plays a recording at its own speed, as if it were a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from runtime.sources.frames import Frame, Source, SourceStatus
from runtime.sources.status import StatusKeeper

_LATE_S = 0.1


class RealtimeSource:
    """Holds each frame of a recording back until its time has come.

    Args:
        source: the recording.
        latest: leave out and count the frames that are late because the edge is slower than the recording; else
            each of them is played, late.
    """

    def __init__(self, source: Source, latest: bool) -> None:
        self.fps = source.fps
        self.frames = source.frames
        self._source = source
        self._latest = latest
        self._late = max(_LATE_S, 1 / source.fps)
        self._stopped = threading.Event()
        self._dropped = StatusKeeper()

    @property
    def status(self) -> SourceStatus:
        """How the recording is doing."""
        return replace(self._source.status, dropped=self._dropped.value.dropped)

    def __iter__(self) -> Iterator[Frame]:
        began: float | None = None
        for frame in self._source:
            began = time.monotonic() - frame.time if began is None else began
            early = began + frame.time - time.monotonic()
            if self._latest and early < -self._late:
                self._dropped.drop()
                continue
            if self._stopped.wait(max(0.0, early)):
                return
            yield replace(frame, utc=time.time())

    def __enter__(self) -> RealtimeSource:
        self._source.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._stopped.set()
        self._source.__exit__(*details)
