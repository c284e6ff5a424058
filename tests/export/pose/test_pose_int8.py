"""What INT8 would ruin stays in FP32, and the rest of the network becomes INT8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from calibration.int8_ranges import read_ranges
from daflow.core.errors import CheckFailed
from daflow.core.pose_bundle import PoseLimits
from export.pose.assembly import Normalisation, assemble
from export.pose.int8 import MARGINS, Int8Writer
from export.pose.layouts import LAYOUTS
from export.pose.originals import open_original
from export.pose.verification import GraphRunner, compare_landmarks

IMAGES = np.random.default_rng(4).integers(0, 256, (16, 32, 16, 3), np.uint8)


@pytest.fixture
def graph(landmarks_file: Path, tmp_path: Path) -> Path:
    """The small network with one feature that is large, and of no account to the result."""
    model = onnx.load(landmarks_file)
    large = np.zeros((1, 64), np.float32)
    large[0, 0] = 1e5
    for tensor in model.graph.initializer:
        if tensor.name in ("wx", "wy"):
            value = numpy_helper.to_array(tensor).copy()
            value[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    model.graph.initializer.append(numpy_helper.from_array(large, "large"))
    for node in model.graph.node:
        node.input[:] = ["f_large" if name == "f" else name for name in node.input]
    place = [node.name for node in model.graph.node].index("flatten") + 1
    model.graph.node.insert(place, helper.make_node("Add", ["f", "large"], ["f_large"], "add"))
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    normalisation = Normalisation("rgb", (0, 0, 0), (255, 255, 255))
    onnx.save(
        assemble(open_original(path).network, LAYOUTS["simcc"], normalisation),
        tmp_path / "landmarks.fp32.onnx",
    )
    return tmp_path / "landmarks.fp32.onnx"


def writer(graph: Path, limits: PoseLimits) -> Int8Writer:
    folder = graph.parent
    return Int8Writer(
        graph, folder / "landmarks.int8.onnx", folder / "ranges.json", IMAGES, "noise", LAYOUTS["simcc"], limits,
        "minmax", lambda _: None,
    )  # fmt: skip


def test_the_operations_that_int8_would_ruin_stay_in_fp32(graph: Path) -> None:
    limits = PoseLimits(median_error=6, p99_error=90)
    int8, _ = next(writer(graph, limits).attempts())
    assert {name.removeprefix("network.") for name in int8.kept} >= {"x_places", "y_places"}
    assert "network.second" in int8.quantised
    assert (int8.pictures, int8.method) == (16, "minmax")
    ranges = read_ranges(graph.parent / int8.ranges, graph)
    assert max(ranges.tensors.values()) > 9e4
    expected, found = (
        GraphRunner(path.read_bytes()).run(IMAGES) for path in (graph, graph.with_name("landmarks.int8.onnx"))
    )
    compared = compare_landmarks(expected, found, 17)
    assert compared.median_error is not None
    assert compared.median_error <= 6


def test_each_attempt_keeps_at_least_as_much_in_fp32(graph: Path) -> None:
    attempts = list(writer(graph, PoseLimits(median_error=6, p99_error=90)).attempts())
    kept = [len(int8.kept) for int8, _ in attempts]
    assert kept == sorted(kept)
    assert [last for _, last in attempts] == [False] * (len(MARGINS) - 1) + [True]


def test_a_network_that_int8_ruins_altogether_is_refused(graph: Path) -> None:
    with pytest.raises(CheckFailed, match=r"No operation of landmarks\.fp32\.onnx can be computed in INT8"):
        next(writer(graph, PoseLimits(visibility_error=0, agreement=1.1)).attempts())
