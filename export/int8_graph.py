"""The INT8 graph: explicit QuantizeLinear and DequantizeLinear pairs in front of what INT8 is to compute.

As TensorRT requires, they are symmetric and signed, with one scale for an activation and one for each output channel of
a weight (or one for a stack of matrices), and the bias is in floating point. Each Gemm, MatMul and Conv is an
*operation*: it is quantised with all of its inputs, or stays in FP32.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from calibration.int8_ranges import Method, Ranges, calibrate
from daflow.core.data.windows import Poses
from export.graph_metadata import PRECISION

_BATCH = 256  # windows; the activations of a batch must fit into memory, so pictures come in smaller ones
_STEPS = 127  # magnitudes of a signed byte above zero, without its lowest value
_QUANTISED = ("Gemm", "MatMul", "Conv")
_ALWAYS_FP32 = "evidence."  # `export.folded_flow.FoldedScorer.evidence`: INT8 would cut off unusual postures


def operations(graph: Path) -> dict[str, list[str]]:
    """Return the operations of the flow that can be computed in INT8, and the activations that go into each."""
    model = onnx.load(graph)
    constants = {tensor.name for tensor in model.graph.initializer}
    return {
        node.name: [name for name in node.input[:2] if name not in constants]
        for node in model.graph.node
        if node.op_type in _QUANTISED and not node.name.startswith(_ALWAYS_FP32)
    }


def calibrated_ranges(
    graph: Path, tensors: Sequence[str], poses: Poses, method: Method, origin: str
) -> Ranges:
    """Run windows through a graph and choose the range of each of the named tensors.

    Args:
        graph: the FP32 ONNX file.
        tensors: names of tensors in it.
        poses: `(N, 2, T, V)`, see `calibration.int8_ranges.calibration_windows`.
        method: as for `calibration.int8_ranges.calibrate`.
        origin: what the windows are, for people.
    """
    return calibrate(graph, tensors, partial(activations, graph, poses), len(poses), method, origin)


def quantise(graph: Path, ranges: Ranges, chosen: Collection[str]) -> onnx.ModelProto:
    """Return the graph with the chosen operations in INT8; its metadata say so.

    Args:
        graph: the FP32 ONNX file that the ranges belong to.
        ranges: of at least the activations of the chosen operations.
        chosen: names of operations.
    """
    model = onnx.load(graph)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    scales: dict[str, np.ndarray] = {}
    dequantised: dict[str, str] = {}
    for node in model.graph.node:
        if node.name in chosen:
            for position, name in enumerate(node.input[:2]):
                if name not in dequantised:
                    axis = None
                    if name in constants:
                        axis = _channel_axis(node.op_type, constants[name])
                        largest = _largest(constants[name], axis)
                    else:
                        largest = np.array(ranges.tensors[name])
                    scales[f"{name}.scale"] = (largest / _STEPS).astype(np.float32)
                    scales[f"{name}.zero"] = np.zeros(largest.shape, dtype=np.int8)
                    nodes += _pair(name, axis)
                    dequantised[name] = f"{name}.dequantised"
                node.input[position] = dequantised[name]
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in scales.items())
    for entry in model.metadata_props:
        if entry.key == PRECISION:
            entry.value = "int8"
    onnx.checker.check_model(model, full_check=True)
    return model


def _channel_axis(operator: str, weight: np.ndarray) -> int | None:
    """The axis of a weight's output channels; None for a stack of matrices, where no single axis is that."""
    if operator == "Conv":
        return 0
    return 1 if weight.ndim == 2 else None


def _largest(weight: np.ndarray, axis: int | None) -> np.ndarray:
    others = tuple(a for a in range(weight.ndim) if a != axis)
    largest: np.ndarray = np.maximum(np.abs(weight).max(axis=others), 1e-6)
    return largest


def _pair(name: str, axis: int | None) -> list[onnx.NodeProto]:
    along: dict[str, Any] = {} if axis is None else {"axis": axis}
    parameters = [f"{name}.scale", f"{name}.zero"]
    return [
        helper.make_node(
            "QuantizeLinear", [name, *parameters], [f"{name}.quantised"], f"{name}.QuantizeLinear", **along
        ),
        helper.make_node(
            "DequantizeLinear", [f"{name}.quantised", *parameters], [f"{name}.dequantised"],
            f"{name}.DequantizeLinear", **along,
        ),
    ]  # fmt: skip


def activations(
    graph: Path, inputs: npt.NDArray[Any], tensors: Sequence[str], batch: int = _BATCH
) -> Iterator[list[npt.NDArray[np.float32]]]:
    """Run an FP32 graph on its input, such as windows `(N, 2, T, V)`, and yield the values of the named tensors.

    Args:
        graph: the ONNX file; it has one input.
        inputs: what to run it on, along the first axis.
        tensors: names of tensors in it.
        batch: how many of the inputs are computed together.
    """
    model = onnx.load(graph)
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(t) for t in tensors if t not in there)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    for first in range(0, len(inputs), batch):
        yield session.run(list(tensors), {name: inputs[first : first + batch]})
