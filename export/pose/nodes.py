"""Add nodes and constants to an ONNX graph, each under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

PREFIX = "network."
"""Of the names in a network's own graph, which keeps them apart from those that are added."""


class Nodes:
    """New nodes and constants.

    Args:
        names: that are taken.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names = set(names)

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant, and return its name."""
        name = self.unique(name)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node of one output, and return the output's name."""
        name = self.unique(name)
        self.nodes.append(helper.make_node(operator, inputs, [name], f"{name}.{operator}", **attributes))
        return name

    def unique(self, name: str) -> str:
        """Return a name like this one that is not taken, and take it."""
        unique, count = name, 1
        while unique in self.names:
            count += 1
            unique = f"{name}.{count}"
        self.names.add(unique)
        return unique
