"""Convert a TensorFlow.js graph model to an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from daflow.core.errors import InputError
from export.pose.graph_writer import GraphWriter, Tensor
from export.pose.tfjs_graph import BROKEN, Attributes, TfjsGraph

Operand = Tensor | np.ndarray
Converter = Callable[[GraphWriter, str, Attributes, list[Operand]], Operand]


def convert_tfjs(graph: TfjsGraph, path: Path) -> onnx.ModelProto:
    """Return the ONNX graph of a TF.js graph model: input `(B, 3, H, W)` float32, outputs as in the original.

    Args:
        graph: the model.
        path: of its file, for messages.

    Raises:
        InputError: it has an operator that is not supported, or shapes that do not fit.
    """
    try:
        return _convert(graph)
    except InputError as error:
        raise InputError(f"{path} cannot be converted. {error.message}") from None
    except BROKEN as error:
        raise InputError(f"{path} is damaged, or no network of pictures: {error}. Get it again.") from error


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
    return writer.model([(f"output.{name}", _tensor(values[name, number])) for name, number in graph.outputs])


def _tensor(value: Operand) -> Tensor:
    if not isinstance(value, Tensor):
        raise InputError("It computes on a constant where a picture is expected.")
    return value


def _constant(value: Operand) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise InputError("It computes a weight or a shape from the picture.")
    return value


def _convolution(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, weight, *bias = operands
    return writer.convolution(
        name, _tensor(tensor), _constant(weight).transpose(3, 2, 0, 1), _constant(bias[0]) if bias else None,
        attributes.picture_axes("strides"), attributes.text("padding"), attributes.picture_axes("dilations"),
    )  # fmt: skip


def _fused_convolution(
    writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]
) -> Operand:
    return _fused(writer, name, attributes, operands, _convolution)


def _depthwise(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, weight, *bias = operands
    kernel = _constant(weight)
    rows, columns, channels, multiplier = kernel.shape
    return writer.convolution(
        name, _tensor(tensor), kernel.reshape(rows, columns, 1, channels * multiplier).transpose(3, 2, 0, 1),
        _constant(bias[0]) if bias else None, attributes.picture_axes("strides"), attributes.text("padding"),
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
    linear = _tensor(convolution(writer, f"{name}.linear", attributes, operands))
    return _rectified(writer, name, linear, kind)


def _relu(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return _rectified(writer, name, _tensor(operands[0]), "Relu")


def _relu6(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return _rectified(writer, name, _tensor(operands[0]), "Relu6")


def _rectified(writer: GraphWriter, name: str, tensor: Tensor, kind: str) -> Tensor:
    return writer.clip(name, tensor, 0, 6) if kind == "Relu6" else writer.activation("Relu", name, tensor)


def _max_pool(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    return writer.max_pool(
        name, _tensor(operands[0]), attributes.picture_axes("ksize"), attributes.picture_axes("strides"),
        attributes.text("padding"),
    )  # fmt: skip


def _resize(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, size = operands
    return writer.resize(
        name, _tensor(tensor), _constant(size).tolist(),
        half_pixel=attributes.flag("half_pixel_centers"), align_corners=attributes.flag("align_corners"),
    )  # fmt: skip


def _add(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    if all(isinstance(operand, np.ndarray) for operand in operands):
        total: np.ndarray = np.add(*map(_constant, operands))
        return total
    return writer.elementwise("Add", name, *operands)


def _pad(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, pads, *value = operands
    filling = float(_constant(value[0])) if value else 0.0
    return writer.pad(name, _tensor(tensor), _constant(pads), filling)


def _transpose(writer: GraphWriter, _name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, permutation = operands
    return writer.transpose(_tensor(tensor), _constant(permutation).tolist())


def _leaky_relu(writer: GraphWriter, name: str, attributes: Attributes, operands: list[Operand]) -> Operand:
    alpha = attributes.number("alpha", 0.2)
    return writer.activation("LeakyRelu", name, _tensor(operands[0]), alpha=alpha)


def _sigmoid(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    return writer.activation("Sigmoid", name, _tensor(operands[0]))


def _concatenation(
    writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]
) -> Operand:
    *tensors, axis = operands
    return writer.concatenate(name, [_tensor(t) for t in tensors], int(_constant(axis)))


def _split(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> list[Operand]:
    tensor, sizes, axis = operands
    ends = np.cumsum(_constant(sizes)).tolist()
    starts = [0, *ends[:-1]]
    source = _tensor(tensor)
    return [
        writer.slice(f"{name}.{n}", source, int(_constant(axis)), start, end)
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _reshape(writer: GraphWriter, name: str, _attributes: Attributes, operands: list[Operand]) -> Operand:
    tensor, shape = operands
    return writer.reshape(name, _tensor(tensor), _constant(shape).tolist())


def _sparse_to_dense(
    _writer: GraphWriter, _name: str, _attributes: Attributes, operands: list[Operand]
) -> Operand:
    """Part of how a shape is computed; in a network of fixed size nothing is sparse."""
    indices, shape, values, default = (_constant(operand) for operand in operands)
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
