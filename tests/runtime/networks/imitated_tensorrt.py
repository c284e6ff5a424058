"""A TensorRT whose engines are functions of their tests."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Tensors = dict[str, tuple[str, str, tuple[int, ...]]]
"""An engine's inputs and outputs by name: mode, type and shape as TensorRT writes them."""


class Execution:
    """An execution context; what it does is said by who derives from it.

    Attributes:
        size: rows of the call.
        addresses: of the memory, by the tensor's name.
    """

    def __init__(self) -> None:
        self.size = 0
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Take the rows of the call."""
        self.size = shape[0]

    def set_tensor_address(self, name: str, address: int) -> None:
        """Take where a tensor is."""
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        """Enqueue the engine."""
        raise NotImplementedError


def engine(tensors: Tensors, execution: Callable[[], Execution]) -> Any:
    """An engine with these tensors and execution contexts."""
    names = list(tensors)
    return SimpleNamespace(
        num_io_tensors=len(names),
        get_tensor_name=lambda index: names[index],
        get_tensor_mode=lambda name: tensors[name][0],
        get_tensor_dtype=lambda name: tensors[name][1],
        get_tensor_shape=lambda name: tensors[name][2],
        create_execution_context=execution,
    )


def imitation(loaded: Any) -> Any:
    """A TensorRT module that loads an engine; None refuses it."""

    class Module(SimpleNamespace):
        def __hash__(self) -> int:
            return id(self)

    return Module(
        __name__="tensorrt", __version__="10.3.0",
        ILogger=type("ILogger", (), {"Severity": SimpleNamespace(ERROR=1)}),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda data: loaded),
    )  # fmt: skip
