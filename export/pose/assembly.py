"""Put a network between the input and the outputs that every graph of a pose bundle has.

The input is `images (B, H, W, 3)`, uint8 in RGB: what a runtime cuts out of a frame. The order of channels, their mean
and scale, and the transposition are in the graph.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import TensorProto, compose, helper

from daflow.core.errors import InputError
from export.pose.faster_graph import speed_up
from export.pose.layouts import IMAGES, Head, Layout, Shape
from export.pose.nodes import PREFIX, Nodes


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

    @property
    def picture(self) -> onnx.ValueInfoProto:
        """Its input."""
        constants = {tensor.name for tensor in self.model.graph.initializer}
        picture: onnx.ValueInfoProto = next(v for v in self.model.graph.input if v.name not in constants)
        return picture


def assemble(network: Network, layout: Layout, normalisation: Normalisation) -> onnx.ModelProto:
    """Return the graph from `images` to the outputs of the layout, checked and simplified.

    Where the layout and the network allow it, `images` may be smaller than the network's own; see `takes_any_size`.

    Raises:
        InputError: the network's outputs are not those of the layout, or its graph is not valid.
    """
    if layout.stride is not None and not (network.height % layout.stride or network.width % layout.stride):
        with contextlib.suppress(InputError):
            model = _assemble(network, layout, normalisation, ("height", "width"))
            shorter = network.height - layout.stride, network.width
            narrower = network.height, network.width - layout.stride
            if _computes(model, *shorter) and _computes(model, *narrower):
                return model
    return _assemble(network, layout, normalisation, (network.height, network.width))


def takes_any_size(model: onnx.ModelProto) -> bool:
    """Whether the pictures of an assembled graph may have any smaller height and width that the layout allows."""
    return bool(model.graph.input[0].type.tensor_type.shape.dim[1].dim_param)


def _computes(model: onnx.ModelProto, height: int, width: int) -> bool:
    """Whether a graph gives outputs for a picture of another size: as many scores as boxes."""
    if not (height and width):
        return False
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        outputs = session.run(None, {IMAGES: np.zeros((1, height, width, 3), np.uint8)})
    except Exception:  # noqa: BLE001  ONNX Runtime has a class of its own for each reason
        return False
    return len({output.shape[1] for output in outputs}) == 1


def _assemble(
    network: Network, layout: Layout, normalisation: Normalisation, size: tuple[int | str, int | str]
) -> onnx.ModelProto:
    model: onnx.ModelProto = compose.add_prefix(network.model, PREFIX)
    graph = model.graph
    picture = helper.make_tensor_value_info("", 0, None)
    picture.CopyFrom(network.picture)
    picture.name = PREFIX + picture.name
    front = _front(picture, network, normalisation)
    head, ends, outputs = _head(network, layout)
    nodes = [*front.nodes, *graph.node, *head.nodes, *ends]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*front.initializers, *head.initializers])
    graph.input.append(helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["batch", *size, 3]))
    graph.output.extend(outputs)
    model = onnxslim.slim(model)
    speed_up(model)
    _name_nodes(model.graph)
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise InputError(f"The network's graph is not valid: {str(error).strip().splitlines()[0]}") from None
    return model


def head_alone(network: Network, layout: Layout) -> onnx.ModelProto:
    """Return the graph from the network's own outputs, under their names with `PREFIX`, to those of the layout.

    Raises:
        InputError: as for `assemble`.
    """
    head, ends, outputs = _head(network, layout, has_images=False)
    inputs = [
        helper.make_tensor_value_info(PREFIX + name, TensorProto.FLOAT, ["batch", *shape[1:]])
        for name, shape in network.outputs.items()
    ]
    graph = helper.make_graph([*head.nodes, *ends], "head", inputs, outputs, head.initializers)
    return helper.make_model(
        graph, opset_imports=network.model.opset_import, ir_version=network.model.ir_version
    )


def _head(
    network: Network, layout: Layout, has_images: bool = True
) -> tuple[Head, list[onnx.NodeProto], list[onnx.ValueInfoProto]]:
    """The nodes of the layout, those that name its results, and these as outputs of a graph."""
    named = {PREFIX + name: shape for name, shape in network.outputs.items()}
    head = Head(named, network.width, network.height, has_images)
    results = layout.head(head)
    ends = [helper.make_node("Identity", [value], [name], f"head.{name}") for name, value in results.items()]
    return head, ends, [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give each node a name of its own: calibration, the manifest and TensorRT name operations by it."""
    names = Nodes()
    for node in graph.node:
        node.name = names.unique(node.name or f"{PREFIX}{node.op_type}")


def _front(picture: onnx.ValueInfoProto, network: Network, normalisation: Normalisation) -> Nodes:
    """The nodes from `images` to the network's own input.

    Where the network takes planes of colours, they are made first: there a mean and a scale are one number for a whole
    plane, which ONNX Runtime computes twenty times as fast as three that take turns.
    """
    front = Nodes([picture.name])
    axis = 3
    # First, since TensorRT does nothing else with uint8.
    value = front.node("Cast", [IMAGES], "input.float", to=TensorProto.FLOAT)
    if network.channels_first:
        value, axis = front.node("Transpose", [value], "input.channels_first", perm=[0, 3, 1, 2]), 1
    if normalisation.channels == "bgr":
        value = front.node(
            "Gather", [value, front.constant("input.order", np.array([2, 1, 0]))], "input.bgr", axis=axis
        )
    planes = (3, 1, 1) if network.channels_first else (3,)
    mean, std = (
        np.array(three, np.float32).reshape(planes) for three in (normalisation.mean, normalisation.std)
    )
    if mean.any():
        value = front.node("Sub", [value, front.constant("input.mean", mean)], "input.centred")
    if (std != 1).any():
        scale = (1 / std.astype(np.float64)).astype(np.float32)
        value = front.node("Mul", [value, front.constant("input.scale", scale)], "input.scaled")
    element = picture.type.tensor_type.elem_type
    front.nodes.append(helper.make_node("Cast", [value], [picture.name], "input.Cast", to=element))
    return front
