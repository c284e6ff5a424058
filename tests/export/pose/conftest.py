"""Tiny networks and pictures to export, made here so that the tests run everywhere."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]


def save_onnx(
    path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], picture: list[object], outputs: list[str]
) -> Path:  # fmt: skip
    """Write a graph with the input `x`, float32 of the shape `picture`."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, picture)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=OPSET, ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector `yolo` for pictures of 64 x 64: a box of 16 x 32 in each cell of 16 x 32 that is bright."""
    rows, columns = np.mgrid[:2, :4].reshape(2, -1).astype(np.float32)
    boxes = np.stack([columns * 16 + 8, rows * 32 + 16, np.full(8, 16), np.full(8, 32)]).astype(np.float32)[
        None
    ]
    constants = {
        "grey": np.full((1, 3, 1, 1), 1 / 3, np.float32),
        "flat": np.array([0, 1, -1]),
        "boxes": boxes,
        "none": np.array(0, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "grey"], ["bright"], "grey"),
        helper.make_node(
            "AveragePool", ["bright"], ["cells"], "cells", kernel_shape=[32, 16], strides=[32, 16]
        ),
        helper.make_node("Reshape", ["cells", "flat"], ["scores"], "scores"),
        helper.make_node("Mul", ["scores", "none"], ["zeros"], "zeros"),
        helper.make_node("Add", ["zeros", "boxes"], ["places"], "places"),
        helper.make_node(
            "Concat", ["places", "scores"], ["images"], "all", axis=1
        ),  # a name of ours, to be kept apart
    ]
    path = tmp_path_factory.mktemp("networks") / "detector.onnx"
    return save_onnx(path, nodes, constants, [1, 3, 64, 64], ["images"])


@pytest.fixture(scope="session")
def landmarks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network `simcc` for crops of 16 x 32: two convolutions, then a product for each axis."""
    rng = np.random.default_rng(3)
    constants = {
        "w1": rng.normal(size=(8, 3, 3, 3)).astype(np.float32) / 4,
        "w2": rng.normal(size=(8, 8, 3, 3)).astype(np.float32) / 6,
        "wx": rng.normal(size=(8 * 4 * 2, 17 * 32)).astype(np.float32) / 8,
        "wy": rng.normal(size=(8 * 4 * 2, 17 * 64)).astype(np.float32) / 8,
        "sx": np.array([0, 17, 32]),
        "sy": np.array([0, 17, 64]),
        "half": np.array(1.0, np.float32),
    }
    same = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "first", **same),
        helper.make_node("Relu", ["c1"], ["r1"], "relu"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "second", **same),
        helper.make_node("MaxPool", ["c2"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("MatMul", ["f", "wx"], ["mx"], "x_places"),
        helper.make_node("MatMul", ["f", "wy"], ["my"], "y_places"),
        helper.make_node("Reshape", ["mx", "sx"], ["x3"], "x3"),
        helper.make_node("Reshape", ["my", "sy"], ["y3"], "y3"),
        helper.make_node("Add", ["x3", "half"], ["simcc_x"], "xs"),
        helper.make_node("Add", ["y3", "half"], ["simcc_y"], "ys"),
    ]
    path = tmp_path_factory.mktemp("networks") / "landmarks.onnx"
    return save_onnx(path, nodes, constants, ["batch", 3, 32, 16], ["simcc_x", "simcc_y"])


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of 64 x 64 with two bright shapes each, which the detector takes for people."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(7)
    for number in range(6):
        picture = rng.integers(0, 40, (64, 64, 3), np.uint8)
        for column, row in ((number % 4, 0), ((number + 2) % 4, 1)):
            picture[row * 32 : row * 32 + 32, column * 16 : column * 16 + 16] = rng.integers(
                180, 256, (32, 16, 3)
            )
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder
