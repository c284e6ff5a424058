"""Read a TensorFlow.js graph model (`model.json` and its weights) as an ONNX graph.

The files are untrusted. Whatever is wrong with them becomes one sentence.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from daflow.core.errors import InputError
from daflow.core.files import parse_json
from export.pose.graph_writer import GraphWriter, Tensor

MAX_NODES = 20_000
_BROKEN = (
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    OverflowError,
    MemoryError,
    RecursionError,
)
_DTYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "int32": np.int32,
    "uint8": np.uint8,
    "uint16": np.uint16,
}

Operand = Tensor | np.ndarray


def read_tfjs(path: Path) -> onnx.ModelProto:
    """Return the ONNX graph of a TF.js graph model: input `(B, 3, H, W)` float32, outputs as in the original.

    Args:
        path: the JSON file; the weights are beside it.

    Raises:
        InputError: it is no graph model, it is damaged, or it has an operator that is not supported.
    """
    content = parse_json(path.read_text())
    if not isinstance(content, dict) or content.get("format") != "graph-model":
        raise InputError(f"{path} is not a TensorFlow.js graph model.")
    try:
        return _Reader(content, path).read()
    except InputError as error:
        raise InputError(f"{path} cannot be converted. {error}") from None
    except _BROKEN as error:
        raise InputError(f"{path} is damaged, or no network of pictures: {error}. Get it again.") from error


class _Reader:
    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        nodes = content["modelTopology"]["node"]
        if len(nodes) > MAX_NODES:
            raise ValueError("it has more operators than any network has")
        self.nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in nodes}
        self.outputs = [_reference(output["name"]) for output in content["signature"]["outputs"].values()]
        self.constants = _weights(content["weightsManifest"], path.parent)
        self.writer = GraphWriter()
        self.values: dict[tuple[str, int], Operand] = {}

    def read(self) -> onnx.ModelProto:
        pictures = [node["name"] for node in self.nodes.values() if node["op"] == "Placeholder"]
        if len(pictures) != 1:
            raise InputError(f"It has {len(pictures)} inputs in place of one picture.")
        named = []
        for name, number in self.outputs:
            for node in self._needed(name):
                self._convert(node)
            value = self.values[name, number]
            named.append((f"output.{name}", self.tensor(value)))
        return self.writer.model(named)

    def _needed(self, name: str) -> list[str]:
        """The nodes that an output depends on and that are not converted, in an order to compute them in."""
        order: list[str] = []
        state: dict[str, bool] = {}
        stack = [name]
        while stack:
            node = stack[-1]
            if state.get(node) or (node, 0) in self.values:
                stack.pop()
                continue
            before = [_reference(source)[0] for source in self.nodes[node].get("input", [])]
            waiting = [b for b in before if not state.get(b) and (b, 0) not in self.values]
            if node in state:
                if waiting:
                    raise ValueError(f"{node} depends on itself")
                state[node] = True
                order.append(node)
                stack.pop()
            else:
                state[node] = False
                stack += waiting
        return order

    def _convert(self, name: str) -> None:
        node = self.nodes[name]
        kind = node["op"]
        if kind == "Placeholder":
            sizes = [int(d["size"]) for d in node["attr"]["shape"]["shape"]["dim"]]
            sizes[0] = abs(sizes[0])  # -1 stands for any number of pictures
            self.values[name, 0] = self.writer.picture(name, sizes)
        elif kind == "Const":
            self.values[name, 0] = self.constants[name]
        else:
            convert = _CONVERTERS.get(kind)
            if convert is None:
                raise InputError(f"Its operator {kind} is not supported.")
            operands = [self.values[_reference(i)] for i in node.get("input", []) if not i.startswith("^")]
            results = convert(self, name, _Attributes(node.get("attr", {})), operands)
            for number, result in enumerate(results if isinstance(results, list) else [results]):
                self.values[name, number] = result

    @staticmethod
    def tensor(value: Operand) -> Tensor:
        """An operand that must come from the picture."""
        if not isinstance(value, Tensor):
            raise InputError("It computes on a constant where a picture is expected.")
        return value


class _Attributes:
    """The attributes of a node."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._get(name, "s", default)
        return default if value is default and default is not None else base64.b64decode(value).decode()

    def flag(self, name: str) -> bool:
        return bool(self._get(name, "b", False))

    def number(self, name: str, default: float | None = None) -> float:
        return float(self._get(name, "f", default))

    def integers(self, name: str, default: list[int] | None = None) -> list[int]:
        value = self._get(name, "list", default)
        return [int(i) for i in (value["i"] if isinstance(value, dict) else value)]

    def _get(self, name: str, kind: str, default: Any) -> Any:
        if name in self._values and kind in self._values[name]:
            return self._values[name][kind]
        if default is None:
            raise KeyError(f"a node without the attribute {name}")
        return default


def _reference(source: str) -> tuple[str, int]:
    name, _, number = source.lstrip("^").partition(":")
    return name, int(number or 0)


def _weights(manifest: list[dict[str, Any]], folder: Path) -> dict[str, np.ndarray]:
    constants: dict[str, np.ndarray] = {}
    for group in manifest:
        content = b""
        for part in group["paths"]:
            if Path(part).name != part:
                raise InputError(f"Its weights {part!r} are not beside it.")
            if not (folder / part).is_file():
                raise InputError(f"Its weights are missing: {folder / part}. Put them beside it.")
            content += (folder / part).read_bytes()
        start = 0
        for weight in group["weights"]:
            quantization = weight.get("quantization", {})
            dtype = np.dtype(_DTYPES[quantization.get("dtype", weight["dtype"])])
            end = start + math.prod(weight["shape"]) * dtype.itemsize
            if end > len(content) or end < start:
                raise ValueError("its weights are cut off")
            value = np.frombuffer(content[start:end], dtype).reshape(weight["shape"])
            if "scale" in quantization:
                value = value * np.float32(quantization["scale"]) + np.float32(quantization["min"])
            constants[weight["name"]] = value.astype(_DTYPES[weight["dtype"]])
            start = end
        if start != len(content):
            raise ValueError("its weights have another size than it says")
    return constants


def _constant(value: Operand) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise InputError("It computes a weight or a shape from the picture.")
    return value


def _picture_axes(attributes: _Attributes, name: str) -> list[int]:
    if attributes.text("data_format", "NHWC") != "NHWC":
        raise InputError("Its layout NCHW is not supported.")
    values = attributes.integers(name, [1, 1, 1, 1])
    if len(values) != 4 or values[0] != 1 or values[3] != 1:
        raise ValueError(f"{name} {values}")
    return values[1:3]


def _convolution(reader: _Reader, name: str, attributes: _Attributes, operands: list[Operand]) -> Operand:
    tensor, weight = operands
    return reader.writer.convolution(
        name, reader.tensor(tensor), _constant(weight).transpose(3, 2, 0, 1), None,
        _picture_axes(attributes, "strides"), attributes.text("padding"), _picture_axes(attributes, "dilations"),
    )  # fmt: skip


def _max_pool(reader: _Reader, name: str, attributes: _Attributes, operands: list[Operand]) -> Operand:
    return reader.writer.max_pool(
        name, reader.tensor(operands[0]), _picture_axes(attributes, "ksize"), _picture_axes(attributes, "strides"),
        attributes.text("padding"),
    )  # fmt: skip


def _resize(reader: _Reader, name: str, attributes: _Attributes, operands: list[Operand]) -> Operand:
    tensor, size = operands
    return reader.writer.resize(
        name, reader.tensor(tensor), _constant(size).tolist(),
        half_pixel=attributes.flag("half_pixel_centers"), align_corners=attributes.flag("align_corners"),
    )  # fmt: skip


def _add(reader: _Reader, name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    if all(isinstance(operand, np.ndarray) for operand in operands):
        return np.add(*map(_constant, operands))
    return reader.writer.elementwise("Add", name, *operands)


def _pad(reader: _Reader, name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    tensor, pads, *value = operands
    filling = float(_constant(value[0])) if value else 0.0
    return reader.writer.pad(name, reader.tensor(tensor), _constant(pads), filling)


def _transpose(reader: _Reader, _name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    tensor, permutation = operands
    return reader.writer.transpose(reader.tensor(tensor), _constant(permutation).tolist())


def _leaky_relu(reader: _Reader, name: str, attributes: _Attributes, operands: list[Operand]) -> Operand:
    alpha = attributes.number("alpha", 0.2)
    return reader.writer.activation("LeakyRelu", name, reader.tensor(operands[0]), alpha=alpha)


def _sigmoid(reader: _Reader, name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    return reader.writer.activation("Sigmoid", name, reader.tensor(operands[0]))


def _concatenation(reader: _Reader, name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    *tensors, axis = operands
    return reader.writer.concatenate(name, [reader.tensor(t) for t in tensors], int(_constant(axis)))


def _split(reader: _Reader, name: str, _attributes: _Attributes, operands: list[Operand]) -> list[Operand]:
    tensor, sizes, axis = operands
    ends = np.cumsum(_constant(sizes)).tolist()
    starts = [0, *ends[:-1]]
    source = reader.tensor(tensor)
    return [
        reader.writer.slice(f"{name}.{n}", source, int(_constant(axis)), start, end)
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _reshape(reader: _Reader, name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    tensor, shape = operands
    return reader.writer.reshape(name, reader.tensor(tensor), _constant(shape).tolist())


def _sparse_to_dense(
    _reader: _Reader, _name: str, _attributes: _Attributes, operands: list[Operand]
) -> Operand:
    """Part of how a shape is computed; in a network of fixed size nothing is sparse."""
    indices, shape, values, default = (_constant(operand) for operand in operands)
    dense = np.full(shape[:4], default)
    if dense.size > 16:
        raise ValueError(f"a shape of {dense.size} axes")
    dense[tuple(indices.reshape(-1, dense.ndim).T)] = values
    return dense


def _identity(_reader: _Reader, _name: str, _attributes: _Attributes, operands: list[Operand]) -> Operand:
    return operands[0]


_CONVERTERS: dict[str, Callable[[_Reader, str, _Attributes, list[Operand]], Operand | list[Operand]]] = {
    "Conv2D": _convolution,
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
