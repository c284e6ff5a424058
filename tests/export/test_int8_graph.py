"""INT8 as TensorRT wants it: explicit, symmetric, per channel for weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from calibration.int8_ranges import Ranges
from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.flow import DAFlow, ModelConfig
from export.folded_flow import FoldedFlow
from export.int8_graph import calibrated_ranges, operations, quantise
from export.onnx_graph import export_onnx


def ranges_of(graph: Path, poses: np.ndarray) -> Ranges:
    tensors = [name for names in operations(graph).values() for name in names]
    return calibrated_ranges(graph, tensors, poses, "minmax", "random windows")


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((200, 2, 24, 18)).astype(np.float32)


@pytest.fixture(scope="module")
def quantised(graphs: dict[str, Path], poses: np.ndarray) -> onnx.ModelProto:
    return quantise(graphs["fp32"], ranges_of(graphs["fp32"], poses), operations(graphs["fp32"]))


def test_the_operations_are_products_with_their_activations(graphs: dict[str, Path]) -> None:
    found = operations(graphs["fp32"])
    assert len(found) == 32
    assert found["flow.steps.2.block.values.Gemm"] == ["flow.steps.2.block.ReduceMean"]
    assert len(found["flow.steps.2.block.MatMul"]) == 2


def test_every_chosen_operation_has_both_inputs_behind_a_pair(quantised: onnx.ModelProto) -> None:
    producers = {output: node for node in quantised.graph.node for output in node.output}
    products = [node for node in quantised.graph.node if node.op_type in ("Gemm", "MatMul")]
    assert len(products) == 32
    for node in products:
        for name in node.input[:2]:
            assert producers[name].op_type == "DequantizeLinear"
            assert producers[producers[name].input[0]].op_type == "QuantizeLinear"
        for bias in node.input[2:]:
            assert bias not in producers  # stays a float constant


def test_scales_are_symmetric_and_of_the_right_shape(quantised: onnx.ModelProto) -> None:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
    for node in quantised.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scale, zero = (constants[name] for name in node.input[1:])
        assert zero.dtype == np.int8
        assert not zero.any()
        assert (scale > 0).all()
        weight = node.name.split(".Quantize")[0].split(".Dequantize")[0]
        if weight in constants:
            assert scale.shape == (constants[weight].shape[1],)
            assert [a.i for a in node.attribute if a.name == "axis"] == [1]
            np.testing.assert_allclose(
                scale * 127, np.maximum(np.abs(constants[weight]).max(axis=0), 1e-6), rtol=1e-5
            )
        else:
            assert scale.shape == ()


def test_a_tensor_that_feeds_two_operations_is_quantised_once(quantised: onnx.ModelProto) -> None:
    names = [node.name for node in quantised.graph.node]
    assert len(names) == len(set(names))
    assert names.count("flow.steps.2.block.ReduceMean.QuantizeLinear") == 1


def test_what_is_not_chosen_stays_as_it_was(graphs: dict[str, Path], poses: np.ndarray) -> None:
    before = onnx.load(graphs["fp32"])
    after = quantise(graphs["fp32"], ranges_of(graphs["fp32"], poses), ["flow.steps.2.block.values.Gemm"])
    changed = {node.name for node in after.graph.node} - {node.name for node in before.graph.node}
    assert len(changed) == 4
    kept = {node.name: node for node in after.graph.node}
    for node in before.graph.node:
        if node.name != "flow.steps.2.block.values.Gemm":
            assert kept[node.name] == node


def test_scores_stay_near_and_nothing_chosen_changes_nothing(
    graphs: dict[str, Path], poses: np.ndarray, quantised: onnx.ModelProto, tmp_path: Path
) -> None:
    onnx.save(quantised, tmp_path / "int8.onnx")
    onnx.save(quantise(graphs["fp32"], ranges_of(graphs["fp32"], poses), []), tmp_path / "none.onnx")
    scores = {}
    for name, path in (
        ("fp32", graphs["fp32"]),
        ("int8", tmp_path / "int8.onnx"),
        ("none", tmp_path / "none.onnx"),
    ):
        with OnnxScorer(path) as scorer:
            scores[name] = scorer.score(poses)
    assert np.array_equal(scores["fp32"], scores["none"])
    error = np.abs(scores["int8"] - scores["fp32"])
    assert 0 < error.max() < 0.2 * np.ptp(scores["fp32"])
    assert np.corrcoef(scores["int8"], scores["fp32"])[0, 1] > 0.95


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(block="tcn", steps=2),
        ModelConfig(partition="spatial", hops=1, steps=2),
        pytest.param(ModelConfig(block="tcn", hops=1), marks=pytest.mark.everything),
    ],
    ids=["tcn", "spatial", "tcn-one-hop"],
)
def test_other_models_quantise_too(config: ModelConfig, poses: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph = tmp_path / "scorer.onnx"
    export_onnx(FoldedFlow(DAFlow(config).eval()), 24, graph)
    onnx.save(quantise(graph, ranges_of(graph, poses), operations(graph)), tmp_path / "int8.onnx")
    with OnnxScorer(tmp_path / "int8.onnx") as scorer:
        assert np.isfinite(scorer.score(poses)).all()
