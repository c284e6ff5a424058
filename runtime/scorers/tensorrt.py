"""Score with a TensorRT engine on the GPU of this machine: built when needed, verified, one CUDA graph per call."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from daflow.core.bundle import Bundle
from daflow.core.data.synthetic import Scene, generate_clip, test_scenes
from daflow.core.data.windows import Poses, make_windows
from daflow.core.engines.builder import BuildRequest, Plan, build_plan, load_engine
from daflow.core.engines.cache import Report, engine_folder, obtain_engine
from daflow.core.errors import CheckFailed, InputError
from daflow.core.gpu import find_gpu, load_tensorrt
from daflow.core.scoring.comparison import Precision, WindowSets, compare
from daflow.core.scoring.limits import LIMITS, Limits, Verdict, check_limits
from daflow.core.scoring.onnx import OnnxScorer
from runtime.scorers.cuda import CudaContext

if TYPE_CHECKING:
    import tensorrt

logger = logging.getLogger(__name__)

BUCKETS = (1, 2, 4, 8, 16, 32)
"""Batch sizes with a CUDA graph of their own; the largest is the largest batch of an engine by default."""

_JOINTS = 18
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
    hardware = find_gpu()
    if hardware is None:
        raise InputError(
            "The scorer tensorrt needs an NVIDIA GPU, and none was found. Use --scorer onnxruntime."
        )
    trt = load_tensorrt()
    if trt is None:
        raise InputError("TensorRT is not installed. It comes with JetPack; else use --scorer onnxruntime.")
    precision = precision or default_precision(bundle)
    key = bundle.engine_key(precision, trt.__name__, str(trt.__version__), hardware.target, hardware.name)
    window = bundle.manifest.window
    request = BuildRequest(bundle.graph(precision), precision, key.options)
    name = f"{trt.__name__} {precision}"
    folders = [engine_folder(bundle.folder)]
    if bundle.folder / "engines" not in folders:
        folders.insert(0, bundle.folder / "engines")

    def build() -> tuple[bytes, float]:
        plan = build_plan(trt, request)
        if on_build is not None:
            on_build(folders[-1] / key.file_name, plan)
        return plan.data, plan.seconds

    def load(data: bytes) -> TensorRTScorer:
        return TensorRTScorer(trt, data, window, key.options.batch, name)

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
    alarm = bundle.manifest.alarm
    with OnnxScorer(bundle.graph("fp32"), threads=0) as reference:
        comparison = compare(
            WindowSets.of(windows), reference.score, scorer.score, alarm.threshold if alarm else None
        )
    verdict = check_limits(comparison, limits)
    if verdict.missed:
        raise CheckFailed(
            f"The engine {scorer.name} does not rank windows as the FP32 graph does: {'; '.join(verdict.missed)}. "
            "Use --scorer onnxruntime or another --precision."
        )
    report(
        f"{scorer.name}: verified on {comparison.windows} generated windows, max |dNLL| {comparison.max_abs:.2g} "
        f"bits/dim, Spearman {comparison.spearman:.6f}, tail {comparison.tail_spearman:.6f}"
    )
    return verdict


def buckets(max_batch: int) -> tuple[int, ...]:
    """Return the batch sizes that get a CUDA graph of their own, up to the largest batch of the engine.

    >>> buckets(6), buckets(32)
    ((1, 2, 4, 6), (1, 2, 4, 8, 16, 32))
    """
    return (*(size for size in BUCKETS if size < max_batch), min(max_batch, BUCKETS[-1]))


def split_into_buckets(count: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Split `count` windows into calls, `(windows, bucket)` each; the last call is padded to its bucket.

    >>> split_into_buckets(37, (1, 2, 4, 8, 16, 32))
    [(32, 32), (5, 8)]
    """
    whole, rest = divmod(count, sizes[-1])
    calls = [(sizes[-1], sizes[-1])] * whole
    return calls + ([(rest, next(size for size in sizes if size >= rest))] if rest else [])


@runtime_checkable
class PhasedScorer(Protocol):
    """A scorer that can measure the parts of a call."""

    def phases(self, poses: Poses) -> dict[str, float]:
        """Score one batch step by step; return the seconds of `to_device`, `compute` and `to_host`."""
        ...


class TensorRTScorer:
    """Runs an engine. All memory is allocated at the start, and each size of `buckets` is one captured CUDA graph.

    A graph holds the copy to the GPU, the engine and the copy back. Several threads may call; one at a time is served.

    Args:
        trt: the TensorRT module.
        data: the engine, the bytes that TensorRT built.
        window: poses in a window.
        batch: minimum, optimum and maximum of the windows in a call of the engine.
        name: of the scorer, for people.
        gpu: the CUDA layer; tests replace it.

    Raises:
        InputError: TensorRT or CUDA report an error.
    """

    def __init__(
        self, trt: ModuleType, data: bytes, window: int, batch: tuple[int, int, int], name: str,
        gpu: CudaContext | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._sizes = tuple(size for size in buckets(batch[2]) if size >= batch[0]) or (batch[0],)
        self._executions: list[tensorrt.IExecutionContext] = []
        self._steps: dict[int, tuple[Callable[[], object], ...]] = {}
        self._runtime: tensorrt.Runtime | None = None
        self._engine: tensorrt.ICudaEngine | None = None
        self._gpu = gpu or CudaContext()
        try:
            with self._gpu.current():
                self._poses = self._gpu.buffer(self._sizes[-1], 2, window, _JOINTS)
                self._nll = self._gpu.buffer(self._sizes[-1])
                self._runtime, self._engine = load_engine(trt, data)
                self._gpu.on_close(self._release)
                self._calls = {size: self._prepare(size) for size in self._sizes}
        except BaseException:
            self._gpu.close()
            raise

    def phases(self, poses: Poses) -> dict[str, float]:
        """Score at most the largest bucket step by step; return the seconds of each step on the GPU.

        The steps are enqueued one by one with events between them, because inside a CUDA graph nothing can be measured.
        """
        ((count, size),) = split_into_buckets(len(poses[: self._sizes[-1]]), self._sizes)
        with self._gpu.current():
            self._poses.host[:count] = poses[:count]
            self._poses.host[count:size] = 0
            marks = [self._gpu.mark()]
            for step in self._steps[size]:
                step()
                marks.append(self._gpu.mark())
            self._gpu.synchronize()
            seconds = [self._gpu.seconds_between(*pair) for pair in itertools.pairwise(marks)]
        return dict(zip(("to_device", "compute", "to_host"), seconds, strict=True))

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the nll of windows `(B, 2, T, 18)` float32, `(B,)` float32."""
        nll = np.empty(len(poses), dtype=np.float32)
        first = 0
        with self._gpu.current():
            for count, size in split_into_buckets(len(poses), self._sizes):
                self._poses.host[:count] = poses[first : first + count]
                self._poses.host[count:size] = 0
                self._calls[size]()
                self._gpu.synchronize()
                nll[first : first + count] = self._nll.host[:count]
                first += count
        return nll

    def close(self) -> None:
        """Release graphs, executions, engine, runtime, memory and the context, in this order."""
        self._gpu.close()

    def _release(self) -> None:
        self._calls = {}
        self._steps = {}
        self._executions.clear()
        self._engine = self._runtime = None  # in this order

    def __enter__(self) -> TensorRTScorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, size: int) -> Callable[[], None]:
        """Return what scores the first `size` windows of the buffers: a captured graph, else the same calls one by one.

        Each size has an execution context of its own, because a change of its shape makes a captured graph invalid.
        """
        assert self._engine is not None
        execution = self._engine.create_execution_context()
        self._executions.append(execution)  # a captured graph uses its memory
        enqueue = self._bind(execution, size)

        def call() -> None:
            self._gpu.to_device(self._poses, size)
            if not enqueue():
                raise InputError(
                    f"{self.name} could not run the engine. Delete the engine file; it is rebuilt."
                )
            self._gpu.to_host(self._nll, size)

        self._steps[size] = (
            lambda: self._gpu.to_device(self._poses, size),
            enqueue,
            lambda: self._gpu.to_host(self._nll, size),
        )
        call()  # TensorRT allocates in its first call, which cannot be captured
        self._gpu.synchronize()
        try:
            return self._gpu.capture(call)
        except InputError as error:
            logger.warning("%s: %s Without a graph each call is slower.", self.name, error.message)
            return call

    def _bind(self, execution: tensorrt.IExecutionContext, size: int) -> Callable[[], bool]:
        """Set the shape and the addresses of an execution context, and return what enqueues it."""
        execution.set_input_shape("poses", (size, *self._poses.host.shape[1:]))
        execution.set_tensor_address("poses", self._poses.address)
        execution.set_tensor_address("nll", self._nll.address)
        return lambda: bool(execution.execute_async_v3(self._gpu.stream))
