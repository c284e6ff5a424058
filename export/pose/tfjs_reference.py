"""Compute a TensorFlow.js graph model with NumPy, as its operators are documented: the reference for its ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError
from export.pose.tfjs_graph import Attributes, TfjsGraph

Floats = npt.NDArray[np.float32]
Values = list[np.ndarray]


def run_tfjs(graph: TfjsGraph, picture: Floats) -> list[np.ndarray]:
    """Return the outputs of a graph model for one picture.

    Args:
        graph: the model.
        picture: of the shape `graph.shape`.

    Raises:
        InputError: it has an operator that is not known here.
    """
    values: dict[tuple[str, int], np.ndarray] = {(name, 0): value for name, value in graph.constants.items()}
    values[graph.picture, 0] = picture
    for node in graph.nodes:
        compute = _OPERATORS.get(node.kind)
        if compute is None:
            raise InputError(f"Its operator {node.kind} is not known to the reference.")
        results = compute(node.attributes, [values[source] for source in node.inputs])
        for number, result in enumerate(results if isinstance(results, list) else [results]):
            values[node.name, number] = result
    return [values[output] for output in graph.outputs]


def _windows(attributes: Attributes, value: np.ndarray, kernel: Sequence[int], filling: float) -> np.ndarray:
    """The windows of a padded picture, `(1, rows, columns, channels, kernel rows, kernel columns)`."""
    strides, dilations = attributes.picture_axes("strides"), attributes.picture_axes("dilations")
    reach = [(taps - 1) * spread + 1 for taps, spread in zip(kernel, dilations, strict=True)]
    if attributes.text("padding") == "SAME":
        margins = [
            max((-(-size // step) - 1) * step + taps - size, 0)
            for size, step, taps in zip(value.shape[1:3], strides, reach, strict=True)
        ]
        sides = [(margin // 2, margin - margin // 2) for margin in margins]
        value = np.pad(value, [(0, 0), *sides, (0, 0)], constant_values=filling)
    windows = np.lib.stride_tricks.sliding_window_view(value, reach, axis=(1, 2))
    return windows[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]


def _convolution(attributes: Attributes, inputs: Values) -> np.ndarray:
    value, weight, *bias = inputs
    windows = _windows(attributes, value, weight.shape[:2], 0)
    result = np.tensordot(windows, weight, axes=([3, 4, 5], [2, 0, 1]))
    return _fused(attributes, result, bias)


def _depthwise(attributes: Attributes, inputs: Values) -> np.ndarray:
    value, weight, *bias = inputs
    windows = _windows(attributes, value, weight.shape[:2], 0)
    result = np.einsum("brcxij,ijxm->brcxm", windows, weight, optimize=True)
    return _fused(attributes, result.reshape(*result.shape[:3], -1), bias)


def _fused(attributes: Attributes, value: np.ndarray, bias: Values) -> np.ndarray:
    for operand in bias:
        value = value + operand
    activation = (attributes.texts("fused_ops") or [""])[-1]
    highest = {"Relu": np.inf, "Relu6": 6.0}.get(activation)
    return value if highest is None else np.clip(value, 0, np.float32(highest))


def _max_pool(attributes: Attributes, inputs: Values) -> np.ndarray:
    result: np.ndarray = _windows(attributes, inputs[0], attributes.picture_axes("ksize"), -np.inf).max(
        axis=(4, 5)
    )
    return result


def _resize(attributes: Attributes, inputs: Values) -> np.ndarray:
    value, size = inputs
    for axis, target in zip((1, 2), size.tolist(), strict=True):
        length = value.shape[axis]
        place = np.arange(target, dtype=np.float32)
        if attributes.flag("align_corners"):
            place = place * ((length - 1) / max(target - 1, 1))
        elif attributes.flag("half_pixel_centers"):
            place = np.clip((place + 0.5) * (length / target) - 0.5, 0, None)
        else:
            place = place * (length / target)
        before = np.minimum(np.floor(place).astype(int), length - 1)
        after = np.minimum(before + 1, length - 1)
        share = (place - before).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(4)])
        value = value.take(before, axis) * (1 - share) + value.take(after, axis) * share
    return value


def _pad(_attributes: Attributes, inputs: Values) -> np.ndarray:
    value, margins, *filling = inputs
    return np.pad(value, margins, constant_values=filling[0] if filling else 0)


def _leaky_relu(attributes: Attributes, inputs: Values) -> np.ndarray:
    return np.where(inputs[0] < 0, inputs[0] * np.float32(attributes.number("alpha", 0.2)), inputs[0])


def _split(_attributes: Attributes, inputs: Values) -> Values:
    value, sizes, axis = inputs
    return np.split(value, np.cumsum(sizes)[:-1], int(axis))


def _sparse_to_dense(_attributes: Attributes, inputs: Values) -> np.ndarray:
    indices, shape, values, default = inputs
    dense = np.full(shape, default)
    dense[tuple(indices.T)] = values
    return dense


_OPERATORS: dict[str, Callable[[Attributes, Values], np.ndarray | Values]] = {
    "Conv2D": _convolution,
    "_FusedConv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize,
    "Add": lambda _, inputs: inputs[0] + inputs[1],
    "AddV2": lambda _, inputs: inputs[0] + inputs[1],
    "Pad": _pad,
    "PadV2": _pad,
    "Transpose": lambda _, inputs: inputs[0].transpose(inputs[1]),
    "LeakyRelu": _leaky_relu,
    "Relu": lambda _, inputs: np.maximum(inputs[0], 0),
    "Relu6": lambda _, inputs: np.clip(inputs[0], 0, 6),
    "Sigmoid": lambda _, inputs: (1 + np.tanh(inputs[0] / 2)) / 2,
    "ConcatV2": lambda _, inputs: np.concatenate(inputs[:-1], int(inputs[-1])),
    "SplitV": _split,
    "Reshape": lambda _, inputs: inputs[0].reshape(inputs[1]),
    "SparseToDense": _sparse_to_dense,
    "Identity": lambda _, inputs: inputs[0],
}
