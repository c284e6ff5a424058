"""Build a TensorRT engine from an ONNX graph, with the installed TensorRT: 8.6 to 11, or TensorRT for RTX.

What a TensorRT supports is found by looking for the name, never by its version. Its objects are always held in
variables called `builder`, `network`, `config` and so on. By these `scripts/tensorrt_names.py` finds the names that are
used, and looks them up in the bindings of each version.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from daflow.core.engines.file import BuildOptions
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.graph_file import read_graph

if TYPE_CHECKING:
    import tensorrt

SINGLE_PRECISION = ("likelihood.", "input.", "head.")
"""Prefixes of the names of the operations that stay in FP32 (see `export.folded_flow`, `export.pose.assembly` and
`export.pose.layouts`)."""


@dataclass(frozen=True)
class Plan:
    """What TensorRT built: its bytes, the seconds that it took, and what is known about its layers."""

    data: bytes
    seconds: float
    layers: dict[str, Any]


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        graph: the ONNX file.
        precision: what its operations compute in.
        options: chosen by the user.
        ahead_of_time: the target, such as `sm86`, when it is not the GPU of this machine.
        row: the shape of the input without its batch axis, where the graph leaves it free.
    """

    graph: Path
    precision: Precision
    options: BuildOptions = field(default_factory=BuildOptions)
    ahead_of_time: str | None = None
    row: tuple[int, ...] | None = None


def ahead_of_time_targets(trt: ModuleType) -> list[str]:
    """Return the targets, such as `sm86`, that can be built for without their GPU."""
    names = getattr(trt, "ComputeCapability", None)
    members = names.__members__ if names is not None else {}
    return [name.lower() for name in members if name.startswith("SM")]


def check_targets(trt: ModuleType, targets: Sequence[str]) -> None:
    """Raise InputError when one of the targets cannot be built for on a machine without its GPU."""
    known = ahead_of_time_targets(trt)
    for target in targets:
        if target not in known:
            raise InputError(
                f"{trt.__name__} {trt.__version__} cannot build for {target} on this machine, only for "
                f"{', '.join(known) or 'its own GPU'}. Use --on-device on the device itself."
            )


def build_plan(trt: ModuleType, request: BuildRequest) -> Plan:
    """Build an engine.

    Where networks can be strongly typed the graph alone decides the precision. TensorRT 8.6 has no such networks: there
    the builder may use the precision of the graph, and must keep to FP32 where the graph does.

    Args:
        trt: the TensorRT module.
        request: what to build.

    Raises:
        InputError: the graph refers to other files, or this TensorRT cannot parse or build it; the message holds
            TensorRT's own.
    """
    start = time.monotonic()
    graph = read_graph(request.graph)
    log = _log(trt)
    log.errors.clear()
    here = f"{trt.__name__} {trt.__version__}"
    if request.ahead_of_time:
        check_targets(trt, [request.ahead_of_time])
    builder: tensorrt.Builder | None = trt.Builder(log.logger)
    if builder is None:
        raise InputError(f"{here} cannot create a builder: {log.last_error()}")
    strong = member(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    explicit = member(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH")
    flags = [flag for flag in (strong if strong is not None else explicit,) if flag is not None]
    network: tensorrt.INetworkDefinition = builder.create_network(sum(1 << int(flag) for flag in flags))
    parser: tensorrt.OnnxParser = trt.OnnxParser(network, log.logger)
    if not parser.parse(graph):
        errors = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise InputError(f"{here} cannot parse {request.graph.name}: {errors}")
    config = builder.create_builder_config()
    if strong is None:
        _allow(trt, config, network, request.precision)
    _configure(trt, config, request)
    profile = builder.create_optimization_profile()
    tensor = network.get_input(0) if network.num_inputs else None
    if tensor is None:
        raise InputError(f"{here} cannot build {request.graph.name}: it has no input.")
    if request.row is not None:
        tensor.shape = (-1, *request.row)  # type: ignore[assignment]
    row: tuple[int, ...] = tuple(tensor.shape)[1:]  # type: ignore[arg-type]
    profile.set_shape(tensor.name, *[(batch, *row) for batch in request.options.batch])  # type: ignore[arg-type]
    config.add_optimization_profile(profile)
    monitor = _monitor(trt) if hasattr(config, "progress_monitor") else None
    if monitor is not None:
        config.progress_monitor = monitor
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        target = request.ahead_of_time or "this GPU"
        raise InputError(f"{here} cannot build {request.graph.name} for {target}: {log.last_error()}")
    data = bytes(memoryview(serialized))
    return Plan(data, time.monotonic() - start, _layers(trt, network, data))


def member(enumeration: Any, name: str) -> Any:
    """Return a member of one of TensorRT's enumerations, None where this version does not have it."""
    return getattr(enumeration, "__members__", {}).get(name)


def _allow(
    trt: ModuleType,
    config: tensorrt.IBuilderConfig,
    network: tensorrt.INetworkDefinition,
    precision: Precision,
) -> None:
    """Weak typing: allow what the precision of the graph needs, and keep in FP32 what the graph keeps there."""
    if precision == "fp16":
        config.set_flag(member(trt.BuilderFlag, "FP16"))
        config.set_flag(member(trt.BuilderFlag, "OBEY_PRECISION_CONSTRAINTS"))
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            tensors = [layer.get_output(position) for position in range(layer.num_outputs)]
            if layer.name.startswith(SINGLE_PRECISION) and all(
                tensor.dtype == trt.float32 for tensor in tensors
            ):
                layer.precision = trt.float32
                for position in range(layer.num_outputs):
                    layer.set_output_type(position, trt.float32)
    if precision == "int8":
        config.set_flag(member(trt.BuilderFlag, "INT8"))


def _configure(trt: ModuleType, config: Any, request: BuildRequest) -> None:
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.options.workspace << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # names the layers for --layers
    tf32 = member(trt.BuilderFlag, "TF32")
    if tf32 is not None:
        config.clear_flag(tf32)  # FP32 in the file means FP32: TF32 has no more digits than FP16
    if request.ahead_of_time:
        config.num_compute_capabilities = 1
        config.set_compute_capability(member(trt.ComputeCapability, request.ahead_of_time.upper()), 0)


class _ErrorLog:
    """The logger of a TensorRT module; it collects errors for our own messages instead of printing them."""

    def __init__(self, trt: ModuleType) -> None:
        self.errors: list[str] = []
        log = self

        class Collector(trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity <= trt.ILogger.Severity.ERROR:
                    log.errors.append(message)

        self.logger = Collector()

    def last_error(self) -> str:
        return self.errors[-1].strip() if self.errors else "TensorRT gave no reason"


@functools.cache
def _log(trt: ModuleType) -> _ErrorLog:
    """One logger for the whole process: TensorRT keeps the first that it gets, and ignores others."""
    return _ErrorLog(trt)


def load_engine(trt: ModuleType, data: bytes) -> tuple[tensorrt.Runtime, tensorrt.ICudaEngine]:
    """Return TensorRT's runtime and the engine of a plan; the runtime must outlive the engine.

    Raises:
        InputError: TensorRT cannot load it; the message holds TensorRT's own.
    """
    log = _log(trt)
    log.errors.clear()
    runtime: tensorrt.Runtime = trt.Runtime(log.logger)
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise InputError(f"{trt.__name__} {trt.__version__} cannot load the engine: {log.last_error()}")
    return runtime, engine


def _layers(trt: ModuleType, network: tensorrt.INetworkDefinition, data: bytes) -> dict[str, Any]:
    """What was parsed, and what TensorRT made of it; the latter is known only where a GPU can load the engine."""
    parsed = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        outputs = [layer.get_output(position) for position in range(layer.num_outputs)]
        parsed.append({
            "name": layer.name,
            "type": str(layer.type).rpartition(".")[2],
            "outputs": [
                {"name": tensor.name, "type": str(tensor.dtype).rpartition(".")[2], "shape": list(tensor.shape)}  # type: ignore[call-overload]
                for tensor in outputs
            ],
        })  # fmt: skip
    try:
        runtime, engine = load_engine(trt, data)
    except InputError as error:
        return {"network": parsed, "engine": None, "engine_unknown_because": error.message}
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    del inspector, engine, runtime  # in this order: the engine must not outlive its runtime
    return {"network": parsed, "engine": json.loads(text)}


def _monitor(trt: ModuleType) -> Any:
    """TensorRT's progress as a bar on a terminal; None elsewhere, and where this version reports none."""
    if not hasattr(trt, "IProgressMonitor") or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.bars: dict[str, tqdm[Any]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:  # noqa: ARG002
            self.bars[phase_name] = tqdm(
                total=num_steps, desc=phase_name, leave=False, position=len(self.bars), dynamic_ncols=True
            )

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self.bars:
                self.bars[phase_name].update(step + 1 - self.bars[phase_name].n)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.bars.pop(phase_name).close()

    return Monitor()
