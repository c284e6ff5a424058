"""The project's targets for the edge on two processor cores, each with what was measured and the verdict."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.inputs import Inputs, Settings, run_command
from daflow.core.data.skeleton import OPENPOSE_JOINTS
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import DEFAULT_FPS, find_tracks, write_clips
from daflow.core.errors import CheckFailed
from daflow.core.progress import track
from runtime.config.store_options import ReplayOptions
from runtime.pipeline.results import FrameResult, Person
from runtime.profiling.cold_start import measure_cold_start
from runtime.profiling.edge import EdgeMeasurement, EdgeRun, measure_edge
from runtime.profiling.statistics import Quartiles
from runtime.replays.recorder import SkeletonRecorder
from runtime.sources.frames import Frame

_SCORER = "onnxruntime"
_CROWD = 8
_WHOLE_RECORDING = 3600.0  # seconds per round, more than it takes


@dataclass(frozen=True)
class Target:
    """A target and what was measured.

    Attributes:
        name: what is measured.
        unit: of target and figure.
        target: the bound.
        at_least: whether the figure must be above it, else below.
        measured: the figure over the rounds.
        how: how it was measured.
    """

    name: str
    unit: str
    target: float
    at_least: bool
    measured: Quartiles
    how: str

    @property
    def met(self) -> bool:
        """Whether the median meets the target."""
        return self.measured.median >= self.target if self.at_least else self.measured.median <= self.target

    @property
    def conclusive(self) -> bool:
        """Whether the quartiles lie on the same side of the target as the median."""
        return not self.measured.low < self.target < self.measured.high


def measure(inputs: Inputs, settings: Settings, edge: EdgeMeasurement | None) -> list[Target]:
    """Measure each with `runtime.profiling`; the overhead is taken from `edge`, if that was measured."""
    targets = [_rate(inputs, settings, 1), _rate(inputs, settings, _CROWD)]
    targets += _cold_start(inputs, settings)
    targets.append(_allocations(inputs, settings))
    targets.append(_remembering(settings))
    if edge is not None and edge.edge.overhead is not None:
        percent = Quartiles.of([100 * value for value in edge.edge.overhead.rounds_by_clock])
        how = "time of a frame, whole edge against reading and pose estimation alone, paired by rounds"
        targets.append(Target("overhead around pose estimation, one person", "%", 4, False, percent, how))
    return targets


def _rate(inputs: Inputs, settings: Settings, people: int) -> Target:
    """Replay recorded tracks at full speed."""
    poses = 4_000 if settings.quick else 40_000
    clip, _ = generate_clip("01_0001", 3, Scene(frames=poses // people, people=people))
    folder = inputs.folder / f"people{people}"
    write_clips(folder, [clip])
    (file,) = find_tracks(folder)
    edge = measure_edge(
        EdgeRun(inputs.bundle, f"tracks:{file.path}", _SCORER, {}), settings.rounds * _WHOLE_RECORDING,
        settings.rounds, lambda rounds: track(rounds, f"targets, {people} people"),
    ).edge  # fmt: skip
    rates = Quartiles.of([1000 * edge.people / milliseconds for milliseconds in edge.frame.rounds_ms])
    name = "one person before the camera" if people == 1 else f"{people} people before the camera"
    how = f"`tracks:` source at full speed, {clip.poses:,} person-frames, without the start of the process"
    return Target(name, "person-frames/s", 5000, True, rates, how)


def _cold_start(inputs: Inputs, settings: Settings) -> list[Target]:
    run = EdgeRun(inputs.bundle, "synthetic:people=1,event=none", _SCORER, {})
    start = measure_cold_start(
        run, settings.rounds, lambda rounds: track(rounds, "targets, cold starts")
    ).without_poses
    if not (start and start.python and start.imported and start.score and start.memory_mb):
        raise CheckFailed("The edge started but did not score anybody.")
    python, imported = start.python.rounds_ms, start.imported.rounds_ms
    imports = [(after - before) / 1000 for before, after in zip(python, imported, strict=True)]
    score = [milliseconds / 1000 for milliseconds in start.score.rounds_ms]
    how = "cold start without pose estimation: "
    return [
        Target("importing the edge", "s", 0.4, False, Quartiles.of(imports), how + "`import runtime.cli`"),
        Target("start to first score", "s", 2, False, Quartiles.of(score), how + "from the start of the process"),
        Target(
            "resident memory without pose estimation", "MB", 150, False, Quartiles.of(start.memory_mb),
            how + "after the first score; `benchmarks.soak` watches whether it grows",
        ),
    ]  # fmt: skip


def _remembering(settings: Settings) -> Target:
    """Take frames without an alarm, as the edge does before it can know that there will be one."""
    frames, people = (5_000 if settings.quick else 50_000), 4
    keypoints = np.ones((people, len(OPENPOSE_JOINTS), 3), dtype=np.float32)
    crowd = tuple(Person(number, pose, 1.0, 1.0) for number, pose in enumerate(keypoints))
    results = [
        FrameResult(Frame(index, index / DEFAULT_FPS, (1280, 720)), crowd, crowd[0], False, None)
        for index in range(frames)
    ]
    options = ReplayOptions.model_validate({})
    rounds = []
    for _ in range(settings.rounds):
        recorder = SkeletonRecorder("camera", options.before_seconds, options.after_seconds)
        began = time.perf_counter()
        for result in results:
            recorder.see(result)
        rounds.append((time.perf_counter() - began) / frames * 1e6)
    how = f"{people} people before the camera and no alarm, {frames:,} frames"
    return Target(
        "remembering skeletons for the replay of an alarm", "us/frame", 5, False, Quartiles.of(rounds), how
    )


def _allocations(inputs: Inputs, settings: Settings) -> Target:
    first, last = (2000, 4000) if settings.quick else (4000, 20_000)
    before, after = json.loads(run_command("benchmarks.allocations", inputs.bundle, first, last))
    growth = Quartiles.of([(after - before) / (last - first)])
    how = (
        f"tracemalloc: {before:,} bytes after {first:,} frames with three people who come and go, {after:,} after "
        f"{last:,}"
    )
    return Target("memory that stays allocated", "bytes/frame", 1, False, growth, how)
