"""From an ONNX graph to a TensorRT engine, with whichever TensorRT is here.

On a device the engine is built for its own GPU. Elsewhere TensorRT for RTX builds ahead of time for a named target.
What a TensorRT can do is found by looking for the name, never by its version number: JetPack 5 to 7 carry 8.5 to 10.13.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from daflow.bundle import Engine, Precision
from daflow.errors import InputError
from daflow.files import sha256, written_whole
from daflow.nvidia import load_tensorrt

MAX_BATCH = 64
_USUAL_BATCH = 4
_WORKSPACE = 256 << 20  # bytes; the model needs less than a megabyte


def find_builder(ahead_of_time: bool) -> ModuleType | None:
    """Return the TensorRT to build with; only TensorRT for RTX builds ahead of time, for a GPU that is not here."""
    return load_tensorrt(("tensorrt_rtx",)) if ahead_of_time else load_tensorrt()


def ahead_of_time_targets(trt: ModuleType) -> list[str]:
    """Return the targets that can be built for without having their GPU, such as `sm86`."""
    names = getattr(trt, "ComputeCapability", None)
    members = names.__members__ if names is not None else {}
    return [name.lower() for name in members if name.startswith("SM")]


def build_engine(
    trt: ModuleType,
    graph: Path,
    folder: Path,
    precision: Precision,
    target: str,
    ahead_of_time: bool,
    window: int,
) -> Engine:
    """Build an engine and write it to `folder`.

    Args:
        trt: the TensorRT module.
        graph: the ONNX file.
        folder: where the engine goes; its name says what it is tied to.
        precision: of the graph.
        target: the GPU to build for.
        ahead_of_time: whether that GPU is not the one of this machine.
        window: poses in a window.

    Returns:
        The engine's entry for the manifest, its path relative to the folder's parent.

    Raises:
        InputError: the target is not known, or TensorRT cannot parse or build the graph; with TensorRT's own words.
    """
    if ahead_of_time and target not in ahead_of_time_targets(trt):
        known = ", ".join(ahead_of_time_targets(trt)) or "none"
        raise InputError(
            f"{trt.__name__} {trt.__version__} cannot build for {target} on this machine; it can for {known}. "
            "Run daflow-export on the device itself."
        )
    log = _Log(trt)
    builder = trt.Builder(log.logger)
    network, config = builder.create_network(_network_flags(trt)), builder.create_builder_config()
    parser = trt.OnnxParser(network, log.logger)
    if not parser.parse(graph.read_bytes()):
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise InputError(f"{trt.__name__} {trt.__version__} cannot parse {graph.name}: {errors}")
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    if precision == "fp16" and not _strongly_typed(trt):
        config.set_flag(trt.BuilderFlag.FP16)
    if ahead_of_time:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.__members__[target.upper()], 0)
    profile = builder.create_optimization_profile()
    shapes = [(batch, 2, window, 18) for batch in (1, _USUAL_BATCH, MAX_BATCH)]
    profile.set_shape("poses", *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise InputError(
            f"{trt.__name__} {trt.__version__} cannot build {graph.name} for {target}: {log.last_error()}"
        )
    name = f"{graph.stem}.{target}.{trt.__name__}-{trt.__version__}.engine"
    with written_whole(folder / name) as temporary:
        temporary.write_bytes(memoryview(plan))
    return Engine(
        file=f"{folder.name}/{name}", precision=precision, flavour=trt.__name__, version=str(trt.__version__),
        target=target, graph=sha256(graph), max_batch=MAX_BATCH,
    )  # fmt: skip


class _Log:
    """A TensorRT logger that keeps errors for our own message instead of printing them."""

    def __init__(self, trt: ModuleType) -> None:
        self.errors: list[str] = []
        log = self

        class Keeper(trt.ILogger):  # type: ignore[misc, name-defined]
            def log(self, severity: Any, message: str) -> None:
                if severity <= trt.ILogger.Severity.ERROR:
                    log.errors.append(message)

        self.logger = Keeper()

    def last_error(self) -> str:
        return self.errors[-1].strip() if self.errors else "it gave no reason"


def _strongly_typed(trt: ModuleType) -> bool:
    return "STRONGLY_TYPED" in trt.NetworkDefinitionCreationFlag.__members__


def _network_flags(trt: ModuleType) -> int:
    """Strong typing where it exists, so that the graph alone decides; else explicit batch, which 8.x wants said."""
    members = trt.NetworkDefinitionCreationFlag.__members__
    names = ("STRONGLY_TYPED",) if _strongly_typed(trt) else ("EXPLICIT_BATCH",)
    return sum(1 << int(members[name]) for name in names if name in members)
