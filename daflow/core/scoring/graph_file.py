"""ONNX files are read as bytes, and only those that hold all of their weights.

ONNX lets a tensor be in another file, by a path. Such a file is in no hash of a bundle, and its path may leave the
folder, so a graph that names one is refused. No graph of this toolkit does. Neither ONNX Runtime nor TensorRT can be
told to refuse it, and a device has no `onnx`, so the few fields that matter are found in the protobuf itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daflow.core.errors import InputError

_MAX_BYTES = 256 << 20  # a scorer's graph has about 200 kB, one of a pose network about 10 MB

# The messages of onnx.proto in which a tensor can be, by the numbers of their fields.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor


def read_graph(path: Path) -> bytes:
    """Return the bytes of an ONNX file that refers to no other file.

    Raises:
        InputError: the file is missing, too large, no protobuf, or has weights in another file.
    """
    if not path.is_file():
        raise InputError(f"There is no graph {path}.")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} has more than {_MAX_BYTES >> 20} MiB, which no graph for a device has.")
    content = path.read_bytes()
    try:
        external = has_external_data(content)
    except ValueError as error:
        raise InputError(f"{path} is not an ONNX file, or it is damaged: {error}.") from None
    if external:
        raise InputError(
            f"{path} has weights in another file, which no hash protects. Export the bundle again; its graphs hold all "
            "of their weights."
        )
    return content


def has_external_data(model: bytes) -> bool:
    """Whether a tensor of a serialised `ModelProto` is in another file.

    Raises:
        ValueError: the bytes are no protobuf.
    """
    view = memoryview(model)
    below = [("model", view)]
    while below:
        kind, message = below.pop()
        inside = _MESSAGES[kind]
        for field, value in _fields(message):
            if kind == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)):
                return True
            if field in inside:
                if isinstance(value, int):
                    raise ValueError("a message is a number")
                below.append((inside[field], value))
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field; of fixed width, 0."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind, size = tag & 7, 0
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = _varint(message, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("it has a field of an unknown kind")
        if position + size > len(message):
            raise ValueError("it ends within a field")
        yield tag >> 3, message[position : position + size] if kind == 2 else 0
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number of variable width, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position == len(message):
            raise ValueError("it ends within a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("it has a number of more than 64 bits")
