"""Score with a TensorRT engine on the GPU of this machine: built when needed, and verified."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from daflow.core.bundle import Bundle
from daflow.core.data.synthetic import Scene, generate_clip, test_scenes
from daflow.core.data.windows import Poses, make_windows
from daflow.core.engines.builder import BuildRequest, Plan, build_plan
from daflow.core.engines.cache import Report, engine_folders, obtain_engine
from daflow.core.errors import CheckFailed, InputError
from daflow.core.evidence import FLOW, Channel, Scored, unit_of
from daflow.core.gpu import tensorrt_of_this_machine
from daflow.core.scoring.comparison import Precision, WindowSets, compare_channels, compare_scores
from daflow.core.scoring.limits import LIMITS, Limits, Verdict, check_limits
from daflow.core.scoring.onnx import open_graph
from daflow.core.scoring.scorer import is_scorer, scored
from runtime.networks.tensorrt import TensorRTRunner

logger = logging.getLogger(__name__)

_SEED = 11  # any number; every engine is verified on the same generated clips


def open_tensorrt(
    bundle: Bundle, precision: Precision | None = None, report: Report = logger.info, *,
    rebuild: bool = False, on_build: Callable[[Path, Plan], None] | None = None,
) -> TensorRTScorer:  # fmt: skip
    """Open the engine of a bundle for the GPU of this machine; build and verify it first when none fits.

    Args:
        bundle: whose model to run.
        precision: of the engine; None takes `default_precision`.
        report: takes a line for each step of a build.
        rebuild: build even when an engine fits.
        on_build: takes the path of a new engine, and what TensorRT built.

    Raises:
        InputError: there is no GPU, TensorRT or pycuda, or TensorRT cannot build or load the engine.
        CheckFailed: the engine does not rank windows as the FP32 graph does.
    """
    gpu, trt = tensorrt_of_this_machine("The scorer tensorrt", "Use --scorer onnxruntime.")
    precision = precision or default_precision(bundle)
    key = bundle.engine_key(precision, trt.__name__, str(trt.__version__), gpu.target, gpu.name)
    request = BuildRequest(bundle.graph(precision), precision, key.options)
    name = f"{trt.__name__} {precision}"
    folders = engine_folders(bundle.folder)

    def build() -> tuple[bytes, float]:
        plan = build_plan(trt, request)
        if on_build is not None:
            on_build(folders[-1] / key.file_name, plan)
        return plan.data, plan.seconds

    def load(data: bytes) -> TensorRTScorer:
        runner = TensorRTRunner(trt, data, key.options.batch, name)
        return TensorRTScorer(runner, bundle.manifest.channels)

    def verify(scorer: TensorRTScorer) -> Verdict:
        try:
            return verify_engine(bundle, scorer, LIMITS[precision], report)
        except BaseException:
            scorer.close()
            raise

    return obtain_engine(folders, key, build, load, verify, report, rebuild)


def default_precision(bundle: Bundle) -> Precision:
    """Return FP16 where the bundle has it and it keeps its limits, else FP32."""
    usable = "fp16" in bundle.manifest.precisions and not bundle.missed_limits("fp16")
    return "fp16" if usable else "fp32"


def verify_engine(bundle: Bundle, scorer: TensorRTScorer, limits: Limits, report: Report) -> Verdict:
    """Compare an engine with the FP32 graph of the bundle on generated walkers, falls, runs and fights.

    Raises:
        CheckFailed: it misses a limit.
    """
    scenes = enumerate(test_scenes(4, Scene(frames=240)))
    clips = [generate_clip(f"scene_{index}", _SEED + index, scene)[0] for index, scene in scenes]
    windows = make_windows(clips, bundle.manifest.window).poses
    alarm, sets = bundle.manifest.alarm, WindowSets.of(windows)
    with open_graph(bundle) as reference:
        expected, found = sets.judge(reference.judge), sets.judge(scorer.judge)
    comparison = compare_scores(expected.scores, found.scores, alarm.threshold if alarm else None)
    verdict = check_limits(comparison, limits, compare_channels(expected, found, bundle.manifest.channels))
    if verdict.missed:
        raise CheckFailed(
            f"The engine {scorer.name} does not rank windows as the FP32 graph does: {'; '.join(verdict.missed)}. "
            "Use --scorer onnxruntime or another --precision."
        )
    report(
        f"{scorer.name}: verified on {comparison.windows} generated windows, max |d| {comparison.max_abs:.2g} "
        f"{unit_of(bundle.manifest.channels)}, Spearman {comparison.spearman:.6f}, tail {comparison.tail_spearman:.6f}"
    )
    return verdict


@runtime_checkable
class PhasedScorer(Protocol):
    """A scorer that can measure the parts of a call."""

    def phases(self, poses: Poses) -> dict[str, float]:
        """Score one batch step by step; return the seconds of `to_device`, `compute` and `to_host`."""
        ...


class TensorRTScorer:
    """Scores with the engine of a scorer's graph.

    Args:
        runner: of the engine.
        channels: of evidence that the graph computes.

    Raises:
        InputError: the engine is not a scorer's.
    """

    def __init__(self, runner: TensorRTRunner, channels: tuple[Channel, ...] = FLOW) -> None:
        self.name = runner.name
        self._runner = runner
        if not is_scorer(runner, channels):
            runner.close()
            raise InputError(
                f"{runner.name}: the engine is not a scorer's. Delete the engine file; it is rebuilt."
            )

    def phases(self, poses: Poses) -> dict[str, float]:
        """Score at most the largest bucket step by step; return the seconds of each step on the GPU."""
        return self._runner.phases(poses)

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the scores of windows `(B, 2, T, 18)` float32, `(B,)` float32."""
        return self.judge(poses).score

    def judge(self, poses: Poses) -> Scored:
        """Score windows `(B, 2, T, 18)` float32."""
        return scored(self._runner.run(poses))

    def close(self) -> None:
        """Release the engine."""
        self._runner.close()

    def __enter__(self) -> TensorRTScorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
