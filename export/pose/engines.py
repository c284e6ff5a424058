"""The TensorRT engines of a pose bundle: built ahead of time for named GPUs, or for the GPU of this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from daflow.core.engines.builder import BuildRequest, build_plan, check_targets
from daflow.core.engines.cache import engine_folder, store_engine
from daflow.core.errors import InputError
from daflow.core.files import StrPath, write_text
from daflow.core.gpu import find_gpu, load_tensorrt
from daflow.core.pose_bundle import NetworkName, PoseBundle, read_pose_bundle, write_pose_manifest
from daflow.core.scoring.comparison import Precision
from export.engines import Batch, build_options, find_builder

logger = logging.getLogger(__name__)

Report = Callable[[str], None]


@dataclass(frozen=True)
class PoseEngineBuilder:
    """Builds the engines of a pose bundle into `engines/NETWORK/`.

    Attributes:
        trt: the TensorRT module.
        targets: to build for ahead of time; empty builds for the GPU of this machine.
        layers: whether to write what is known about the layers beside each engine.
        report: takes a line for each engine.
    """

    trt: ModuleType
    targets: Sequence[str]
    layers: bool
    report: Report

    def build(self, bundle: PoseBundle, fp32: bool) -> None:
        """Build FP16 and INT8 engines of the networks that have such graphs; else, or with `fp32`, FP32 ones.

        Raises:
            InputError: TensorRT cannot build one.
            OSError: an engine cannot be stored.
        """
        for name, network in bundle.manifest.networks.items():
            reduced: list[Precision] = [precision for precision in network.precisions if precision != "fp32"]
            precisions: list[Precision] = ["fp32"] if fp32 or not reduced else reduced
            targets: Sequence[str | None] = self.targets or [None]
            for precision in precisions:
                for target in targets:
                    self._build(bundle, name, precision, target)

    def _build(self, bundle: PoseBundle, name: NetworkName, precision: Precision, target: str | None) -> None:
        gpu = None if target else find_gpu()
        key = bundle.engine_key(
            name, precision, self.trt.__name__, str(self.trt.__version__),
            target or (gpu.target if gpu else ""), gpu.name if gpu else None,
        )  # fmt: skip
        plan = build_plan(
            self.trt, BuildRequest(bundle.graph(name, precision), precision, key.options, target)
        )
        path = engine_folder(bundle.folder) / name / key.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        store_engine(path, key, plan.data, plan.seconds, None)
        self.report(
            f"engines/{name}/{path.name}: built by {self.trt.__name__} {self.trt.__version__} in {plan.seconds:.1f} s, "
            f"{len(plan.data) / 2**20:.1f} MiB"
        )
        if self.layers:
            write_text(path.with_suffix(".layers.json"), json.dumps(plan.layers, indent=1) + "\n")


def find_pose_engine_builder(
    targets: Sequence[str], layers: bool, report: Report
) -> PoseEngineBuilder | None:
    """Return the builder for targets, or for the GPU of this machine, else sm86; None without TensorRT.

    Raises:
        InputError: a target is asked for that cannot be built for here.
    """
    trt, ahead_of_time = find_builder(targets)
    if trt is not None:
        check_targets(trt, ahead_of_time)
        return PoseEngineBuilder(trt, ahead_of_time, layers, report)
    if targets:
        raise InputError(
            f"TensorRT is not installed, so no engine can be built for {', '.join(targets)}. It comes with JetPack, or "
            "with: pip install 'daflow[export]'"
        )
    logger.warning("TensorRT is not installed, so the pose bundle has no engines; it runs on ONNX Runtime")
    return None


def build_pose_engines_on_device(
    folder: StrPath, *, fp32: bool = False, batch: Batch | None = None, workspace: int | None = None,
    layers: bool = False, report: Report = logger.info,
) -> PoseBundle:  # fmt: skip
    """Build the engines of a pose bundle on the GPU of this machine.

    Args:
        folder: the bundle.
        fp32: build the FP32 engines in place of FP16 and INT8.
        batch: minimum, optimum and maximum of the pictures in a call; None takes what the bundle says. A value that is
            given is written to the bundle.
        workspace: maximum scratch memory of TensorRT's builder in MiB; None likewise.
        layers: whether to write what is known about the layers beside each engine.
        report: takes a line for each step.

    Raises:
        InputError: there is no bundle, GPU or TensorRT, an option is out of range, or TensorRT cannot build an engine.
        OSError: an engine cannot be stored.
    """
    bundle = read_pose_bundle(Path(folder))
    if find_gpu() is None:
        raise InputError("--on-device builds for the GPU of this machine, but no NVIDIA GPU was found.")
    trt = load_tensorrt()
    if trt is None:
        raise InputError("--on-device needs TensorRT, which is not installed. It comes with JetPack.")
    options = build_options(batch, workspace, bundle.manifest.engine_options)
    if options != bundle.manifest.engine_options:
        bundle = PoseBundle(bundle.folder, bundle.manifest.model_copy(update={"engine_options": options}))
        write_pose_manifest(bundle.folder, bundle.manifest)
    PoseEngineBuilder(trt, [], layers, report).build(bundle, fp32)
    return bundle
