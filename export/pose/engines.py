"""The TensorRT engines of a pose bundle: built ahead of time for named GPUs, or for the GPU of this machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from daflow.core.engines.cache import engine_folder
from daflow.core.files import StrPath
from daflow.core.gpu import find_gpu
from daflow.core.pose_bundle import NetworkName, PoseBundle, read_pose_bundle, update_pose_manifest
from daflow.core.scoring.comparison import Precision
from export.engines import (
    Batch,
    EngineBuilder,
    Report,
    build_options,
    builder_of_this_gpu,
    engine_precisions,
)

logger = logging.getLogger(__name__)


class PoseEngineBuilder(EngineBuilder):
    """Builds the engines of a pose bundle into `engines/NETWORK/`."""

    def build(self, bundle: PoseBundle, fp32: bool) -> None:
        """Build the engines of both networks; `fp32` is as for `engine_precisions`.

        Raises:
            InputError: TensorRT cannot build one.
            OSError: an engine cannot be stored.
        """
        targets: Sequence[str | None] = self.targets or [None]
        for name, network in bundle.manifest.networks.items():
            for precision in engine_precisions(network.precisions, fp32):
                for target in targets:
                    self._build(bundle, name, precision, target)

    def _build(self, bundle: PoseBundle, name: NetworkName, precision: Precision, target: str | None) -> None:
        gpu = None if target else find_gpu()
        key = bundle.engine_key(
            name, precision, self.trt.__name__, str(self.trt.__version__),
            target or (gpu.target if gpu else ""), gpu.name if gpu else None,
        )  # fmt: skip
        self._store(
            engine_folder(bundle.folder) / name, key, bundle.graph(name, precision), bundle.network(name).row
        )


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
    builder = builder_of_this_gpu(PoseEngineBuilder, layers, report)
    if batch is not None or workspace is not None:
        bundle = update_pose_manifest(
            bundle, lambda now: {"engine_options": build_options(batch, workspace, now.engine_options)}
        )
    builder.build(bundle, fp32)
    return bundle
