"""The ONNX files: what they compute, and how TensorRT of any age reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxslim
import pytest
import torch
from onnx import TensorProto, shape_inference
from torch import Tensor, nn

from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.torch_scorer import score
from export.folded_flow import FoldedFlow, FoldedScorer
from export.graph_metadata import graph_metadata
from export.onnx_graph import OPSET, export_onnx, trace

BOTH = pytest.mark.parametrize("precision", ["fp32", "fp16"])


class Module(nn.Module):
    def __init__(self, model: DAFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, poses: Tensor) -> Tensor:
        return self.model.nll(poses)


@BOTH
def test_the_file_is_valid_and_of_an_opset_that_tensorrt_8_knows(
    graphs: dict[str, Path], precision: str
) -> None:
    model = onnx.load(graphs[precision])
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert OPSET <= 17


@BOTH
def test_reductions_carry_their_axes_as_tensorrt_8_reads_them(
    graphs: dict[str, Path], precision: str
) -> None:
    reductions = [
        node
        for node in onnx.load(graphs[precision]).graph.node
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum"
    ]
    assert len(reductions) > 16
    for node in reductions:
        assert len(node.input) == 1
        assert any(attribute.name == "axes" and attribute.ints for attribute in node.attribute)


@BOTH
def test_both_ends_are_single_precision_with_any_number_of_windows(
    graphs: dict[str, Path], precision: str
) -> None:
    graph = onnx.load(graphs[precision]).graph
    (poses,), (nll,) = graph.input, graph.output
    assert (poses.name, nll.name) == ("poses", "nll")
    assert {value.type.tensor_type.elem_type for value in (poses, nll)} == {TensorProto.FLOAT}
    shape = [dim.dim_param or dim.dim_value for dim in poses.type.tensor_type.shape.dim]
    assert shape == ["batch", 2, 24, 18]


@BOTH
@pytest.mark.parametrize("batch", [0, 1, 2, 7, 64])
def test_a_window_scores_the_same_in_every_batch(
    graphs: dict[str, Path], precision: str, batch: int, rng: np.random.Generator
) -> None:
    poses = rng.standard_normal((batch, 2, 24, 18)).astype(np.float32)
    with OnnxScorer(graphs[precision], precision) as scorer:
        together = scorer.score(poses)
        alone = [scorer.score(poses[index : index + 1])[0] for index in range(batch)]
    np.testing.assert_allclose(
        together, np.array(alone, dtype=np.float32), rtol=2e-3 if precision == "fp16" else 1e-5
    )


def test_nodes_are_named_after_the_modules(graphs: dict[str, Path]) -> None:
    names = [node.name for node in onnx.load(graphs["fp32"]).graph.node]
    assert len(names) == len(set(names))
    assert "flow.steps.3.block.values.Gemm" in names
    assert "flow.steps.0.block.MatMul" in names
    assert sum(name.startswith("flow.likelihood.") for name in names) > 5


@BOTH
def test_the_file_says_nothing_about_the_machine(graphs: dict[str, Path], precision: str) -> None:
    content = graphs[precision].read_bytes()
    for secret in (str(Path(__file__).parents[2]).encode(), b"site-packages", b"stack_trace"):
        assert secret not in content
    model = onnx.load(graphs[precision])
    assert not any(node.metadata_props for node in model.graph.node)


def test_the_likelihood_of_the_half_graph_is_single(graphs: dict[str, Path]) -> None:
    model = shape_inference.infer_shapes(onnx.load(graphs["fp16"]))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    likelihood = [
        n for n in model.graph.node if n.name.startswith("flow.likelihood.") and n.op_type != "Cast"
    ]
    assert likelihood
    assert {types[name] for node in likelihood for name in node.input} <= {
        TensorProto.FLOAT,
        TensorProto.INT64,
    }
    products = [n for n in model.graph.node if n.op_type in ("Gemm", "MatMul")]
    assert {types[name] for node in products for name in node.input} == {TensorProto.FLOAT16}


def test_the_folded_graph_has_less_than_half_of_the_nodes() -> None:
    model = DAFlow(ModelConfig(steps=4)).eval()
    plain, folded = (onnxslim.slim(trace(module, 24)) for module in (Module(model), FoldedFlow(model)))
    assert len(folded.graph.node) * 2 < len(plain.graph.node)


def test_two_exports_of_a_model_are_the_same_file(
    checkpoint: Checkpoint, graphs: dict[str, Path], tmp_path: Path
) -> None:
    again = tmp_path / "again.onnx"
    export_onnx(FoldedScorer(checkpoint), 24, again, metadata=graph_metadata(checkpoint, "fp32"))
    assert again.read_bytes() == graphs["fp32"].read_bytes()


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(block="tcn", steps=2),
        ModelConfig(partition="spatial", hops=1, window=16, steps=2),
        pytest.param(
            ModelConfig(block="tcn", partition="distance", hops=1, window=16), marks=pytest.mark.everything
        ),
        ModelConfig(skeleton_attention=False, window=5, steps=1),
    ],
    ids=["tcn", "spatial", "tcn-distance", "small"],
)
def test_other_configurations_export_too(
    config: ModelConfig, tmp_path: Path, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    model = DAFlow(config).eval()
    poses = rng.standard_normal((9, 2, config.window, 18)).astype(np.float32)
    export_onnx(FoldedFlow(model), config.window, tmp_path / "scorer.onnx")
    with OnnxScorer(tmp_path / "scorer.onnx") as scorer:
        assert scorer.window == config.window
        np.testing.assert_allclose(scorer.score(poses), score(model, poses).numpy(), atol=1e-5, rtol=1e-5)
