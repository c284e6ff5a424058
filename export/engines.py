"""The engines of a bundle: built ahead of time for named GPUs, or built and verified on the GPU of this machine."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from daflow.core.bundle import Bundle, read_bundle, update_manifest
from daflow.core.engines.builder import BuildRequest, Plan, build_plan
from daflow.core.engines.cache import store_engine
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import InputError
from daflow.core.files import write_text
from daflow.core.gpu import find_gpu, load_tensorrt
from daflow.core.scoring.comparison import PRECISIONS, Precision

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
Batch = tuple[int, int, int]

_DEFAULT_TARGET = "sm86"
"""Without a GPU and without a named target: Ampere, the oldest generation of GPUs that is still common in PCs."""


@dataclass(frozen=True)
class EngineBuilder:
    """Builds the engines of a bundle.

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

    def build(self, bundle: Bundle, precisions: Sequence[Precision]) -> None:
        """Build into the folder `engines` of the bundle.

        Raises:
            InputError: TensorRT cannot build for a target.
            CheckFailed: an engine ran here and does not rank windows as the FP32 graph does.
        """
        for precision in precisions:
            for target in self.targets:
                self._build_ahead_of_time(bundle, precision, target)
            if not self.targets:
                self._build_here(bundle, precision)

    def _build_ahead_of_time(self, bundle: Bundle, precision: Precision, target: str) -> None:
        key = bundle.engine_key(precision, self.trt.__name__, str(self.trt.__version__), target, None)
        request = BuildRequest(bundle.graph(precision), precision, key.options, target)
        plan = build_plan(self.trt, request)
        path = bundle.folder / "engines" / key.file_name
        store_engine(path, key, plan.data, plan.seconds, None)
        self._report_plan(path, plan)

    def _build_here(self, bundle: Bundle, precision: Precision) -> None:
        from runtime.scorers.tensorrt import open_tensorrt

        open_tensorrt(bundle, precision, self.report, rebuild=True, on_build=self._report_plan).close()

    def _report_plan(self, path: Path, plan: Plan) -> None:
        self.report(
            f"engines/{path.name}: built by {self.trt.__name__} {self.trt.__version__} in {plan.seconds:.1f} s, "
            f"{len(plan.data) / 2**20:.1f} MiB"
        )
        if self.layers:
            write_text(path.with_suffix(".layers.json"), json.dumps(plan.layers, indent=1) + "\n")


def build_on_device(
    folder: str | os.PathLike[str],
    *,
    fp32: bool = False,
    batch: Batch | None = None,
    workspace: int | None = None,
    layers: bool = False,
    report: Report = logger.info,
) -> Bundle:
    """Build and verify the engines of a bundle on the GPU of this machine; this needs no torch.

    Args:
        folder: the bundle.
        fp32: build the FP32 engine in place of FP16 and INT8.
        batch: minimum, optimum and maximum of the windows in a call; None takes what the bundle says. A value that is
            given is written to the bundle.
        workspace: maximum scratch memory of TensorRT's builder in MiB; None likewise.
        layers: whether to write what is known about the layers beside each engine.
        report: takes a line for each step.

    Returns:
        The bundle with the options that it has now.

    Raises:
        InputError: there is no bundle, GPU or TensorRT, an option is out of range, or TensorRT cannot build an engine.
        CheckFailed: an engine does not rank windows as the FP32 graph does.
    """
    bundle = read_bundle(Path(folder))
    if find_gpu() is None:
        raise InputError("--on-device builds for the GPU of this machine, but no NVIDIA GPU was found.")
    trt = load_tensorrt()
    if trt is None:
        raise InputError("--on-device needs TensorRT, which is not installed. It comes with JetPack.")
    if batch is not None or workspace is not None:
        bundle = update_manifest(
            bundle, lambda now: {"engine_options": build_options(batch, workspace, now.engine_options)}
        )
    EngineBuilder(trt, [], layers, report).build(bundle, engine_precisions(bundle, fp32))
    return bundle


def build_options(
    batch: Batch | None, workspace: int | None, base: BuildOptions | None = None
) -> BuildOptions:
    """Return `base`, by default the default options, with the values that are given.

    Raises:
        InputError: a value is out of range.
    """
    values = (base or BuildOptions()).model_dump()
    given = {"batch": batch, "workspace": workspace}
    try:
        return BuildOptions.model_validate(
            {**values, **{name: value for name, value in given.items() if value is not None}}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"The engine option {first['loc'][0]} is {first['input']!r}: {first['msg']}."
        ) from None


def engine_precisions(bundle: Bundle, fp32: bool) -> list[Precision]:
    """Return what to build engines of: FP16 and INT8 where the bundle has them; else, or with `fp32`, FP32."""
    reduced: list[Precision] = [
        name for name in PRECISIONS if name in bundle.manifest.precisions and name != "fp32"
    ]
    return ["fp32"] if fp32 or not reduced else reduced


def find_builder(targets: Sequence[str]) -> tuple[ModuleType | None, list[str]]:
    """Find the TensorRT that can build for the targets, and the targets that must be built ahead of time.

    Args:
        targets: compute capabilities; empty means the GPU of this machine, or sm86 without one.

    Returns:
        The module, None when it is not installed; and the targets, empty when there is only the GPU of this machine.
    """
    gpu = find_gpu()
    if gpu is not None and all(target == gpu.target for target in targets):
        return load_tensorrt(), []
    return load_tensorrt(("tensorrt_rtx",)), list(targets) or [_DEFAULT_TARGET]
