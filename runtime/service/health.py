"""The state of the service as plain values: for the live page, the metrics, `/ready` and the end of a run."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.store import EventStore, StoreError
from runtime.events.store_writer import StoreWriter
from runtime.json_values import iso
from runtime.pipeline.alarm_decider import AlarmDecider
from runtime.pipeline.results import FrameResult
from runtime.stage_clock import BOUNDS, StageClock, StageTotals, merged_totals

_MAX_WAITING = 3  # a few events are always on their way to the disk
_HEALTHY = ("streaming", "frozen", "black", "ended")


def stages(
    clocks: Iterable[StageClock], totals: Iterable[Mapping[str, StageTotals]]
) -> dict[str, dict[str, Any]]:
    """Return how long each stage takes.

    Args:
        clocks: the last times, for the percentiles.
        totals: all times since the start, for the counts.

    Returns:
        For each stage `p50_ms`, `p90_ms` and `p99_ms` of the last times (None without any), and of all `count`, `sum_s`
        and `buckets`: how many took at most so many seconds, as `[seconds, count]`.

    >>> clock = StageClock()
    >>> clock.add("pose", 0.02)
    >>> figures = stages([clock], [clock.totals])["pose"]
    >>> figures["p50_ms"], figures["count"], figures["buckets"][6:8]
    (20.0, 1, [[0.01, 0], [0.025, 1]])
    """
    laps: dict[str, list[float]] = {}
    for clock in clocks:
        for stage, seconds in list(clock.seconds.items()):
            laps.setdefault(stage, []).extend(_copy(seconds))
    return {
        stage: {**_percentiles(laps.get(stage, [])), **_histogram(of_stage)}
        for stage, of_stage in merged_totals(totals).items()
        if stage not in ("start", "wait", "queue")
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float | None]:
    values = np.percentile(np.asarray(seconds) * 1000, (50, 90, 99)).tolist() if seconds else [None] * 3
    return dict(zip(("p50_ms", "p90_ms", "p99_ms"), values, strict=True))


def _histogram(totals: StageTotals) -> dict[str, Any]:
    counts = list(itertools.accumulate(totals.buckets))
    return {
        "count": counts[-1],
        "sum_s": totals.seconds,
        "buckets": [list(pair) for pair in zip(BOUNDS, counts, strict=False)],
    }


def _copy(seconds: Iterable[float]) -> list[float]:
    """Copy a deque to which another thread adds."""
    while True:
        try:
            return list(seconds)
        except RuntimeError:  # it changed in the meantime
            continue


def problems(
    cameras: Mapping[str, Mapping[str, Any]], scoring: bool, waiting: int, page_stopped: bool = False
) -> list[str]:
    """Return a sentence for each reason why the service is not ready.

    Args:
        cameras: the state of each; one that gives no pictures is a problem.
        scoring: whether the scorer runs.
        waiting: events that wait in memory, because the disk is full or slow.
        page_stopped: whether the live page has stopped.
    """
    found = [] if scoring else ["the scorer is not running"]
    if waiting > _MAX_WAITING:
        found.append(f"{waiting} events cannot be stored and wait in memory")
    for name, camera in cameras.items():
        if camera["state"] not in _HEALTHY:
            found.append(f"camera {name} is {camera['state']} since {camera['since_utc']}")
        elif reason := camera.get("rate_reason"):
            found.append(f"nobody on camera {name} is scored: {reason}")
    if page_stopped:
        found.append("the live page has stopped")
    return found


def alarm_state(
    result: FrameResult | None, decider: AlarmDecider, recorder: AlarmEventRecorder
) -> dict[str, Any]:
    """Return the last result, the alarm and the drift of one camera."""
    worst = result.worst if result else None
    drift = recorder.drift(decider.camera)
    return {
        "people": len(result.people) if result else 0,
        "score": worst.smoothed if worst else None,
        "p_value": worst.p_value if worst else None,
        "beyond_normal": worst.beyond_normal if worst else None,
        "alarm": bool(result and result.alarm),
        "alarms": recorder.alarms(decider.camera),
        "unusable": decider.unusable,
        "hidden": decider.hidden,
        "threshold": decider.rule.threshold,
        "provisional": decider.rule.provisional,
        "calibrated": decider.is_calibrated,
        "misfit": decider.misfit,
        "drift": drift.message if drift else None,
        "drifting": drift.state == "drifting" if drift else None,
    }


def event_counts(writer: StoreWriter, store: EventStore) -> dict[str, int]:
    """Return how many events were `stored`, are `waiting` in memory, and were `lost` before they were delivered."""
    counts = writer.statistics()
    with contextlib.suppress(StoreError):
        counts["lost"] += store.lost
    return counts


def uptime(since: float, seconds: float) -> dict[str, Any]:
    """Return when the service was started (seconds since 1970) and for how many seconds it has been running."""
    return {"started_utc": iso(since), "uptime_s": round(seconds, 1)}


def summary_line(
    snapshot: Mapping[str, Any], seconds: float, alarms: int, decider: AlarmDecider, scorer: str
) -> str:
    """Return what a run did with one camera, for people.

    Args:
        snapshot: of the camera, from its manager.
        seconds: that the run took.
        alarms: of the camera.
        decider: about them.
        scorer: its name.
    """
    source, frames = snapshot["source"], snapshot["frames"]
    others = decider.unusable - decider.hidden
    unusable = f", {decider.hidden} windows do not show the shoulders and hips" if decider.hidden else ""
    unusable += f", {others} windows could not be scored (NaN or zero variance)" if others else ""
    return (
        f"camera {decider.camera} ({source}): {frames} frames in {seconds:.1f} s "
        f"({frames / max(seconds, 1e-9):.0f} frames per second), {alarms} alarms at "
        f"{decider.rule.threshold_text}, {scorer}{unusable}"
    )
