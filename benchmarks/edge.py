"""What the edge costs beside pose estimation: the whole edge against a loop that only decodes and finds poses."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.material import Material
from benchmarks.timing import Effort, Spread, ratios, turns
from daflow.core.errors import CheckFailed
from runtime.config.schema import Config
from runtime.pipeline.results import FrameResult
from runtime.poses.mediapipe import MediaPipePoses
from runtime.service.service import Service
from runtime.sources.video import VideoSource
from runtime.web.live_state import LiveState

_STAGES = ("capture", "pose", "track", "window", "score", "alarm", "sinks")
_AROUND = ("track", "window", "score", "alarm", "sinks")
_WARM_UP = 10  # frames in which MediaPipe and the caches settle
_FEWEST = 20


@dataclass(frozen=True)
class Pass:
    """One pass over the video: milliseconds a frame by the clock, and of all processors together."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class EdgeCost:
    """The whole edge against the pose-only loop, in milliseconds a frame.

    Attributes:
        frames: of a pass.
        size: of the video, pixels.
        pose_only: by the clock.
        whole: the same of the whole edge.
        rounds: both of every round, for the picture.
        wall_overhead: how much longer the whole edge takes, a fraction, paired by rounds.
        cpu_overhead: how much more processor time it takes, a fraction.
        stages: median milliseconds of each stage within the whole edge.
        around_share: the stages after the pose as a fraction of the pose-only loop's frame.
    """

    frames: int
    size: tuple[int, int]
    pose_only: Spread
    whole: Spread
    rounds: list[tuple[float, float]]
    wall_overhead: Spread
    cpu_overhead: Spread
    stages: dict[str, float]
    around_share: float


@dataclass(frozen=True)
class Skipped:
    """A measurement that could not be made, and why."""

    reason: str


class _Stopwatch(LiveState):
    """The live state of a service, which also notes when each result came."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[float, float]] = []

    def __call__(self, result: FrameResult) -> None:
        super().__call__(result)
        self.moments.append(_now())


def measure(material: Material, effort: Effort) -> EdgeCost | Skipped:
    """Run both over the video in turns; the time from the tenth frame to the last counts, so no start-up does."""
    if material.video is None or material.pose_model is None:
        missing = "--video" if material.video is None else "--pose-model"
        return Skipped(f"{missing} was not given")
    passes: dict[str, list[Pass]] = {"pose only": [], "whole edge": []}
    stages: list[dict[str, float]] = []

    def pose_only() -> float:
        passes["pose only"].append(_pose_only(material))
        return passes["pose only"][-1].wall_ms

    def whole_edge() -> float:
        done, of_stages = _whole_edge(material)
        passes["whole edge"].append(done)
        stages.append(of_stages)
        return done.wall_ms

    rounds = 1 if effort.quick else 2 * effort.rounds
    walls = turns({"pose only": pose_only, "whole edge": whole_edge}, rounds, "edge and pose-only loop")
    cpu = {name: [done.cpu_ms for done in of_form] for name, of_form in passes.items()}
    medians = {name: float(np.median([s.get(name, 0.0) for s in stages])) for name in _STAGES}
    alone = Spread.of(walls["pose only"])
    with VideoSource(material.video) as source:
        frames = [frame.size for frame in source]
    return EdgeCost(
        frames=len(frames), size=frames[0], pose_only=alone, whole=Spread.of(walls["whole edge"]),
        rounds=list(zip(walls["pose only"], walls["whole edge"], strict=True)),
        wall_overhead=_more(ratios(walls["whole edge"], walls["pose only"])),
        cpu_overhead=_more(ratios(cpu["whole edge"], cpu["pose only"])),
        stages=medians, around_share=sum(medians[name] for name in _AROUND) / alone.median,
    )  # fmt: skip


def _pose_only(material: Material) -> Pass:
    assert material.video is not None
    assert material.pose_model is not None
    moments = []
    poses = MediaPipePoses(material.pose_model)
    try:
        with VideoSource(material.video) as source:
            for frame in source:
                poses.estimate(frame)
                moments.append(_now())
    finally:
        poses.close()
    return _per_frame(moments)


def _whole_edge(material: Material) -> tuple[Pass, dict[str, float]]:
    config = Config.model_validate({
        "bundle": material.bundle,
        "cameras": {"camera": {"source": str(material.video), "pose_model": material.pose_model}},
        "log": {"level": "warning"},
    })  # fmt: skip
    service = Service(config)
    service.live = stopwatch = _Stopwatch()
    with service:
        service.run()
        stages = service.health()["stages"]
    if errors := service.errors():
        raise CheckFailed("The edge failed: " + "; ".join(errors))
    return _per_frame(stopwatch.moments), {name: row["p50_ms"] for name, row in stages.items()}


def _per_frame(moments: list[tuple[float, float]]) -> Pass:
    if len(moments) < _FEWEST:
        raise CheckFailed(f"The video gave {len(moments)} frames; at least {_FEWEST} are needed.")
    counted = moments[_WARM_UP:]
    wall, cpu = (
        1e3 * (last - first) / (len(counted) - 1) for first, last in zip(counted[0], counted[-1], strict=True)
    )
    return Pass(wall, cpu)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _more(ratio: Spread) -> Spread:
    return Spread(ratio.median - 1, ratio.low - 1, ratio.high - 1)
