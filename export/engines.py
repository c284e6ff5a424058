"""The engines of a bundle: ahead of time for named targets, or on the GPU of this machine, where they are proven."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from daflow.core.bundle import Bundle
from daflow.core.engines.builder import BuildRequest, Plan, build_plan
from daflow.core.engines.cache import keep_engine
from daflow.core.errors import InputError
from daflow.core.files import write_text
from daflow.core.gpu import Gpu, find_gpu, load_tensorrt
from daflow.core.scoring.comparison import Precision

Report = Callable[[str], None]


@dataclass(frozen=True)
class EngineBuilder:
    """Builds the engines of a bundle.

    Attributes:
        trt: the TensorRT module.
        targets: to build for ahead of time; none builds for the GPU of this machine.
        timing_cache: a file that keeps TensorRT's measurements; None keeps none.
        layers: whether to write what is known about the layers beside each engine.
        report: takes a line for each engine.
    """

    trt: ModuleType
    targets: Sequence[str]
    timing_cache: Path | None
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
                self._ahead_of_time(bundle, precision, target)
            if not self.targets:
                self._here(bundle, precision)

    def _ahead_of_time(self, bundle: Bundle, precision: Precision, target: str) -> None:
        key = bundle.engine_key(precision, self.trt.__name__, str(self.trt.__version__), target, None)
        plan = build_plan(
            self.trt,
            BuildRequest(
                bundle.graph(precision),
                precision,
                bundle.manifest.window,
                key.options,
                target,
                self.timing_cache,
            ),
        )
        path = bundle.folder / "engines" / key.file_name
        keep_engine(path, key, plan.data, plan.seconds, None)
        self._tell(path, plan)

    def _here(self, bundle: Bundle, precision: Precision) -> None:
        from runtime.scorers.tensorrt import open_tensorrt

        open_tensorrt(
            bundle, precision, self.report, rebuild=True, timing_cache=self.timing_cache, built=self._tell
        ).close()

    def _tell(self, path: Path, plan: Plan) -> None:
        self.report(
            f"engines/{path.name}: built by {self.trt.__name__} {self.trt.__version__} in {plan.seconds:.1f} s, "
            f"{len(plan.data) / 2**20:.1f} MiB"
        )
        if self.layers:
            write_text(path.with_suffix(".layers.json"), json.dumps(plan.layers, indent=1) + "\n")


def find_builder(targets: Sequence[str]) -> tuple[ModuleType | None, list[str], Gpu | None]:
    """Find the TensorRT that builds for the targets, and the targets that must be built ahead of time.

    Args:
        targets: as the user names them; none means the GPU of this machine, or sm86 where there is none.

    Returns:
        The module, None when it is not installed; the targets, none when it is just the GPU here; and that GPU.
    """
    gpu = find_gpu()
    if gpu is not None and all(target == gpu.target for target in targets):
        return load_tensorrt(), [], gpu
    return load_tensorrt(("tensorrt_rtx",)), list(targets) or ["sm86"], gpu


def require_gpu() -> None:
    """Raise InputError where there is no NVIDIA GPU or no TensorRT to build on this device with."""
    if find_gpu() is None:
        raise InputError("--on-device builds for the GPU of this machine, and no NVIDIA GPU is here.")
    if load_tensorrt() is None:
        raise InputError("--on-device needs TensorRT, which comes with JetPack and is not installed here.")
