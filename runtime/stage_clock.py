"""How long each stage of a frame took."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping

STAGES = ("capture", "pose", "track", "window", "score", "alarm", "sinks")
BOUNDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the histogram's buckets, seconds."""
_KEPT = 4096


class StageTotals:
    """All times of a stage since the start, as a histogram.

    Attributes:
        seconds: their sum.
        buckets: how many were in each of `BOUNDS`, and last how many were longer.
    """

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)

    @property
    def count(self) -> int:
        """How many times there were."""
        return sum(self.buckets)

    def add(self, seconds: float) -> None:
        """Count a time."""
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def merge(self, other: StageTotals) -> None:
        """Count all times of another."""
        self.seconds += other.seconds
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]


class StageClock:
    """Measures the time of each stage, keeps the last times, and counts all of them.

    Args:
        kept: times that are kept for each stage, so that memory does not grow.
        totals: go on counting in these, those of a clock that this one replaces.

    >>> clock = StageClock()
    >>> clock.lap("pose")
    >>> list(clock.seconds), clock.totals["pose"].count
    (['pose'], 1)
    """

    def __init__(self, kept: int = _KEPT, totals: dict[str, StageTotals] | None = None) -> None:
        self._kept = kept
        self.seconds: dict[str, deque[float]] = {}
        """The last times of each stage."""
        self.totals: dict[str, StageTotals] = {} if totals is None else totals
        """All times of each stage; `take` does not change them."""
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
        if stage not in self.totals:
            self.totals[stage] = StageTotals()
        self.totals[stage].add(seconds)

    def take(self) -> dict[str, list[float]]:
        """Return the times since the last call, and forget them; may be called from another thread."""
        taken, self.seconds = self.seconds, {}
        return {stage: list(seconds) for stage, seconds in taken.items()}


def merged_totals(clocks: Iterable[Mapping[str, StageTotals]]) -> dict[str, StageTotals]:
    """Return the totals of several clocks together."""
    merged: dict[str, StageTotals] = {}
    for totals in clocks:
        for stage, of_stage in list(totals.items()):
            merged.setdefault(stage, StageTotals()).merge(of_stage)
    return merged
