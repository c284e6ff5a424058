"""Plays a recording at its own speed, as if it were a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from runtime.sources.frames import Frame, Source, SourceStatus
from runtime.sources.status import StatusKeeper

_LATE_S = 0.1  # a frame later than this is dropped with `latest`; less is the scheduler's jitter


class RealtimeSource:
    """Delays each frame of a recording until its time.

    Args:
        source: the recording.
        latest: drop and count the frames that are late because processing is slower than the recording; otherwise
            every frame is played, late.
        clock: seconds that never go back.
        wait: waits for so many seconds and returns whether the source was closed meanwhile.
    """

    def __init__(
        self,
        source: Source,
        latest: bool,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.fps = source.fps
        self.frames = source.frames
        self._source = source
        self._latest = latest
        self._late = max(_LATE_S, 1 / source.fps)
        self._stopped = threading.Event()
        self._clock = clock
        self._wait = wait or self._stopped.wait
        self._dropped = StatusKeeper()

    @property
    def status(self) -> SourceStatus:
        """The status of the recording, with the frames that were dropped here."""
        return replace(self._source.status, dropped=self._dropped.value.dropped)

    def __iter__(self) -> Iterator[Frame]:
        began: float | None = None
        for frame in self._source:
            began = self._clock() - frame.time if began is None else began
            early = began + frame.time - self._clock()
            if self._latest and early < -self._late:
                self._dropped.drop()
                continue
            if self._wait(max(0.0, early)):
                return
            yield replace(frame, utc=time.time())

    def __enter__(self) -> RealtimeSource:
        self._source.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._stopped.set()
        self._source.__exit__(*details)
