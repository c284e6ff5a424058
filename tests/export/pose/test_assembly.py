"""Every graph takes `images`, uint8 RGB, and gives each network the numbers that it was trained on."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.pose.assembly import Network, Normalisation, assemble
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
