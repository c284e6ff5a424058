"""The engines of a bundle: built ahead of time for named GPUs, or built and verified on the GPU of this machine."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from pydantic import ValidationError

from daflow.core.bundle import Bundle, read_bundle, update_manifest
from daflow.core.engines.builder import BuildRequest, Plan, build_plan, check_targets
from daflow.core.engines.cache import store_engine
from daflow.core.engines.file import BuildOptions, EngineKey
from daflow.core.errors import InputError
from daflow.core.files import write_text
from daflow.core.gpu import find_gpu, load_tensorrt, tensorrt_of_this_machine, unsupported_here
from daflow.core.scoring.comparison import PRECISIONS, Precision

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
Batch = tuple[int, int, int]

_DEFAULT_TARGET = "sm86"
"""Without a GPU and without a named target: Ampere, the oldest generation of GPUs that is still common in PCs."""


AnyBuilder = TypeVar("AnyBuilder", bound="EngineBuilder")


@dataclass(frozen=True)
class EngineBuilder:
    """The TensorRT that builds the engines of a bundle, and what for.

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

    def _store(self, folder: Path, key: EngineKey, graph: Path, row: tuple[int, ...] | None = None) -> None:
        """Build an engine into `engines` of a bundle, or a folder below that; `row` is as in `BuildRequest`."""
        ahead_of_time = None if key.device else key.target
        plan = build_plan(self.trt, BuildRequest(graph, key.precision, key.options, ahead_of_time, row))
        path = folder / key.file_name
        folder.mkdir(parents=True, exist_ok=True)
        store_engine(path, key, plan.data, plan.seconds, None)
        self._report_plan(path, plan)

    def _report_plan(self, path: Path, plan: Plan) -> None:
        below = "/".join(path.parts[len(path.parts) - 1 - path.parts[::-1].index("engines") :])
        self.report(
            f"{below}: built by {self.trt.__name__} {self.trt.__version__} in {plan.seconds:.1f} s, "
            f"{len(plan.data) / 2**20:.1f} MiB"
        )
        if self.layers:
            write_text(path.with_suffix(".layers.json"), json.dumps(plan.layers, indent=1) + "\n")


class ScorerEngineBuilder(EngineBuilder):
    """Builds the engines of a scorer's bundle."""

    def build(self, bundle: Bundle, fp32: bool) -> None:
        """Build into the folder `engines` of the bundle; `fp32` is as for `engine_precisions`.

        Raises:
            InputError: TensorRT cannot build for a target.
            CheckFailed: an engine ran here and does not rank windows as the FP32 graph does.
        """
        version = str(self.trt.__version__)
        for precision in engine_precisions(bundle.manifest.precisions, fp32):
            for target in self.targets:
                key = bundle.engine_key(precision, self.trt.__name__, version, target, None)
                self._store(bundle.folder / "engines", key, bundle.graph(precision))
            if not self.targets:
                self._build_here(bundle, precision)

    def _build_here(self, bundle: Bundle, precision: Precision) -> None:
        from runtime.scorers.tensorrt import open_tensorrt

        open_tensorrt(bundle, precision, self.report, rebuild=True, on_build=self._report_plan).close()


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
    builder = builder_of_this_gpu(ScorerEngineBuilder, layers, report)
    if batch is not None or workspace is not None:
        bundle = update_manifest(
            bundle, lambda now: {"engine_options": build_options(batch, workspace, now.engine_options)}
        )
    builder.build(bundle, fp32)
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


def engine_precisions(there: Collection[Precision], fp32: bool) -> list[Precision]:
    """Return what to build engines of: FP16 and INT8 where such graphs are there; else, or with `fp32`, FP32."""
    reduced: list[Precision] = [name for name in PRECISIONS if name in there and name != "fp32"]
    return ["fp32"] if fp32 or not reduced else reduced


def find_engine_builder(
    kind: type[AnyBuilder], targets: Sequence[str], layers: bool, report: Report
) -> AnyBuilder | None:
    """Return the builder for targets, or for the GPU of this machine, else sm86; None without TensorRT.

    Args:
        kind: what to build.
        targets: compute capabilities; may be empty.
        layers: see `EngineBuilder`.
        report: see `EngineBuilder`.

    Raises:
        InputError: a target is asked for that cannot be built for here.
    """
    trt, ahead_of_time = find_builder(targets)
    if trt is not None:
        check_targets(trt, ahead_of_time)
        return kind(trt, ahead_of_time, layers, report)
    if targets:
        raise InputError(
            f"TensorRT is not installed, so no engine can be built for {', '.join(targets)}. It comes with JetPack, or "
            "with: pip install 'daflow[export]'"
        )
    logger.warning("TensorRT is not installed, so the bundle has no engines; it runs on ONNX Runtime")
    return None


def builder_of_this_gpu(kind: type[AnyBuilder], layers: bool, report: Report) -> AnyBuilder:
    """Return the builder for the GPU of this machine.

    Raises:
        InputError: there is no GPU, or no TensorRT that runs on it.
    """
    _, trt = tensorrt_of_this_machine("--on-device", "Without it the bundle runs on ONNX Runtime.")
    return kind(trt, [], layers, report)


def find_builder(targets: Sequence[str]) -> tuple[ModuleType | None, list[str]]:
    """Find the TensorRT that can build for the targets, and the targets that must be built ahead of time.

    Args:
        targets: compute capabilities; empty means the GPU of this machine, or sm86 without one that TensorRT runs on.

    Returns:
        The module, None when it is not installed; and the targets, empty when there is only the GPU of this machine.
    """
    gpu = find_gpu()
    if gpu is not None and all(target == gpu.target for target in targets):
        trt = load_tensorrt()
        reason = None if trt is None else unsupported_here(trt)
        if reason is None:
            return trt, []
        logger.warning("%s Engines are built ahead of time, for other GPUs.", reason)
    return load_tensorrt(("tensorrt_rtx",)), list(targets) or [_DEFAULT_TARGET]
