"""How long each stage of a frame took."""

from __future__ import annotations

import time
from collections import deque

STAGES = ("capture", "pose", "track", "window", "score", "alarm", "sinks")
_KEPT = 4096


class StageClock:
    """Measures the time of each stage, and keeps the last times.

    Args:
        kept: times that are kept for each stage, so that memory does not grow.

    >>> clock = StageClock()
    >>> clock.lap("pose")
    >>> list(clock.seconds)
    ['pose']
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self.seconds: dict[str, deque[float]] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the seconds since the last call as a time of `stage`."""
        now = time.perf_counter()
        self.add(stage, now - self._last)
        self._last = now

    def add(self, stage: str, seconds: float) -> None:
        """Add a time that was measured elsewhere, seconds."""
        laps = self.seconds  # `take` may change it from another thread
        if stage not in laps:
            laps[stage] = deque(maxlen=self._kept)
        laps[stage].append(seconds)

    def take(self) -> dict[str, list[float]]:
        """Return the times since the last call, and forget them; may be called from another thread."""
        taken, self.seconds = self.seconds, {}
        return {stage: list(seconds) for stage, seconds in taken.items()}
