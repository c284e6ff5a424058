"""Run a TensorRT engine: all memory is allocated at the start, and each batch size is one captured CUDA graph."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from daflow.core.engines.builder import load_engine
from daflow.core.errors import InputError
from runtime.networks.cuda import Buffer, CudaContext
from runtime.networks.runner import Array, buckets, split_into_buckets

if TYPE_CHECKING:
    import tensorrt

logger = logging.getLogger(__name__)

_TYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "UINT8": np.uint8,
}  # trt.nptype of 8.6 fails with today's numpy


@dataclass(frozen=True)
class _Tensor:
    """An input or output of an engine: its shape without the batch axis, and its memory."""

    row: tuple[int, ...]
    memory: Buffer


class TensorRTRunner:
    """Runs an engine with one input; a `NetworkRunner`.

    A graph holds the copy to the GPU, the engine and the copies back. Several threads may call; one at a time is
    served.

    Args:
        trt: the TensorRT module.
        data: the engine, the bytes that TensorRT built.
        batch: minimum, optimum and maximum of the rows in a call of the engine.
        name: of the engine, for people.
        gpu: the CUDA layer; tests replace it.

    Raises:
        InputError: TensorRT or CUDA report an error, or the engine is not of a network with one input.
    """

    def __init__(
        self,
        trt: ModuleType,
        data: bytes,
        batch: tuple[int, int, int],
        name: str,
        gpu: CudaContext | None = None,
    ) -> None:
        self.name = name
        self._sizes = tuple(size for size in buckets(batch[2]) if size >= batch[0]) or (batch[0],)
        self._executions: list[tensorrt.IExecutionContext] = []
        self._steps: dict[int, tuple[Callable[[], object], ...]] = {}
        self._runtime: tensorrt.Runtime | None = None
        self._engine: tensorrt.ICudaEngine | None = None
        self._gpu = gpu or CudaContext()
        try:
            with self._gpu.current():
                self._runtime, self._engine = load_engine(trt, data)
                self._gpu.on_close(self._release_engine)
                self._input_name, self._input, self._outputs = self._allocate(self._engine)
                self.row, self.outputs = self._input.row, list(self._outputs)
                self._gpu.on_close(self._release_executions)
                self._calls = {size: self._prepare(size) for size in self._sizes}
        except BaseException:
            self._gpu.close()
            raise

    def run(self, batch: Array) -> Mapping[str, Array]:
        """Return the outputs by name, `(B, ...)` each, of an input `(B, *row)`."""
        results = {
            name: np.empty((len(batch), *output.row), output.memory.host.dtype)
            for name, output in self._outputs.items()
        }
        first = 0
        with self._gpu.current():
            for count, size in split_into_buckets(len(batch), self._sizes):
                self._fill(batch[first : first + count], size)
                self._calls[size]()
                self._gpu.synchronize()
                for name, output in self._outputs.items():
                    results[name][first : first + count] = output.memory.host[:count]
                first += count
        return results

    def phases(self, batch: Array) -> dict[str, float]:
        """Run at most the largest bucket step by step; return the seconds of each step on the GPU.

        The steps are enqueued one by one with events between them, because inside a CUDA graph nothing can be measured.
        """
        ((count, size),) = split_into_buckets(len(batch[: self._sizes[-1]]), self._sizes)
        with self._gpu.current():
            self._fill(batch[:count], size)
            marks = [self._gpu.mark()]
            for step in self._steps[size]:
                step()
                marks.append(self._gpu.mark())
            self._gpu.synchronize()
            seconds = [self._gpu.seconds_between(*pair) for pair in itertools.pairwise(marks)]
        return dict(zip(("to_device", "compute", "to_host"), seconds, strict=True))

    def close(self) -> None:
        """Release graphs, executions, memory, engine, runtime and the context, in this order."""
        self._gpu.close()

    def _fill(self, rows: Array, size: int) -> None:
        """Copy rows to the input's memory; what is left of the bucket is zero."""
        host = self._input.memory.host
        host[: len(rows)] = rows
        host[len(rows) : size] = 0

    def _allocate(self, engine: tensorrt.ICudaEngine) -> tuple[str, _Tensor, dict[str, _Tensor]]:
        """Allocate the memory of every input and output for the largest bucket."""
        inputs: dict[str, _Tensor] = {}
        outputs: dict[str, _Tensor] = {}
        for index in range(engine.num_io_tensors):
            tensor = engine.get_tensor_name(index)
            shape: Any = engine.get_tensor_shape(tensor)
            row = tuple(int(size) for size in tuple(shape)[1:])
            kind = str(engine.get_tensor_dtype(tensor)).rpartition(".")[2]
            if kind not in _TYPES or any(size < 1 for size in row):
                raise InputError(
                    f"{self.name}: the engine's tensor {tensor} has the type {kind} and the shape {row}."
                )
            memory = self._gpu.buffer(self._sizes[-1], *row, dtype=_TYPES[kind])
            is_input = str(engine.get_tensor_mode(tensor)).rpartition(".")[2] == "INPUT"
            (inputs if is_input else outputs)[tensor] = _Tensor(row, memory)
        if len(inputs) != 1 or not outputs:
            raise InputError(f"{self.name}: the engine has {len(inputs)} inputs and {len(outputs)} outputs.")
        ((name, only),) = inputs.items()
        return name, only, outputs

    def _release_executions(self) -> None:
        self._calls = {}
        self._steps = {}
        self._executions.clear()

    def _release_engine(self) -> None:
        self._engine = self._runtime = None  # in this order

    def _prepare(self, size: int) -> Callable[[], None]:
        """Return what runs the first `size` rows of the memory: a captured graph, else the same calls one by one.

        Each size has an execution context of its own, because a change of its shape makes a captured graph invalid.
        """
        assert self._engine is not None
        execution: Any = self._engine.create_execution_context()
        self._executions.append(execution)  # a captured graph uses its memory
        enqueue = self._bind(execution, size)

        def to_device() -> None:
            self._gpu.to_device(self._input.memory, size)

        def compute() -> None:
            if not enqueue():
                raise InputError(
                    f"{self.name} could not run the engine. Delete the engine file; it is rebuilt."
                )

        def to_host() -> None:
            for output in self._outputs.values():
                self._gpu.to_host(output.memory, size)

        def call() -> None:
            to_device()
            compute()
            to_host()

        self._steps[size] = (to_device, compute, to_host)
        call()  # TensorRT allocates in its first call, which cannot be captured
        self._gpu.synchronize()
        try:
            return self._gpu.capture(call)
        except InputError as error:
            logger.warning("%s: %s Without a graph each call is slower.", self.name, error.message)
            return call

    def _bind(self, execution: tensorrt.IExecutionContext, size: int) -> Callable[[], bool]:
        """Set the shape and the addresses of an execution context, and return what enqueues it."""
        execution.set_input_shape(self._input_name, (size, *self._input.row))
        execution.set_tensor_address(self._input_name, self._input.memory.address)
        for name, output in self._outputs.items():
            execution.set_tensor_address(name, output.memory.address)
        return lambda: bool(execution.execute_async_v3(self._gpu.stream))
