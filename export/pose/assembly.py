"""Put a network between the input and the outputs that every graph of a pose bundle has.

The input is `images (B, H, W, 3)`, uint8 in RGB: what a runtime cuts out of a frame. The order of channels, their mean
and scale, and the transposition are in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
import onnxslim
from onnx import TensorProto, compose, helper

from export.pose.layouts import Head, Layout, Shape
from export.pose.nodes import Nodes

IMAGES = "images"
PREFIX = "network."  # of the names in the network's own graph


@dataclass(frozen=True)
class Normalisation:
    """What a network takes for a colour 0..255: `(colour - mean) / std`, in its order of channels."""

    channels: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Network:
    """A network as it was published, as an ONNX graph.

    Attributes:
        model: its only input is pictures, as floating-point or whole numbers.
        width: of its input picture in pixels.
        height: of its input picture in pixels.
        channels_first: its input is `(B, 3, H, W)`, else `(B, H, W, 3)`.
        outputs: by name, with their shapes for one picture.
    """

    model: onnx.ModelProto
    width: int
    height: int
    channels_first: bool
    outputs: dict[str, Shape]


def assemble(network: Network, layout: Layout, normalisation: Normalisation) -> onnx.ModelProto:
    """Return the graph from `images` to the outputs of the layout, checked and simplified.

    Raises:
        InputError: the network's outputs are not those of the layout.
    """
    model: onnx.ModelProto = compose.add_prefix(network.model, PREFIX)
    graph = model.graph
    front = _front(graph.input[0], network, normalisation)
    head = Head(
        {PREFIX + name: shape for name, shape in network.outputs.items()}, network.width, network.height
    )
    results = layout.head(head)
    ends = [helper.make_node("Identity", [value], [name], f"head.{name}") for name, value in results.items()]
    nodes = [*front.nodes, *graph.node, *head.nodes, *ends]
    del graph.node[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*front.initializers, *head.initializers])
    graph.input[0].CopyFrom(
        helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["batch", network.height, network.width, 3])
    )
    for name in results:
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    model = onnxslim.slim(model)
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    return model


def _front(picture: onnx.ValueInfoProto, network: Network, normalisation: Normalisation) -> Nodes:
    """The nodes from `images` to the network's own input."""
    front = Nodes([picture.name])
    value = front.node("Cast", [IMAGES], "input.float", to=TensorProto.FLOAT)
    if normalisation.channels == "bgr":
        value = front.node(
            "Gather", [value, front.constant("input.order", np.array([2, 1, 0]))], "input.bgr", axis=3
        )
    mean, std = (np.array(numbers, np.float32) for numbers in (normalisation.mean, normalisation.std))
    if mean.any():
        value = front.node("Sub", [value, front.constant("input.mean", mean)], "input.centred")
    if (std != 1).any():
        scale = (1 / std.astype(np.float64)).astype(np.float32)
        value = front.node("Mul", [value, front.constant("input.scale", scale)], "input.scaled")
    if network.channels_first:
        value = front.node("Transpose", [value], "input.channels_first", perm=[0, 3, 1, 2])
    element = picture.type.tensor_type.elem_type
    front.nodes.append(helper.make_node("Cast", [value], [picture.name], "input.Cast", to=element))
    return front
