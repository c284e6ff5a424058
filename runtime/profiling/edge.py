"""The whole edge on a source: the same service as `daflow-edge` runs, and the pose estimator alone beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.errors import InputError
from runtime.config.schema import Camera, Config
from runtime.pipeline.results import FrameResult
from runtime.poses.estimators import open_estimator
from runtime.profiling.events import EventPipe
from runtime.profiling.overhead import WARM_UP_FRAMES, compare_with_pose_only, run_pose_only, too_short
from runtime.profiling.profile import EdgeTiming, PacedTiming
from runtime.profiling.reference_work import time_reference_work
from runtime.profiling.statistics import Timing, summarize
from runtime.profiling.timing import Progress
from runtime.service.service import Service
from runtime.sources.redaction import redacted
from runtime.sources.uri import is_live, needs_poses, open_source
from runtime.stage_clock import STAGES

_CAMERA = "camera"
_HAND_OVER = "queue"
_SUPERVISE_SECONDS = 0.05
_REFERENCE_SECONDS = 0.1  # in each round
_UPDATE_SECONDS = 0.1
_MAX_SECONDS = 3600.0
_MAX_LATE_SECONDS = 60.0
NO_ALARM, _ALWAYS_ALARM = 1e8, -1e8
"""Thresholds that no score reaches, and that every score exceeds."""


@dataclass
class _Results:
    """A listener that records when each result came, by the clock and in processor time, and how late."""

    times: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    people: int = 0
    windows: int = 0

    def __call__(self, result: FrameResult) -> None:
        self.times.append(time.perf_counter())
        self.processor.append(time.process_time())
        if result.frame.utc:
            self.delays.append(max(0.0, time.time() - result.frame.utc))
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

    @property
    def on_gpu(self) -> bool:
        """Whether a network of the edge runs on a GPU."""
        return "tensorrt" in {self.scorer, self.options.get("pose_engine")}

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
        """Open the source and the pose estimator and close them again, before other parts are measured for long.

        Raises:
            InputError: one cannot be opened.
        """
        with open_source(self.source):
            pass
        if self.poses:
            camera = Camera.model_validate({"source": self.source, **self.options})
            with contextlib.closing(open_estimator(camera)):
                pass

    @property
    def poses(self) -> bool:
        """Whether poses must be estimated."""
        return needs_poses(self.source)

    @property
    def live(self) -> bool:
        """Whether the source sets the pace."""
        return is_live(self.source)


@dataclass(frozen=True)
class _Round:
    """One run of the edge without its first frames, durations in seconds.

    Attributes:
        steps: from result to result.
        processor: the same in processor time of all threads.
        stages: durations of each stage.
        people: mean number in a frame.
        dropped: frames that were skipped.
        scorer: its name.
    """

    steps: list[float]
    processor: list[float]
    stages: dict[str, list[float]]
    people: float
    dropped: int
    scorer: str


@dataclass(frozen=True)
class EdgeMeasurement:
    """The edge at full speed: the name of its scorer, its stages, and everything else."""

    scorer: str
    stages: dict[str, Timing]
    edge: EdgeTiming


def measure_edge(run: EdgeRun, seconds: float, rounds: int, progress: Progress = iter) -> EdgeMeasurement:
    """Run the edge at full speed, round after round, and the pose estimator alone in between.

    Args:
        run: what to run it on.
        seconds: of all rounds of the edge together; the pose estimator alone takes as long again.
        rounds: how often; a recording starts again in each, and may end sooner.
        progress: wraps the rounds.

    Raises:
        InputError: the source, the model or the scorer cannot be opened, or the source is too short.
    """
    with_pose_only = run.poses and not run.live
    camera = Camera.model_validate({"source": run.source, **run.options})
    alone: list[list[float]] = []
    alone_processor: list[list[float]] = []
    reference: list[list[float]] = []
    done: list[_Round] = []
    for _ in progress(range(rounds)):
        reference.append(time_reference_work(_REFERENCE_SECONDS))
        if with_pose_only:
            wall, processor = run_pose_only(run.source, camera, seconds / rounds)
            alone.append(wall)
            alone_processor.append(processor)
            done.append(_run_round(run, None, len(wall) + WARM_UP_FRAMES))
        else:
            done.append(_run_round(run, seconds / rounds, None))
    stages = {
        stage: [one.stages[stage] for one in done if one.stages.get(stage)] for stage in (*STAGES, _HAND_OVER)
    }
    handed_over = sum(map(sum, stages.pop(_HAND_OVER)))
    totals = {
        stage: sum(map(sum, of_rounds))
        for stage, of_rounds in stages.items()
        if of_rounds and (stage != "capture" or not run.live)
    }
    steps, processor_steps = [one.steps for one in done], [one.processor for one in done]
    rates = np.array([len(row) / max(sum(row), 1e-9) for row in steps])
    edge = EdgeTiming(
        share={stage: total / max(sum(totals.values()), 1e-12) for stage, total in totals.items()},
        frame=summarize(steps).model_copy(update={"rounds_ms": (1000 / rates).tolist()}),
        frames_per_second=float(np.median(rates)),
        person_frames_per_second=float(np.median(rates * [one.people for one in done])),
        people=float(np.mean([one.people for one in done])),
        dropped=sum(one.dropped for one in done),
        processor=summarize([[float(np.mean(row))] for row in processor_steps]),
        pose_only=summarize(alone) if with_pose_only else None,
        overhead=(
            compare_with_pose_only(alone, alone_processor, steps, processor_steps, totals, handed_over)
            if with_pose_only
            else None
        ),
        reference_workload=summarize(reference),
        source=redacted(run.source),
    )
    timings = {stage: summarize(of_rounds) for stage, of_rounds in stages.items() if of_rounds}
    timings["whole frame"] = summarize([_whole_frames(one.stages) for one in done])
    return EdgeMeasurement(done[-1].scorer, timings, edge)


def measure_pace(run: EdgeRun, seconds: float) -> PacedTiming:
    """Run the edge at the source's own pace, with an alarm that is always on, so that there are events.

    Raises:
        InputError: as `measure_edge`.
    """
    with EventPipe() as pipe:
        results = _Results()
        config = run.config(_ALWAYS_ALARM, events=pipe.path, realtime=True)
        end = time.perf_counter() + seconds
        with Service(config, listeners=[results]) as service:
            service.start()
            while not (_is_enough(results, 0, end) or _is_over(service)):
                service.supervise(_SUPERVISE_SECONDS)
            dropped = _health(service)["dropped"]
        event_delays = pipe.delays
    if len(results.times) < 2:
        raise too_short(run.source)
    passed = results.times[-1] - results.times[0]
    return PacedTiming(
        delay=summarize([results.delays[WARM_UP_FRAMES:] or results.delays]),
        to_event=summarize([event_delays]) if event_delays else None,
        frames_per_second=(len(results.times) - 1) / passed,
        dropped=dropped,
        frames=len(results.times),
        windows=results.windows,
        seconds=passed,
    )


def _run_round(run: EdgeRun, seconds: float | None, frames: int | None) -> _Round:
    """Run the edge to the end of the source, for so many seconds or frames; the first frames do not count."""
    results = _Results()
    with Service(run.config(NO_ALARM, max_frames=frames), listeners=[results]) as service:
        service.start()
        while len(results.times) < WARM_UP_FRAMES and not _is_over(service):
            service.supervise(0.002)
        clocks = service.clocks()
        for clock in clocks:
            clock.take()
        first, end = len(results.times), time.perf_counter() + (seconds or _MAX_SECONDS)
        while not (_is_enough(results, first, end) or _is_over(service)):
            service.supervise(_SUPERVISE_SECONDS)
        dropped, scorer = _health(service)["dropped"], service.scorer_name
        if seconds is not None:
            last = len(results.times)
            stages = {stage: taken for clock in clocks for stage, taken in clock.take().items()}
    if seconds is None:  # the end of the source: what waited has been scored
        last = len(results.times)
        stages = {stage: taken for clock in clocks for stage, taken in clock.take().items()}
    if last - first < 2:
        raise too_short(run.source)
    return _Round(
        np.diff(results.times[first:last]).tolist(), np.diff(results.processor[first:last]).tolist(), stages,
        results.people / len(results.times), dropped, scorer,
    )  # fmt: skip


def _is_enough(results: _Results, first: int, end: float) -> bool:
    """Whether the time is over and there are two results to compare, for which a busy machine may need longer."""
    late = time.perf_counter() - end
    return late > 0 and (len(results.times) - first >= 2 or late > _MAX_LATE_SECONDS)


def _is_over(service: Service) -> bool:
    return bool(_health(service)["state"] == "ended")


def _health(service: Service) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = service.camera_health(_CAMERA)
    if facts["error"]:
        raise InputError(f"{facts['source']}: {facts['error']}")
    return facts


def _whole_frames(stages: Mapping[str, Sequence[float]]) -> list[float]:
    """Add up the stages of each frame; a batch of the scorer is shared by its frames."""
    by_frame = [stages[stage] for stage in STAGES if stage != "score" and stages.get(stage)]
    frames = min(map(len, by_frame))
    batches = stages.get("score", [0.0])
    score = float(np.median(batches)) * len(batches) / max(1, len(stages.get("alarm", ())))
    rows = np.array([list(seconds)[-frames:] for seconds in by_frame])
    return (rows.sum(axis=0) + score).tolist()  # type: ignore[no-any-return]
