"""How the service is doing, as the live page, the metrics and systemd are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from runtime.json_values import iso
from runtime.stage_clock import StageClock

_FEW = 3  # events on their way to the disk are no problem
_STREAMING = ("streaming", "frozen", "black", "ended")


def stages(clocks: Iterable[StageClock]) -> dict[str, dict[str, float]]:
    """Return the percentiles of each stage over all clocks, in milliseconds.

    >>> clock = StageClock()
    >>> clock.add("pose", 0.02)
    >>> stages([clock])["pose"]["p50_ms"]
    20.0
    """
    laps: dict[str, list[float]] = {}
    for clock in clocks:
        for stage, seconds in list(clock.seconds.items()):
            laps.setdefault(stage, []).extend(_copy(seconds))
    return {
        stage: percentiles(seconds)
        for stage, seconds in laps.items()
        if stage not in ("start", "wait", "queue")
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p90, p99 in milliseconds and how many there were.

    >>> percentiles([0.001, 0.001, 0.003])["p50_ms"]
    1.0
    """
    p50, p90, p99 = np.percentile(np.asarray(seconds) * 1000, (50, 90, 99)).tolist()
    return {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "count": len(seconds)}


def _copy(seconds: Iterable[float]) -> list[float]:
    """Copy what another thread adds to."""
    while True:
        try:
            return list(seconds)
        except RuntimeError:  # it changed meanwhile
            continue


def problems(cameras: Mapping[str, Mapping[str, Any]], scoring: bool, waiting: int) -> list[str]:
    """Say in words what keeps the service from being ready.

    Args:
        cameras: the state of each; one that gives no pictures is a problem.
        scoring: whether the scorer runs.
        waiting: events that wait in memory, because the disk is full or slow.
    """
    found = [] if scoring else ["the scorer does not run"]
    if waiting > _FEW:
        found.append(f"{waiting} events cannot be stored and wait in memory")
    for name, camera in cameras.items():
        if camera["state"] not in _STREAMING:
            found.append(f"camera {name} is {camera['state']} since {camera['since_utc']}")
    return found


def uptime(since: float, seconds: float) -> dict[str, Any]:
    """Return when the service began and for how many seconds it runs."""
    return {"started_utc": iso(since), "uptime_s": round(seconds, 1)}
