"""The nodes and weights of a TensorFlow.js graph model (`model.json` and its weights), as the file has them."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.errors import InputError
from daflow.core.files import parse_json
from export.pose.graph_writer import explained

MAX_NODES = 20_000
MAX_BYTES = 2**29  # of the weights

_DTYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "int32": np.int32,
    "uint8": np.uint8,
    "uint16": np.uint16,
}

Reference = tuple[str, int]
"""The name of a node and the number of one of its outputs."""


class Attributes:
    """The attributes of a node."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; KeyError when it is missing and there is no default."""
        encoded = self._get(name, "s", None if default is None else base64.b64encode(default.encode()))
        return base64.b64decode(encoded).decode()

    def texts(self, name: str) -> list[str]:
        """Return texts, none when they are missing."""
        return [base64.b64decode(text).decode() for text in self._get(name, "list", {}).get("s", [])]

    def flag(self, name: str) -> bool:
        """Return a truth, False when it is missing."""
        return bool(self._get(name, "b", False))

    def number(self, name: str, default: float) -> float:
        """Return a number."""
        return float(self._get(name, "f", default))

    def picture_axes(self, name: str) -> list[int]:
        """Return the numbers for height and width in a list for the four axes of `NHWC`; one when it is missing."""
        if self.text("data_format", "NHWC") != "NHWC":
            raise InputError("Its layout of pictures is not NHWC, which is not supported.")
        values = [int(i) for i in self._get(name, "list", {"i": [1, 1, 1, 1]})["i"]]
        if len(values) != 4 or values[0] != 1 or values[3] != 1:
            raise ValueError(f"{name} {values}")
        return values[1:3]

    def _get(self, name: str, kind: str, default: Any) -> Any:
        if name in self._values and kind in self._values[name]:
            return self._values[name][kind]
        if default is None:
            raise KeyError(f"a node without the attribute {name}")
        return default


@dataclass(frozen=True)
class Node:
    """A node of the graph."""

    name: str
    kind: str
    inputs: tuple[Reference, ...]
    attributes: Attributes


@dataclass(frozen=True)
class TfjsGraph:
    """A graph model.

    Attributes:
        picture: the name of its input.
        shape: of the input, for one picture.
        nodes: those that the outputs depend on, in an order to compute them in, without input and constants.
        constants: by name.
        outputs: in the order of the file.
        sha256: of the JSON file and the weights together.
    """

    picture: str
    shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    outputs: tuple[Reference, ...]
    sha256: str


def parse_tfjs(path: Path) -> TfjsGraph:
    """Read a graph model; the weights are beside the JSON file.

    Raises:
        InputError: it is no graph model, or is damaged.
    """
    file = path.read_bytes()
    try:
        content = parse_json(file)
    except ValueError as error:
        raise InputError(
            f"{path} is not a TensorFlow.js graph model: it is not valid JSON ({error})."
        ) from None
    if not isinstance(content, dict) or content.get("format") != "graph-model":
        raise InputError(f"{path} is not a TensorFlow.js graph model.")
    with explained(str(path)):
        parts = _read_parts(
            path.parent, [name for group in content["weightsManifest"] for name in group["paths"]]
        )
        return _parse(content, parts, hashlib.sha256(b"".join([file, *parts.values()])).hexdigest())


def _parse(content: Mapping[str, Any], parts: Mapping[str, bytes], digest: str) -> TfjsGraph:
    entries = {entry["name"]: entry for entry in content["modelTopology"]["node"]}
    if len(entries) > MAX_NODES:
        raise ValueError("it has more operators than any network has")
    pictures = [entry for entry in entries.values() if entry["op"] == "Placeholder"]
    if len(pictures) != 1:
        raise InputError(f"It has {len(pictures)} inputs in place of one picture.")
    sizes = [int(dim["size"]) for dim in pictures[0]["attr"]["shape"]["shape"]["dim"]]
    sizes[0] = abs(sizes[0])  # -1 stands for any number of pictures
    nodes = {
        name: Node(
            name,
            entry["op"],
            tuple(_reference(source) for source in entry.get("input", []) if not source.startswith("^")),
            Attributes(entry.get("attr", {})),
        )
        for name, entry in entries.items()
    }
    outputs = tuple(_reference(output["name"]) for output in content["signature"]["outputs"].values())
    return TfjsGraph(
        pictures[0]["name"], tuple(sizes), tuple(_in_order(nodes, outputs)),
        _weights(content["weightsManifest"], parts), outputs, digest,
    )  # fmt: skip


def _in_order(nodes: Mapping[str, Node], outputs: tuple[Reference, ...]) -> list[Node]:
    order: list[Node] = []
    done: dict[str, bool] = {}  # False while what a node needs is being put in order
    stack = [name for name, _ in reversed(outputs)]
    while stack:
        node = nodes[stack[-1]]
        waiting = [name for name, _ in node.inputs if not done.get(name)]
        if node.name not in done:
            done[node.name] = False
            stack += waiting
            continue
        stack.pop()
        if done[node.name]:
            continue
        if waiting:
            raise ValueError(f"{node.name} depends on itself")
        done[node.name] = True
        if node.kind not in ("Placeholder", "Const"):
            order.append(node)
    return order


def _weights(manifest: list[dict[str, Any]], parts: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    constants: dict[str, np.ndarray] = {}
    for group in manifest:
        content = b"".join(parts[name] for name in group["paths"])
        start = 0
        for weight in group["weights"]:
            quantization = weight.get("quantization", {})
            dtype = np.dtype(_DTYPES[quantization.get("dtype", weight["dtype"])])
            end = start + math.prod(weight["shape"]) * dtype.itemsize
            if not start <= end <= len(content):
                raise ValueError("its weights are cut off")
            value: np.ndarray = np.frombuffer(content[start:end], dtype).reshape(weight["shape"])
            if "scale" in quantization:
                value = value * np.float32(quantization["scale"]) + np.float32(quantization["min"])
            constants[weight["name"]] = value.astype(_DTYPES[weight["dtype"]])
            start = end
        if start != len(content):
            raise ValueError("its weights have another size than it says")
    return constants


def _read_parts(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The files of the weights by name, each of which is named once."""
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise InputError(f"Its weights {name!r} are not beside it. Put them there.")
    if len(set(names)) != len(names):
        raise ValueError("it names a file of weights twice")
    if sum((folder / name).stat().st_size for name in names) > MAX_BYTES:
        raise ValueError("its weights are larger than those of any network for devices")
    return {name: (folder / name).read_bytes() for name in names}


def _reference(source: str) -> Reference:
    name, _, number = source.lstrip("^").partition(":")
    return name, int(number or 0)
