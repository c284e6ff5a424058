"""The networks of a pose bundle, opened once for all cameras of the process."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Literal, cast

from daflow.core.engines.builder import BuildRequest, build_plan
from daflow.core.engines.cache import engine_folders, obtain_engine
from daflow.core.engines.onnxruntime import OnnxRunner, threads_of_environment
from daflow.core.errors import InputError
from daflow.core.gpu import tensorrt_of_this_machine
from daflow.core.pose_bundle import NetworkName, PoseBundle
from daflow.core.scoring.comparison import Precision
from runtime.networks.parallel import ParallelRunner
from runtime.networks.runner import NetworkRunner
from runtime.networks.shared import SharedRunner
from runtime.poses.pose_networks import BundleNetworks

logger = logging.getLogger(__name__)

Engine = Literal["onnxruntime", "tensorrt"]
_Key = tuple[Path, NetworkName, Engine, Precision]

_MAX_BATCH = 1  # picture in a call of ONNX Runtime: what a layer gives for more does not fit the caches

_opened: dict[_Key, tuple[NetworkRunner, int]] = {}
_lock = threading.Lock()


class _OfAllCameras:
    """A network as one camera has it, whose runner all cameras share; the last one that closes it releases it."""

    def __init__(self, key: _Key, runner: NetworkRunner) -> None:
        self.name, self.row, self.run = runner.name, runner.row, runner.run
        self._key: _Key | None = key

    def close(self) -> None:
        """Release the engine when no other camera uses it; may be called again."""
        with _lock:
            if self._key is None:
                return
            runner, users = _opened.pop(self._key)
            if users > 1:
                _opened[self._key] = runner, users - 1
            else:
                runner.close()
            self._key = None


def finds_joints(bundle: PoseBundle) -> bool:
    """Whether the detector of a pose bundle finds the joints too, so that it works alone (the layout `yolo-pose`)."""
    return "landmarks" not in bundle.manifest.networks and bundle.network("detector").joints > 0


def open_detector(bundle: PoseBundle, engine: Engine, precision: str = "auto") -> NetworkRunner:
    """Open the detector of a pose bundle, or share that of another camera; see `open_networks`."""
    return _shared(bundle, "detector", engine, precision)


def open_networks(bundle: PoseBundle, engine: Engine, precision: str = "auto") -> BundleNetworks:
    """Open detector and landmarks of a pose bundle, or share those that another camera has opened.

    Args:
        bundle: the pose bundle.
        engine: what runs them.
        precision: `fp32`, `fp16`, `int8`, or `auto`: FP32 on ONNX Runtime, and FP16 on TensorRT where it is there.

    Raises:
        InputError: the bundle has no landmarks, or no such precision, or the engine cannot be opened.
    """
    if "landmarks" not in bundle.manifest.networks:
        raise InputError(
            f"The pose bundle {bundle.folder} has a detector of boxes alone, and people are followed by a network of "
            "landmarks. Export it with one (--landmarks)."
        )
    found = bundle.network("detector")
    if found.width != found.height:
        raise InputError(
            f"The detector of the pose bundle {bundle.folder} takes pictures of {found.width} x {found.height}, and "
            "pictures are searched in squares. Export it with a detector of a square input."
        )
    detector = _shared(bundle, "detector", engine, precision)
    try:
        landmarks = _shared(bundle, "landmarks", engine, precision)
    except BaseException:
        detector.close()
        raise
    stride = found.stride if engine == "onnxruntime" else None  # an engine is built for one size
    return BundleNetworks(detector, landmarks, bundle.network("landmarks").joints, stride)


def _shared(bundle: PoseBundle, name: NetworkName, engine: Engine, precision: str) -> NetworkRunner:
    chosen = _precision(bundle, name, engine, precision)
    key = bundle.folder.resolve(), name, engine, chosen
    with _lock:
        runner, users = _opened.get(key) or (_runner(bundle, name, engine, chosen), 0)
        _opened[key] = runner, users + 1
        return _OfAllCameras(key, runner)


def _runner(bundle: PoseBundle, name: NetworkName, engine: Engine, chosen: Precision) -> NetworkRunner:
    if missed := bundle.missed_limits(name, chosen):
        logger.warning("the %s graph of %s misses its limits: %s", chosen, name, "; ".join(missed))
    runner = (
        SharedRunner(_tensorrt(bundle, name, chosen))
        if engine == "tensorrt"
        else _onnxruntime(bundle, name, chosen)
    )
    network = bundle.network(name)
    if runner.row != network.row:
        runner.close()
        raise InputError(
            f"The {chosen} graph of {name} in {bundle.folder} does not take pictures of {network.width} x "
            f"{network.height}, as the manifest says. Export the pose bundle again."
        )
    return runner


def _onnxruntime(bundle: PoseBundle, name: NetworkName, precision: Precision) -> NetworkRunner:
    """Return what runs the graph on this processor: few pictures by all threads together, many crops side by side."""
    graph = bundle.graph(name, precision)
    if name == "detector":
        return OnnxRunner(graph, precision, threads=0, max_batch=_MAX_BATCH, row=bundle.network(name).row)
    crops = OnnxRunner(graph, precision, threads=1, max_batch=_MAX_BATCH)
    return ParallelRunner(crops, threads_of_environment() or len(os.sched_getaffinity(0)))


def _precision(bundle: PoseBundle, name: NetworkName, engine: Engine, precision: str) -> Precision:
    if precision != "auto":
        return cast(Precision, precision)
    half = engine == "tensorrt" and "fp16" in bundle.network(name).precisions
    return "fp16" if half and not bundle.missed_limits(name, "fp16") else "fp32"


def _tensorrt(bundle: PoseBundle, name: NetworkName, precision: Precision) -> NetworkRunner:
    """Return the engine for the GPU of this machine, built first when none fits."""
    from runtime.networks.tensorrt import TensorRTRunner

    gpu, trt = tensorrt_of_this_machine("The pose engine tensorrt", "Use --pose-engine onnxruntime.")
    key = bundle.engine_key(name, precision, trt.__name__, str(trt.__version__), gpu.target, gpu.name)
    row = bundle.network(name).row
    request = BuildRequest(bundle.graph(name, precision), precision, key.options, row=row)
    title = f"{trt.__name__} {precision}"

    def build() -> tuple[bytes, float]:
        plan = build_plan(trt, request)
        return plan.data, plan.seconds

    return obtain_engine(
        engine_folders(bundle.folder, name), key, build,
        lambda data: TensorRTRunner(trt, data, key.options.batch, title), lambda _: None, logger.info,
    )  # fmt: skip
