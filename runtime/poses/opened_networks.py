"""The networks of a pose bundle, opened once for all cameras of the process."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Literal, cast

from daflow.core.engines.builder import BuildRequest, build_plan
from daflow.core.engines.cache import engine_folders, obtain_engine
from daflow.core.engines.onnxruntime import OnnxRunner
from daflow.core.errors import InputError
from daflow.core.gpu import tensorrt_of_this_machine
from daflow.core.pose_bundle import NetworkName, PoseBundle, read_pose_bundle
from daflow.core.scoring.comparison import Precision
from runtime.networks.runner import NetworkRunner
from runtime.networks.shared import SharedRunner
from runtime.poses.pose_networks import BundleNetworks

logger = logging.getLogger(__name__)

Engine = Literal["onnxruntime", "tensorrt"]
_Key = tuple[Path, Engine, str]

_MAX_BATCH = 16  # crops of 256 pixels in a call of ONNX Runtime; more gain nothing and take memory

_opened: dict[_Key, tuple[BundleNetworks, int]] = {}
_lock = threading.Lock()


class SharedNetworks(BundleNetworks):
    """The networks of one camera, whose runners all cameras share; the last one that closes them releases them."""

    def __init__(self, key: _Key, networks: BundleNetworks) -> None:
        super().__init__(*networks.parts)
        self._key: _Key | None = key

    def close(self) -> None:
        """Release the engines when no other camera uses them; may be called again."""
        with _lock:
            if self._key is None:
                return
            networks, users = _opened.pop(self._key)
            if users > 1:
                _opened[self._key] = networks, users - 1
            else:
                networks.close()
            self._key = None


def open_networks(folder: Path, engine: Engine, precision: str = "auto") -> SharedNetworks:
    """Open the networks of a pose bundle, or share those that another camera has opened.

    Args:
        folder: the pose bundle.
        engine: what runs them.
        precision: `fp32`, `fp16`, `int8`, or `auto`: FP32 on ONNX Runtime, and FP16 on TensorRT where it is there.

    Raises:
        InputError: the folder is no pose bundle or has no such precision, or the engine cannot be opened.
    """
    key = folder.resolve(), engine, precision
    with _lock:
        if key in _opened:
            networks, users = _opened[key]
        else:
            networks, users = _open(read_pose_bundle(folder), engine, precision), 0
        _opened[key] = networks, users + 1
        return SharedNetworks(key, networks)


def _open(bundle: PoseBundle, engine: Engine, precision: str) -> BundleNetworks:
    if "landmarks" not in bundle.manifest.networks:
        raise InputError(
            f"The pose bundle {bundle.folder} has a detector alone, and people are followed by a network of landmarks. "
            "Export it with one (--landmarks)."
        )
    found = bundle.network("detector")
    if found.width != found.height:
        raise InputError(
            f"The detector of the pose bundle {bundle.folder} takes pictures of {found.width} x {found.height}, and "
            "pictures are searched in squares. Export it with a detector of a square input."
        )
    joints = bundle.network("landmarks").joints
    detector = _runner(bundle, "detector", engine, precision)
    try:
        landmarks = _runner(bundle, "landmarks", engine, precision)
    except BaseException:
        detector.close()
        raise
    return BundleNetworks(SharedRunner(detector), SharedRunner(landmarks), joints)


def _runner(bundle: PoseBundle, name: NetworkName, engine: Engine, precision: str) -> NetworkRunner:
    chosen = _precision(bundle, name, engine, precision)
    if missed := bundle.missed_limits(name, chosen):
        logger.warning("the %s graph of %s misses its limits: %s", chosen, name, "; ".join(missed))
    runner: NetworkRunner = (
        _tensorrt(bundle, name, chosen)
        if engine == "tensorrt"
        else OnnxRunner(bundle.graph(name, chosen), chosen, threads=0, max_batch=_MAX_BATCH)
    )
    network = bundle.network(name)
    if runner.row != (network.height, network.width, 3):
        runner.close()
        raise InputError(
            f"The {chosen} graph of {name} in {bundle.folder} does not take pictures of {network.width} x "
            f"{network.height}, as the manifest says. Export the pose bundle again."
        )
    return runner


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
    request = BuildRequest(bundle.graph(name, precision), precision, key.options)
    title = f"{trt.__name__} {precision}"

    def build() -> tuple[bytes, float]:
        plan = build_plan(trt, request)
        return plan.data, plan.seconds

    return obtain_engine(
        engine_folders(bundle.folder, name), key, build,
        lambda data: TensorRTRunner(trt, data, key.options.batch, title), lambda _: None, logger.info,
    )  # fmt: skip
