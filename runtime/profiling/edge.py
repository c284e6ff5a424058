"""The whole edge on a source: the same service as `daflow-edge` runs, and the pose estimator alone beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.errors import InputError
from runtime.config.schema import Camera, Config
from runtime.pipeline.results import FrameResult
from runtime.profiling.events import EventPipe
from runtime.profiling.overhead import WARM_UP_FRAMES, overhead, pose_only, too_short
from runtime.profiling.reference_work import yardstick
from runtime.profiling.statistics import figure
from runtime.service.service import Service
from runtime.sources.uri import is_live, needs_poses, open_source
from runtime.stage_clock import STAGES

_CAMERA = "camera"
_HAND_OVER = "queue"
_TURN_SECONDS = 0.05
_YARDSTICK_SECONDS = 0.1
_UPDATE_SECONDS = 0.1
NEVER, _ALWAYS = 1e8, -1e8  # bits/dim


@dataclass
class _Seen:
    """What a listener writes down of each result."""

    at: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    delay: list[float] = field(default_factory=list)
    people: int = 0
    windows: int = 0

    def __call__(self, result: FrameResult) -> None:
        self.at.append(time.perf_counter())
        self.cpu.append(time.process_time())
        if result.frame.utc:
            self.delay.append(max(0.0, time.time() - result.frame.utc))
        self.people += len(result.people)
        self.windows += sum(person.score is not None for person in result.people)


@dataclass(frozen=True)
class EdgeRun:
    """What to run the edge on.

    Attributes:
        bundle: the folder of the bundle.
        source: as in `daflow-edge`.
        scorer: as there.
        options: how people are found, as there.
    """

    bundle: Path
    source: str
    scorer: str
    options: Mapping[str, Any]

    def config(self, threshold: float, **fields: Any) -> Config:
        """Return the configuration, with one camera."""
        source = self.source
        if source.startswith("synthetic:") and "frames=" not in source:
            source += ",frames=0" if source != "synthetic:" else "frames=0"  # without end
        camera = {"source": source, **self.options}
        alarm = {"threshold": threshold, "begin_seconds": 0, "update_seconds": _UPDATE_SECONDS}
        content = {"bundle": self.bundle, "scorer": self.scorer, "cameras": {_CAMERA: camera}, "alarm": alarm}
        realtime = bool(fields.pop("realtime", False)) and not self.live
        return Config.model_validate({**content, "realtime": realtime, **fields})

    def check(self) -> None:
        """Open the source and close it again, before long work is done for nothing.

        Raises:
            InputError: it cannot be opened.
        """
        with open_source(self.source):
            pass

    @property
    def poses(self) -> bool:
        """Whether poses must be estimated."""
        return needs_poses(self.source)

    @property
    def live(self) -> bool:
        """Whether the source sets the pace."""
        return is_live(self.source)


def measure_edge(
    run: EdgeRun, seconds: float, rounds: int, progress: Callable[[Sequence[int]], Any] = iter
) -> dict[str, Any]:
    """Run the edge as fast as it goes, round after round, and the pose estimator alone in between.

    Args:
        run: what to run it on.
        seconds: of all rounds of the edge together; the pose estimator alone takes as long again.
        rounds: how often; a recording begins anew in each, and may be over sooner.
        progress: wraps the rounds.

    Returns:
        `scorer` (its name), `stages` (figures; `whole frame` is the work of one frame in all stages), `frame` (the
        figure of the time from result to result), `share` of each stage, `frames_per_second`,
        `person_frames_per_second`, `people` and `dropped`, `processor` (the figure of the processor time of a frame in
        all threads), `pose_only` and `overhead` (None where there is nothing to estimate, or a live source sets the
        pace), and `yardstick`.

    Raises:
        InputError: the source, the model or the scorer cannot be opened, or the source is too short.
    """
    alone: list[list[float]] = []
    alone_cpu: list[list[float]] = []
    steps: list[list[float]] = []
    cpu: list[list[float]] = []
    stages: dict[str, list[list[float]]] = {}
    whole: list[list[float]] = []
    steady: list[list[float]] = []
    rate: list[float] = []
    people: list[float] = []
    compared = run.poses and not run.live
    camera = Camera.model_validate({"source": run.source, **run.options})
    dropped, scorer = 0, run.scorer
    for _ in progress(range(rounds)):
        steady.append(yardstick(_YARDSTICK_SECONDS))
        if compared:
            wall, used = pose_only(run.source, camera, seconds / rounds)
            alone.append(wall)
            alone_cpu.append(used)
        frames = len(alone[-1]) + WARM_UP_FRAMES if compared else None
        seen, laps, health, scorer = _free_run(run, None if compared else seconds / rounds, frames)
        dropped += health["dropped"]
        steps.append(np.diff(seen.at).tolist())
        cpu.append(np.diff(seen.cpu).tolist())
        rate.append(len(steps[-1]) / max(sum(steps[-1]), 1e-9))
        people.append(seen.people / len(seen.at))
        for stage in (*STAGES, _HAND_OVER):
            if laps.get(stage):
                stages.setdefault(stage, []).append(laps[stage])
        whole.append(_whole_frames(laps))
    handed = sum(map(sum, stages.pop(_HAND_OVER, [])))
    totals = {
        stage: sum(map(sum, of_rounds))
        for stage, of_rounds in stages.items()
        if stage != "capture" or not run.live
    }
    return {
        "scorer": scorer,
        "stages": {**{stage: figure(laps) for stage, laps in stages.items()}, "whole frame": figure(whole)},
        "share": {stage: total / max(sum(totals.values()), 1e-12) for stage, total in totals.items()},
        "frame": {**figure(steps), "rounds_ms": [1000 / value for value in rate]},
        "frames_per_second": float(np.median(rate)),
        "person_frames_per_second": float(np.median(np.array(rate) * people)),
        "people": float(np.mean(people)),
        "dropped": dropped,
        "processor": figure([[float(np.mean(values))] for values in cpu]),
        "pose_only": figure(alone) if compared else None,
        "overhead": overhead(alone, alone_cpu, steps, cpu, totals, handed) if compared else None,
        "yardstick": figure(steady),
    }  # fmt: skip


def measure_pace(run: EdgeRun, seconds: float) -> dict[str, Any]:
    """Run the edge at the source's own pace, with an alarm that is always on, so that events flow.

    Returns:
        `delay`: the figure of the time from the arrival of a frame to its result; `to_event`: the same to the delivered
        event, through store and delivery, None when nobody was scored; `frames_per_second`, `dropped`, `windows`,
        `frames`, `seconds`.

    Raises:
        InputError: as `measure_edge`.
    """
    with EventPipe() as pipe:
        seen = _Seen()
        config = run.config(_ALWAYS, events=pipe.path, realtime=True)
        began = time.perf_counter()
        with Service(config, listeners=[seen]) as service:
            service.start()
            while time.perf_counter() < began + seconds and not _is_over(service):
                service.supervise(_TURN_SECONDS)
            dropped = _health(service)["dropped"]
        delays = pipe.delays
    if len(seen.at) < 2:
        raise too_short(run.source)
    return {
        "delay": figure([seen.delay[WARM_UP_FRAMES:] or seen.delay]),
        "to_event": figure([delays]) if delays else None,
        "frames_per_second": (len(seen.at) - 1) / (seen.at[-1] - seen.at[0]),
        "dropped": dropped,
        "frames": len(seen.at),
        "windows": seen.windows,
        "seconds": seen.at[-1] - seen.at[0],
    }


def _free_run(
    run: EdgeRun, seconds: float | None, frames: int | None
) -> tuple[_Seen, dict[str, list[float]], Mapping[str, Any], str]:
    """Run the edge to the end of the source, for so many seconds or frames; leave out the first frames."""
    seen = _Seen()
    with Service(run.config(NEVER, max_frames=frames), listeners=[seen]) as service:
        service.start()
        while len(seen.at) < WARM_UP_FRAMES and not _is_over(service):
            service.supervise(0.002)
        for clock in service.clocks():
            clock.take()
        first, end = len(seen.at), time.perf_counter() + (seconds or 3600.0)
        while time.perf_counter() < end and not _is_over(service):
            service.supervise(_TURN_SECONDS)
        health = _health(service)
        scorer = service.scorer_name
        clocks = service.clocks()
        if seconds is not None:
            last = len(seen.at)
            laps = {stage: of for clock in clocks for stage, of in clock.take().items()}
    if seconds is None:  # the end of the source: what waited has been scored
        last = len(seen.at)
        laps = {stage: of for clock in clocks for stage, of in clock.take().items()}
    if last - first < 2:
        raise too_short(run.source)
    seen.at, seen.cpu = seen.at[first:last], seen.cpu[first:last]
    seen.people = round(seen.people * len(seen.at) / max(1, last))
    return seen, laps, health, scorer


def _is_over(service: Service) -> bool:
    camera = _health(service)
    return bool(camera["state"] == "ended")


def _health(service: Service) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = service.camera_health(_CAMERA)
    if facts["error"]:
        raise InputError(f"{facts['source']}: {facts['error']}")
    return facts


def _whole_frames(laps: Mapping[str, Sequence[float]]) -> list[float]:
    """Add up the stages of each frame; a batch of the scorer is shared by its frames."""
    by_frame = [laps[stage] for stage in STAGES if stage != "score" and laps.get(stage)]
    frames = min(map(len, by_frame))
    batches = laps.get("score", [0.0])
    score = float(np.median(batches)) * len(batches) / max(1, len(laps.get("alarm", ())))
    rows = np.array([list(seconds)[-frames:] for seconds in by_frame])
    return (rows.sum(axis=0) + score).tolist()  # type: ignore[no-any-return]
