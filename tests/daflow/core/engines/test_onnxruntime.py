"""A graph runs on any number of rows, also when it does not say the shapes of its outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daflow.core.engines.onnxruntime import OnnxRunner

onnx = pytest.importorskip("onnx")


@pytest.fixture
def runner(tmp_path: Path) -> OnnxRunner:
    """Of a graph with an output of unnamed sizes and one of no known shape; the batch may not be empty."""
    helper, kinds = onnx.helper, onnx.TensorProto
    x = helper.make_tensor_value_info("x", kinds.FLOAT, ["batch", 6])
    pairs = helper.make_tensor_value_info("pairs", kinds.FLOAT, ["batch", "pairs", 2])
    best = helper.make_tensor_value_info("best", kinds.INT64, None)
    shape = onnx.numpy_helper.from_array(np.array([-1, 3, 2]), "shape")
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["pairs"]),
        helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(nodes, "g", [x], [pairs, best], [shape])
    path = tmp_path / "graph.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return OnnxRunner(path, max_batch=2)


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_any_number_of_rows_gives_as_many_of_each_output(runner: OnnxRunner, rows: int) -> None:
    x = np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)
    found = runner.run(x)
    np.testing.assert_array_equal(found["pairs"], x.reshape(rows, 3, 2))
    np.testing.assert_array_equal(found["best"], x.argmax(axis=1))
    assert found["best"].dtype == np.int64
