"""Convert a TensorFlow.js graph model to an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from daflow.core.errors import InputError
from export.pose.graph_writer import GraphWriter, Operand, Tensor, as_constant, as_tensor, explained
from export.pose.tfjs_graph import Attributes, TfjsGraph

Converter = Callable[[GraphWriter, str, Attributes, list[Operand]], Operand]


def convert_tfjs(graph: TfjsGraph, path: Path) -> onnx.ModelProto:
    """Return the ONNX graph of a TF.js graph model: input `(B, 3, H, W)` float32, outputs as in the original.

    Args:
        graph: the model.
        path: of its file, for messages.

    Raises:
        InputError: it has an operator that is not supported, or shapes that do not fit.
    """
    with explained(str(path)):
        return _convert(graph)


def _convert(graph: TfjsGraph) -> onnx.ModelProto:
    writer = GraphWriter()
    values: dict[tuple[str, int], Operand] = {(name, 0): value for name, value in graph.constants.items()}
    values[graph.picture, 0] = writer.picture(graph.picture, graph.shape)
    for node in graph.nodes:
        convert = _CONVERTERS.get(node.kind)
        if convert is None:
            raise InputError(f"Its operator {node.kind} is not supported.")
        results = convert(writer, node.name, node.attributes, [values[source] for source in node.inputs])
        for number, result in enumerate(results if isinstance(results, list) else [results]):
            values[node.name, number] = result
    return writer.model(
        [(f"output.{name}", as_tensor(values[name, number])) for name, number in graph.outputs]
    )


def _convolution(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, weight, *bias = operands
    return writer.convolution(
        name, as_tensor(tensor), as_constant(weight).transpose(3, 2, 0, 1), as_constant(bias[0]) if bias else None,
        attributes.picture_axes("strides"), attributes.text("padding"), attributes.picture_axes("dilations"),
    )  # fmt: skip


def _fused_convolution(
    writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]
) -> Operand:
    return _fused(writer, name, attributes, operands, _convolution)


def _depthwise(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, weight, *bias = operands
    kernel = as_constant(weight)
    rows, columns, channels, multiplier = kernel.shape
    return writer.convolution(
        name, as_tensor(tensor), kernel.reshape(rows, columns, 1, channels * multiplier).transpose(3, 2, 0, 1),
        as_constant(bias[0]) if bias else None, attributes.picture_axes("strides"), attributes.text("padding"),
        attributes.picture_axes("dilations"), channels,
    )  # fmt: skip


def _fused_depthwise(
    writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]
) -> Operand:
    return _fused(writer, name, attributes, operands, _depthwise)


def _fused(
    writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand], convolution: Converter
) -> Operand:  # fmt: skip
    """A convolution with a bias, then perhaps an activation."""
    bias, *activation = attributes.texts("fused_ops") or [""]
    if bias != "BiasAdd" or len(operands) != 3 or len(activation) > 1:
        raise InputError(f"Its fused convolution {attributes.texts('fused_ops')} is not supported.")
    if not activation:
        return convolution(writer, name, attributes, operands)
    kind = activation[0]
    if kind not in ("Relu", "Relu6"):
        raise InputError(f"Its fused activation {kind} is not supported.")
    linear = as_tensor(convolution(writer, f"{name}.linear", attributes, operands))
    return _rectified(writer, name, linear, kind)


def _relu(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return _rectified(writer, name, as_tensor(operands[0]), "Relu")


def _relu6(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return _rectified(writer, name, as_tensor(operands[0]), "Relu6")


def _rectified(writer: GraphWriter, name: str, tensor: Tensor, kind: str) -> Tensor:
    return writer.clip(name, tensor, 0, 6) if kind == "Relu6" else writer.activation("Relu", name, tensor)


def _max_pool(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    return writer.max_pool(
        name, as_tensor(operands[0]), attributes.picture_axes("ksize"), attributes.picture_axes("strides"),
        attributes.text("padding"),
    )  # fmt: skip


def _resize(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, size = operands
    return writer.resize(
        name, as_tensor(tensor), as_constant(size).tolist(),
        half_pixel=attributes.flag("half_pixel_centers"), align_corners=attributes.flag("align_corners"),
    )  # fmt: skip


def _add(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    if all(isinstance(operand, np.ndarray) for operand in operands):
        total: np.ndarray = np.add(*map(as_constant, operands))
        return total
    return writer.elementwise("Add", name, *operands)


def _pad(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, pads, *value = operands
    filling = float(as_constant(value[0])) if value else 0.0
    return writer.pad(name, as_tensor(tensor), as_constant(pads), filling)


def _transpose(writer: GraphWriter, _name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, permutation = operands
    return writer.transpose(as_tensor(tensor), as_constant(permutation).tolist())


def _leaky_relu(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    alpha = attributes.number("alpha", 0.2)
    return writer.activation("LeakyRelu", name, as_tensor(operands[0]), alpha=alpha)


def _sigmoid(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return writer.activation("Sigmoid", name, as_tensor(operands[0]))


def _concatenation(
    writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]
) -> Operand:
    *tensors, axis = operands
    return writer.concatenate(name, [as_tensor(t) for t in tensors], int(as_constant(axis)))


def _split(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> list[Operand]:
    tensor, sizes, axis = operands
    ends = np.cumsum(as_constant(sizes)).tolist()
    starts = [0, *ends[:-1]]
    source = as_tensor(tensor)
    return [
        writer.slice(f"{name}.{n}", source, int(as_constant(axis)), start, end)
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _reshape(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, shape = operands
    return writer.reshape(name, as_tensor(tensor), as_constant(shape).tolist())


def _sparse_to_dense(
    _writer: GraphWriter, _name: str, _attributes: Attributes, operands: list[Operand]
) -> Operand:
    """Part of how a shape is computed; in a network of fixed size nothing is sparse."""
    indices, shape, values, default = (as_constant(operand) for operand in operands)
    if not 0 <= math.prod(shape.tolist()) <= 16:
        raise ValueError(f"a shape of {shape.tolist()} axes")
    dense = np.full(shape, default)
    dense[tuple(indices.reshape(-1, dense.ndim).T)] = values
    return dense


def _identity(_writer: GraphWriter, _name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return operands[0]


_CONVERTERS: dict[str, Callable[[GraphWriter, str, Attributes, list[Operand]], Operand | list[Operand]]] = {
    "Conv2D": _convolution,
    "_FusedConv2D": _fused_convolution,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _fused_depthwise,
    "Relu": _relu,
    "Relu6": _relu6,
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize,
    "Add": _add,
    "AddV2": _add,
    "Pad": _pad,
    "PadV2": _pad,
    "Transpose": _transpose,
    "LeakyRelu": _leaky_relu,
    "Sigmoid": _sigmoid,
    "ConcatV2": _concatenation,
    "SplitV": _split,
    "Reshape": _reshape,
    "SparseToDense": _sparse_to_dense,
    "Identity": _identity,
}
