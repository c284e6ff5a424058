"""Write the operators of TensorFlow as ONNX nodes, with channels in front and any number of pictures in a batch.

A tensor keeps the shape and the axes of the original network, and the order in which its axes lie in the ONNX graph. So
a transposition is remembered and not computed: a node is written only where an operator needs another order.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from daflow.core.errors import InputError
from export.pose.nodes import Nodes

OPSET = 17  # TensorRT 8.6 supports no later one
IR_VERSION = 8  # that of opset 17
MAX_ELEMENTS = 2**26  # of one tensor for one picture; the networks for devices have less than a tenth of it
CHANNELS_FIRST = (0, 3, 1, 2)

BROKEN = (
    struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError, OverflowError, MemoryError,
    RecursionError,
)  # fmt: skip
"""What damaged content raises where it is read."""

Pads = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the original network, and how it lies in the ONNX graph.

    Attributes:
        name: in the ONNX graph.
        shape: in the original, for one picture.
        order: `order[i]` is the axis of the original that is axis `i` in the ONNX graph.
    """

    name: str
    shape: tuple[int, ...]
    order: tuple[int, ...]


Operand = Tensor | np.ndarray
"""What an operator takes: a tensor that comes from the picture, or a constant."""


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn whatever is wrong with the content of a file into one sentence with its name.

    Raises:
        InputError: it is damaged, or cannot be converted.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{name} cannot be converted. {error.message}") from None
    except BROKEN as error:
        raise InputError(f"{name} is damaged, or no network of pictures: {error}. Get it again.") from error


def as_tensor(value: Operand) -> Tensor:
    """Return an operand that must come from the picture."""
    if not isinstance(value, Tensor):
        raise InputError("It computes on a constant where a picture is expected.")
    return value


def as_constant(value: Operand) -> np.ndarray:
    """Return an operand that must be a constant."""
    if not isinstance(value, np.ndarray):
        raise InputError("It computes a weight or a shape from the picture.")
    return value


class GraphWriter(Nodes):
    """Collects the nodes and constants of an ONNX graph whose input is a batch of pictures `(B, 3, H, W)`."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[onnx.ValueInfoProto] = []

    def picture(self, name: str, shape: Sequence[int]) -> Tensor:
        """Add the input, `(1, H, W, 3)` or `(1, 3, H, W)` in the original.

        Raises:
            InputError: it is no picture.
        """
        shape = _checked_shape(name, shape)
        if len(shape) != 4 or shape[0] != 1 or 3 not in (shape[1], shape[3]):
            raise InputError(
                f"The network's input {name} has the shape {list(shape)}, which is not one RGB picture."
            )
        order = CHANNELS_FIRST if shape[3] == 3 else (0, 1, 2, 3)
        self.inputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *(shape[a] for a in order[1:])])
        )
        self.names.add(name)
        return Tensor(name, shape, order)

    def model(self, outputs: Sequence[tuple[str, Tensor]]) -> onnx.ModelProto:
        """Return the graph with these outputs, by name and in the axes of the original."""
        values = []
        for name, tensor in outputs:
            self.nodes.append(
                helper.make_node("Identity", [self.arranged(tensor)], [name], f"{name}.Identity")
            )
            values.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *tensor.shape[1:]])
            )
        graph = helper.make_graph(self.nodes, "network", self.inputs, values, self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def arranged(self, tensor: Tensor, order: Sequence[int] | None = None) -> str:
        """Return the name of a tensor with its axes in an order; None is that of the original."""
        order = tuple(range(len(tensor.shape))) if order is None else tuple(order)
        if order == tensor.order:
            return tensor.name
        permutation = [tensor.order.index(axis) for axis in order]
        return self.node("Transpose", [tensor.name], f"{tensor.name}.transposed", perm=permutation)

    def transpose(self, tensor: Tensor, permutation: Sequence[int]) -> Tensor:
        """Return the tensor with its axes permuted as in the original; this writes no node."""
        if sorted(permutation) != list(range(len(tensor.shape))):
            raise ValueError(f"{list(permutation)} is no permutation of {len(tensor.shape)} axes")
        place = {axis: new for new, axis in enumerate(permutation)}
        shape = tuple(tensor.shape[axis] for axis in permutation)
        return Tensor(tensor.name, shape, tuple(place[axis] for axis in tensor.order))

    def convolution(
        self, name: str, tensor: Tensor, weight: np.ndarray, bias: np.ndarray | None, strides: Sequence[int],
        padding: str, dilations: Sequence[int] = (1, 1), groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """Convolve `(B, H, W, C)` with a weight `(outputs, inputs, H, W)`."""
        _, height, width, channels = tensor.shape
        if weight.ndim != 4 or weight.shape[1] * groups != channels or weight.shape[0] % groups:
            raise ValueError(f"a weight of shape {weight.shape} for {channels} channels")
        pads, size = _window((height, width), weight.shape[2:], strides, dilations, padding)
        inputs = [self.arranged(tensor, CHANNELS_FIRST), self.constant(f"{name}.weight", weight)]
        if bias is not None:
            if bias.shape != weight.shape[:1]:
                raise ValueError(f"a bias of shape {bias.shape} for {weight.shape[0]} outputs")
            inputs.append(self.constant(f"{name}.bias", bias))
        output = self.node(
            "Conv", inputs, name, kernel_shape=list(weight.shape[2:]), strides=list(strides), pads=_onnx_pads(pads),
            dilations=list(dilations), group=groups,
        )  # fmt: skip
        return Tensor(output, _checked_shape(name, (1, *size, weight.shape[0])), CHANNELS_FIRST)

    def max_pool(
        self, name: str, tensor: Tensor, kernel: Sequence[int], strides: Sequence[int], padding: str
    ) -> Tensor:
        """Take the largest value of each window of `(B, H, W, C)`."""
        _, height, width, channels = tensor.shape
        pads, size = _window((height, width), kernel, strides, (1, 1), padding)
        output = self.node(
            "MaxPool", [self.arranged(tensor, CHANNELS_FIRST)], name, kernel_shape=list(kernel),
            strides=list(strides), pads=_onnx_pads(pads),
        )  # fmt: skip
        return Tensor(output, (1, *size, channels), CHANNELS_FIRST)

    def resize(
        self, name: str, tensor: Tensor, size: Sequence[int], *, half_pixel: bool, align_corners: bool
    ) -> Tensor:
        """Scale `(B, H, W, C)` to a size by bilinear interpolation."""
        _, height, width, channels = tensor.shape
        scales = np.array([1, 1, size[0] / height, size[1] / width], np.float32)
        if tuple(np.floor(np.array([height, width]) * scales[2:]).astype(int)) != tuple(size):
            raise ValueError(f"no float32 scale gives {height} x {width} the size {tuple(size)}")
        mode = "align_corners" if align_corners else "half_pixel" if half_pixel else "asymmetric"
        inputs = [self.arranged(tensor, CHANNELS_FIRST), "", self.constant(f"{name}.scales", scales)]
        output = self.node("Resize", inputs, name, mode="linear", coordinate_transformation_mode=mode)
        shape = _checked_shape(name, (1, int(size[0]), int(size[1]), channels))
        return Tensor(output, shape, CHANNELS_FIRST)

    def depth_to_space(self, name: str, tensor: Tensor, block: int) -> Tensor:
        """Move channels of `(B, H, W, C)` into blocks of pixels."""
        _, height, width, channels = tensor.shape
        if block < 1 or channels % block**2:
            raise ValueError(f"blocks of {block} pixels from {channels} channels")
        output = self.node(
            "DepthToSpace", [self.arranged(tensor, CHANNELS_FIRST)], name, blocksize=block, mode="DCR"
        )
        return Tensor(output, (1, height * block, width * block, channels // block**2), CHANNELS_FIRST)

    def pad(self, name: str, tensor: Tensor, pads: np.ndarray, value: float = 0.0) -> Tensor:
        """Add a margin of `pads[axis] = (before, after)` to each axis but the batch."""
        if pads.shape != (len(tensor.shape), 2) or pads[0].any() or (pads < 0).any():
            raise ValueError(f"margins {pads.tolist()} for the shape {tensor.shape}")
        ordered = pads[list(tensor.order)]
        inputs = [
            tensor.name,
            self.constant(f"{name}.pads", np.concatenate([ordered[:, 0], ordered[:, 1]]).astype(np.int64)),
            self.constant(f"{name}.value", np.array(value, np.float32)),
        ]
        shape = tuple(
            size + int(before) + int(after) for size, (before, after) in zip(tensor.shape, pads, strict=True)
        )
        return Tensor(self.node("Pad", inputs, name), _checked_shape(name, shape), tensor.order)

    def elementwise(self, operator: str, name: str, *operands: Tensor | np.ndarray) -> Tensor:
        """Compute an operator of NumPy's broadcasting on tensors of equal rank and on constants."""
        first = max((o for o in operands if isinstance(o, Tensor)), key=lambda t: math.prod(t.shape))
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        inputs = []
        for operand in operands:
            if isinstance(operand, Tensor):
                if len(operand.shape) != len(first.shape):
                    raise ValueError(f"shapes {first.shape} and {operand.shape}")
                inputs.append(self.arranged(operand, first.order))
            else:
                value = np.asarray(operand, np.float32)
                value = value.reshape((1,) * (len(first.shape) - value.ndim) + value.shape)
                inputs.append(self.constant(f"{name}.constant", value.transpose(first.order)))
        return Tensor(self.node(operator, inputs, name), _checked_shape(name, shape), first.order)

    def activation(self, operator: str, name: str, tensor: Tensor, **attributes: Any) -> Tensor:
        """Apply an operator of one input to each value."""
        return replace(tensor, name=self.node(operator, [tensor.name], name, **attributes))

    def clip(self, name: str, tensor: Tensor, low: float, high: float) -> Tensor:
        """Limit each value."""
        limits = [self.constant(f"{name}.{value:g}", np.array(value, np.float32)) for value in (low, high)]
        return replace(tensor, name=self.node("Clip", [tensor.name, *limits], name))

    def concatenate(self, name: str, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Join tensors along an axis of the original, not the batch."""
        first = tensors[0]
        axis = range(len(first.shape))[axis]
        others = [shape[:axis] + shape[axis + 1 :] for shape in (t.shape for t in tensors)]
        if axis == 0 or len(set(others)) != 1:
            raise ValueError(f"shapes {[t.shape for t in tensors]} along axis {axis}")
        output = self.node(
            "Concat", [self.arranged(t, first.order) for t in tensors], name, axis=first.order.index(axis)
        )
        shape = (*first.shape[:axis], sum(t.shape[axis] for t in tensors), *first.shape[axis + 1 :])
        return Tensor(output, _checked_shape(name, shape), first.order)

    def slice(self, name: str, tensor: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """Take `start:stop` of an axis of the original, not the batch."""
        axis = range(len(tensor.shape))[axis]
        if axis == 0 or not 0 <= start < stop <= tensor.shape[axis]:
            raise ValueError(f"part {start}:{stop} of axis {axis} of {tensor.shape}")
        limits = [
            self.constant(f"{name}.{key}", np.array([value]))
            for key, value in (("start", start), ("stop", stop), ("axis", tensor.order.index(axis)))
        ]
        shape = (*tensor.shape[:axis], stop - start, *tensor.shape[axis + 1 :])
        return Tensor(self.node("Slice", [tensor.name, *limits], name), shape, tensor.order)

    def reshape(self, name: str, tensor: Tensor, shape: Sequence[int]) -> Tensor:
        """Give a tensor another shape; the batch stays in front."""
        written = shape = [int(size) for size in shape]
        if shape.count(-1) == 1:
            rest = math.prod(size for size in shape if size != -1)
            shape = [math.prod(tensor.shape) // max(rest, 1) if size == -1 else size for size in shape]
        if not shape or shape[0] != 1 or math.prod(shape) != math.prod(tensor.shape):
            raise ValueError(f"shape {shape} of {tensor.shape}")
        target = self.constant(f"{name}.shape", np.array([0, *written[1:]]))
        output = self.node("Reshape", [self.arranged(tensor), target], name)
        return Tensor(output, tuple(shape), tuple(range(len(shape))))


def _window(
    size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: str
) -> tuple[Pads, tuple[int, int]]:
    """Return the margins that TensorFlow adds, `((top, bottom), (left, right))`, and the size of the result."""
    pads, results = [], []
    for length, taps, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        if min(taps, stride, dilation) < 1:
            raise ValueError(f"a window of {taps}, step {stride}, spread {dilation}")
        reach = (taps - 1) * dilation + 1
        if padding == "SAME":
            result = -(-length // stride)
            margin = max((result - 1) * stride + reach - length, 0)
        elif padding == "VALID":
            result, margin = (length - reach) // stride + 1, 0
        else:
            raise ValueError(f"padding {padding!r}")
        pads.append((margin // 2, margin - margin // 2))
        results.append(result)
    return (pads[0], pads[1]), (results[0], results[1])


def _onnx_pads(pads: Pads) -> list[int]:
    return [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]


def _checked_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=1) < 1 or math.prod(sizes) > MAX_ELEMENTS:
        raise ValueError(f"{name} has the shape {list(sizes)}")
    return sizes
