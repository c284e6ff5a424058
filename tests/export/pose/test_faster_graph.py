"""A graph that is written to be faster gives the same values."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.pose.faster_graph import BLOCK, speed_up

RNG = np.random.default_rng(0)
SHAPE = (2, 3, 9, 10)


def graph(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], outputs: tuple[str, ...]
) -> onnx.ModelProto:
    made = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE[1:]])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    images = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    found: list[np.ndarray] = session.run(None, {"x": images})
    return found


def faster(model: onnx.ModelProto) -> tuple[Counter[str], onnx.ModelProto]:
    """Speed a graph up, compare its outputs, and return its operators and itself."""
    before = run(model)
    speed_up(model)
    for old, new in zip(before, run(model), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)
    used = {name for node in model.graph.node for name in node.input}
    assert all(tensor.name in used for tensor in model.graph.initializer)
    return Counter(node.op_type for node in model.graph.node), model


def pooled(
    pads: list[int], value: float, own: list[int], outputs: tuple[str, ...] = ("y",)
) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Pad", ["x", "pads", "value"], ["p"]),
        helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[3, 2], strides=[2, 1], pads=own),
    ]
    constants = {"pads": np.array(pads), "value": np.float32(value)}
    return graph(nodes, constants, outputs)


def test_pooling_adds_a_margin_of_minus_infinity_itself() -> None:
    operators, model = faster(pooled([0, 0, 1, 0, 0, 0, 2, 1], -np.inf, [0] * 4))
    assert operators == {"MaxPool": 1}
    assert not model.graph.initializer


@pytest.mark.parametrize(
    ("pads", "value", "own", "outputs"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.0, [0] * 4, ("y",)),  # a zero may be the largest
        ([0, 0, 3, 0, 0, 0, 0, 0], -np.inf, [0] * 4, ("y",)),  # windows of nothing but margin
        ([0, 1, 1, 1, 0, 0, 1, 1], -np.inf, [0] * 4, ("y",)),  # another channel
        ([0, 0, 1, 1, 0, 0, 1, 1], -np.inf, [1, 0, 0, 0], ("y",)),  # a margin of its own
        ([0, 0, 1, 1, 0, 0, 1, 1], -np.inf, [0] * 4, ("y", "p")),  # the padded picture is asked for too
    ],
)
def test_other_margins_stay(pads: list[int], value: float, own: list[int], outputs: tuple[str, ...]) -> None:
    operators, _ = faster(pooled(pads, value, own, outputs))
    assert operators["Pad"] == 1


@pytest.mark.parametrize(
    "attributes", [{"ceil_mode": 1}, {"auto_pad": "SAME_UPPER"}], ids=lambda value: next(iter(value))
)
def test_pooling_that_makes_margins_of_its_own_stays(attributes: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Pad", ["x", "pads", "value"], ["p"]),
        helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[3, 3], strides=[2, 2], **attributes),
    ]
    constants = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "value": np.float32(-np.inf)}
    assert faster(graph(nodes, constants, ("y",)))[0]["Pad"] == 1


def test_a_graph_with_branches_stays_as_it_is() -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["inner"], ["z"])], "b", [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)]
    model = graph(nodes, {"yes": np.array(True), "inner": np.ones((1, 2), np.float32)}, ("y",))
    before = model.SerializeToString()
    speed_up(model)
    assert model.SerializeToString() == before


def chain(
    few: int, last: str = "Conv", group: int = 1, outputs: tuple[str, ...] = ("y",), same: bool = False
) -> onnx.ModelProto:
    """A convolution to a few channels, and what takes them."""
    weights = {
        "w": RNG.normal(size=(few, 3, 3, 3)).astype(np.float32), "b": RNG.normal(size=few).astype(np.float32),
        "v": RNG.normal(size=(20, few // group, 1, 1)).astype(np.float32),
    }  # fmt: skip
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["h"])]
    if last == "Conv":
        nodes.append(helper.make_node("Conv", ["h", "v"], ["y"], group=group))
    else:
        del weights["v"]
        nodes.append(helper.make_node("Relu", ["h"], ["y"]))
    if same:
        nodes.append(helper.make_node("Conv", ["x", "w", "b"], ["other"]))
        outputs = (*outputs, "other")
    return graph(nodes, weights, outputs)


def channels(model: onnx.ModelProto) -> int:
    return next(tensor.dims[0] for tensor in model.graph.initializer if tensor.name == "w")


def test_few_channels_are_filled_up_to_a_block() -> None:
    assert channels(faster(chain(8))[1]) == BLOCK


@pytest.mark.parametrize(
    "model",
    [
        chain(20),  # enough
        chain(8, "Relu"),
        chain(8, group=4),
        chain(8, outputs=("y", "h")),  # the channels themselves are asked for
        chain(8, same=True),  # their weights serve twice
    ],
)
def test_other_channels_stay(model: onnx.ModelProto) -> None:
    before = channels(model)
    assert channels(faster(model)[1]) == before
