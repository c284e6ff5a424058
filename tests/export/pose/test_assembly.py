"""Every graph takes `images`, uint8 RGB, and gives each network the numbers that it was trained on."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.pose.assembly import Network, Normalisation, assemble, takes_any_size
from export.pose.layouts import LAYOUTS, Head, Layout
from export.pose.originals import open_original
from export.pose.verification import GraphRunner

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)


def echo(head: Head) -> dict[str, str]:
    return {"scores": head.op("Mul", next(iter(head.outputs)), 1.0)}


def echo_graph(shape: list[object], element: int, channels_first: bool) -> Network:
    # The network's own names are those that the finished graph needs.
    nodes = [helper.make_node("Cast", ["images"], ["scores"], to=TensorProto.FLOAT)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("images", element, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Network(model, 6, 4, channels_first, {"scores": (1, *shape[1:])})  # type: ignore[arg-type]


@pytest.mark.parametrize(("channels", "first"), list(itertools.product(("rgb", "bgr"), (True, False))))
def test_colours_are_normalised_in_the_order_that_the_network_takes(
    channels: Literal["rgb", "bgr"], first: bool
) -> None:
    network = echo_graph(["batch", 3, 4, 6] if first else ["batch", 4, 6, 3], TensorProto.FLOAT, first)
    normalisation = Normalisation(channels, (10.0, 20.0, 30.0), (2.0, 4.0, 8.0))
    layout = Layout("detector", 0, "rgb", (0, 0, 0), (1, 1, 1), echo)
    model = assemble(network, layout, normalisation)
    expected = (IMAGES[..., ::-1] if channels == "bgr" else IMAGES).astype(np.float64)
    expected = (expected - (10, 20, 30)) / (2, 4, 8)
    found = GraphRunner(model).run(IMAGES)["scores"]
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2) if first else expected, rtol=1e-6)
    images = model.graph.input[0]
    assert (images.name, images.type.tensor_type.elem_type) == ("images", TensorProto.UINT8)
    assert [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim] == ["batch", 4, 6, 3]


def grid_network(fixed: bool) -> Network:
    """A detector `nanodet` of 64 x 64 whose scores and distances are what is bright; its shapes may be fixed."""
    rng = np.random.default_rng(5)
    nodes, outputs, constants = [], {}, {}
    for stride in (8, 16, 32):
        for name, channels in (("scores", 80), ("sides", 32)):
            constants[f"{name}{stride}.w"] = rng.normal(size=(channels, 3, stride, stride)).astype(np.float32)
            cells = (64 // stride) ** 2
            constants[f"{name}{stride}.s"] = np.array([0, channels, cells if fixed else -1])
            nodes += [
                helper.make_node("Conv", ["x", f"{name}{stride}.w"], [f"{name}{stride}.c"], strides=[stride, stride]),
                helper.make_node("Reshape", [f"{name}{stride}.c", f"{name}{stride}.s"], [f"{name}{stride}.r"]),
                helper.make_node("Transpose", [f"{name}{stride}.r"], [f"{name}{stride}"], perm=[0, 2, 1]),
            ]  # fmt: skip
            outputs[f"{name}{stride}"] = (1, cells, channels)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 64, 64])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Network(model, 64, 64, True, outputs)


def test_a_detector_whose_shapes_are_free_takes_pictures_of_any_size() -> None:
    layout = LAYOUTS["nanodet"]
    normalisation = Normalisation("rgb", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    free, fixed = (assemble(grid_network(shapes), layout, normalisation) for shapes in (False, True))
    assert takes_any_size(free)
    assert not takes_any_size(fixed)
    images = np.random.default_rng(6).integers(0, 256, (2, 64, 64, 3), np.uint8)
    same, other = GraphRunner(fixed).run(images), GraphRunner(free)
    for name, value in other.run(images).items():
        np.testing.assert_allclose(value, same[name], rtol=1e-5, atol=1e-4)
    # Every cell sees its own pixels alone, so those of the upper half are the same in a picture of that alone.
    upper = other.run(images[:, :32])
    first = (64 // 8) * (32 // 8)
    for name, value in upper.items():
        assert value.shape[1] == first + 4 * 2 + 2
        np.testing.assert_allclose(value[:, :first], same[name][:, :first], rtol=1e-5, atol=1e-4)
    assert other.run(images[:, :32, :32])["boxes"].shape == (2, 4 * 4 + 2 * 2 + 1, 4)


def test_a_network_of_whole_numbers_gets_whole_numbers() -> None:
    network = echo_graph(["batch", 4, 6, 3], TensorProto.INT32, False)
    layout = Layout("detector", 0, "rgb", (0, 0, 0), (1, 1, 1), echo)
    found = GraphRunner(assemble(network, layout, Normalisation("rgb", (0, 0, 0), (1, 1, 1)))).run(IMAGES)
    np.testing.assert_array_equal(found["scores"], IMAGES)


def test_every_operation_has_a_name_of_its_own(landmarks_file: Path) -> None:
    original = open_original(landmarks_file)
    for node in original.network.model.graph.node:
        node.name = ""
    model = assemble(original.network, LAYOUTS["simcc"], Normalisation("rgb", (0, 0, 0), (255, 255, 255)))
    names = [node.name for node in model.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)
    onnx.checker.check_model(model, full_check=True)
