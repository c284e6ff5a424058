"""How long each stage of a frame took."""

from __future__ import annotations

import time
from collections import defaultdict, deque

STAGES = ("capture", "pose", "track", "window", "score", "alarm", "sinks")
_KEPT = 100_000


class StageClock:
    """Counts the time since the last lap towards a stage.

    >>> clock = StageClock()
    >>> clock.lap("pose")
    >>> list(clock.seconds)
    ['pose']
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the seconds since the last lap to `stage`."""
        now = time.perf_counter()
        self.seconds[stage].append(now - self._last)
        self._last = now
