from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from daflow.checkpoint import Checkpoint
from daflow.onnx_scorer import OnnxScorer
from daflow.training import score


@pytest.mark.parametrize("batch", [1, 2, 5, 300])
def test_the_fp32_graph_scores_as_the_module_for_every_batch(
    graphs: dict[str, Path], checkpoint: Checkpoint, rng: np.random.Generator, batch: int
) -> None:
    poses = rng.standard_normal((batch, 2, 24, 18)).astype(np.float32)
    with OnnxScorer(graphs["fp32"]) as scorer:
        assert np.abs(scorer.score(poses) - score(checkpoint.model, poses).numpy()).max() < 1e-4


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_graph_maps_float_poses_of_any_batch_to_float_nll(graphs: dict[str, Path], precision: str) -> None:
    graph = onnx.load(graphs[precision]).graph
    (poses,), (nll,) = graph.input, graph.output
    assert (poses.name, nll.name) == ("poses", "nll")
    assert poses.type.tensor_type.elem_type == nll.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    batch, *rest = poses.type.tensor_type.shape.dim
    assert batch.dim_param
    assert [d.dim_value for d in rest] == [2, 24, 18]


def test_the_fp16_graph_multiplies_in_half_and_sums_in_single_precision(graphs: dict[str, Path]) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(graphs["fp16"]))
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    by_operator: dict[str, set[int]] = {}
    for node in model.graph.node:
        by_operator.setdefault(node.op_type, set()).update(types.get(o, 0) for o in node.output)
    assert onnx.TensorProto.FLOAT16 in by_operator["Conv"]
    for operator in ("Log", "ReduceSum", "Pow"):
        assert by_operator[operator] == {onnx.TensorProto.FLOAT}


def test_no_single_precision_value_passes_through_half(graphs: dict[str, Path]) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(graphs["fp16"]))
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    back = [
        c for c in casts.values() if c.input[0] in casts and types.get(c.input[0]) == onnx.TensorProto.FLOAT16
    ]
    assert [c for c in back if types.get(casts[c.input[0]].input[0]) == onnx.TensorProto.FLOAT] == []


def test_strange_poses_stay_finite_in_fp16(graphs: dict[str, Path], rng: np.random.Generator) -> None:
    poses = (rng.standard_normal((16, 2, 24, 18)) * 12).astype(np.float32)
    with OnnxScorer(graphs["fp16"]) as scorer:
        assert np.isfinite(scorer.score(poses)).all()
