"""A TensorFlow.js graph becomes an ONNX graph that computes what NumPy and PyTorch do; a damaged one one sentence."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from daflow.core.errors import InputError
from export.pose import tfjs_graph
from export.pose.originals import open_original
from export.pose.tfjs_graph import parse_tfjs
from export.pose.tfjs_network import convert_tfjs
from export.pose.tfjs_reference import run_tfjs

RNG = np.random.default_rng(11)
W1 = RNG.normal(size=(3, 3, 3, 6)).astype(np.float16)  # rows, columns, inputs, outputs
W2 = RNG.normal(size=(3, 3, 6, 1)).astype(np.float32)
W3 = RNG.normal(size=(1, 1, 6, 4)).astype(np.float32)
BIAS = {size: RNG.normal(size=size).astype(np.float32) for size in (4, 6)}


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def window(padding: str, step: int, *kernel: int) -> dict[str, Any]:
    attributes = {"padding": {"s": text(padding)}, "strides": integers(1, step, step, 1)}
    return {**attributes, **({"ksize": integers(1, *kernel, 1)} if kernel else {})}


def fused(padding: str, step: int, *activation: str) -> dict[str, Any]:
    names = [text(name) for name in ("BiasAdd", *activation)]
    return {**window(padding, step), "fused_ops": {"list": {"s": names}}}


class Model:
    """Collects the nodes and weights of a graph model whose pictures come with channels in front."""

    def __init__(self) -> None:
        shape = {"dim": [{"size": "-1"}, {"size": "3"}, {"size": "9"}, {"size": "8"}]}
        self.nodes: list[dict[str, Any]] = [
            {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": shape}}}
        ]
        self.weights: list[dict[str, Any]] = []
        self.content = b""

    def constant(self, name: str, value: np.ndarray) -> str:
        half = value.dtype == np.float16
        dtype = "float32" if half else str(value.dtype)
        entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": dtype}
        self.weights.append({**entry, "quantization": {"dtype": "float16"}} if half else entry)
        self.content += value.tobytes()
        self.nodes.append({"name": name, "op": "Const", "attr": {}})
        return name

    def node(self, op: str, name: str, *inputs: str, **attr: Any) -> str:
        self.nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attr})
        return name

    def order(self, name: str, source: str, *axes: int) -> str:
        return self.node("Transpose", name, source, self.constant(f"{name}/perm", np.array(axes, np.int32)))

    def save(self, folder: Path, *outputs: str) -> Path:
        path = folder / "model.json"
        (folder / "model.bin").write_bytes(self.content)
        path.write_text(
            json.dumps(
                {
                    "format": "graph-model",
                    "signature": {"outputs": {name: {"name": f"{name}:0"} for name in outputs}},
                    "modelTopology": {"node": self.nodes},
                    "weightsManifest": [{"paths": ["model.bin"], "weights": self.weights}],
                }
            )
        )
        return path


def every_operator(folder: Path) -> Path:
    m = Model()
    margins = m.constant("margins", np.array([[0, 0], [0, 0], [1, 0], [2, 1]], np.int32))
    x = m.order("nhwc", m.node("Pad", "pad", "x", margins), 0, 2, 3, 1)
    first = m.node("Conv2D", "conv", x, m.constant("w1", W1), **window("SAME", 2))
    first = m.node("Add", "biased", first, m.constant("b6", BIAS[6]))
    first = m.node("LeakyRelu", "leaky", m.order("nchw", first, 0, 3, 1, 2), alpha={"f": 0.1})
    first = m.order("nhwc2", first, 0, 2, 3, 1)  # 5 x 6
    second = m.node(
        "FusedDepthwiseConv2dNative", "depth", first, m.constant("w2", W2), "b6", **fused("VALID", 1, "Relu6")
    )  # 3 x 4
    third = m.node("_FusedConv2D", "pointwise", second, m.constant("w3", W3), m.constant("b4", BIAS[4]),
                   **fused("SAME", 1, "Relu"))  # fmt: skip
    deep = m.constant("deep", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    padded = m.node("PadV2", "pad2", third, deep, m.constant("low", np.array(-9, np.float32)))
    pooled = m.node("MaxPool", "pool", padded, **window("VALID", 2, 2, 2))  # 2 x 3
    size = m.constant("size", np.array([4, 6], np.int32))
    resized = m.node("ResizeBilinear", "resize", pooled, size, half_pixel_centers={"b": True})
    joined = m.node("ConcatV2", "join", resized, resized, m.constant("axis", np.array(-1, np.int32)))
    m.node("SplitV", "split", m.order("channels", joined, 0, 3, 1, 2), m.constant("parts", np.array([3, 5], np.int32)),
           m.constant("along", np.array(1, np.int32)))  # fmt: skip
    # A shape as TensorFlow computes it: nothing sparse is added to it.
    sparse = m.node(
        "SparseToDense", "sparse", m.constant("where", np.zeros((0, 1), np.int32)),
        m.constant("three", np.array([3], np.int32)), m.constant("values", np.zeros(0, np.int32)),
        m.constant("zero", np.array(0, np.int32)),
    )  # fmt: skip
    shape = m.node("AddV2", "shape", m.constant("wanted", np.array([1, 5, 24], np.int32)), sparse)
    rows = m.order("rows", m.node("Reshape", "flat", "split:1", shape), 0, 2, 1)
    m.node("Identity", "boxes", rows)
    m.node("Identity", "scores", m.node("Sigmoid", "sigmoid", "split"))
    return m.save(folder, "scores", "boxes")


def expected(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = functional.pad(torch.tensor(pictures), (2, 1, 1, 0))  # 10 x 11
    weight = torch.tensor(W1.astype(np.float32).transpose(3, 2, 0, 1))
    first = functional.conv2d(functional.pad(x, (1, 1, 0, 1)), weight, torch.tensor(BIAS[6]), stride=2)
    first = functional.leaky_relu(first, 0.1)
    second = functional.conv2d(first, torch.tensor(W2.transpose(2, 3, 0, 1)), torch.tensor(BIAS[6]), groups=6)
    third = functional.conv2d(
        second.clamp(0, 6), torch.tensor(W3.transpose(3, 2, 0, 1)), torch.tensor(BIAS[4])
    )
    pooled = functional.max_pool2d(functional.pad(third.relu(), (1, 1, 1, 1), value=-9), 2)
    joined = functional.interpolate(pooled, (4, 6), mode="bilinear", align_corners=False).repeat(1, 2, 1, 1)
    return joined[:, :3].sigmoid().numpy(), joined[:, 3:].flatten(2).transpose(1, 2).numpy()


def test_every_operator_computes_what_pytorch_does_for_any_number_of_pictures(tmp_path: Path) -> None:
    pictures = RNG.normal(size=(3, 3, 9, 8)).astype(np.float32)
    graph = parse_tfjs(every_operator(tmp_path))
    session = onnxruntime.InferenceSession(convert_tfjs(graph, tmp_path).SerializeToString())
    scores, boxes = session.run(None, {"x": pictures})
    for found, wanted in zip((scores, boxes), expected(pictures), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_reference_computes_what_pytorch_does(tmp_path: Path) -> None:
    picture = RNG.normal(size=(1, 3, 9, 8)).astype(np.float32)
    found = run_tfjs(parse_tfjs(every_operator(tmp_path)), picture)
    for value, wanted in zip(found, expected(picture), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


def test_transpositions_between_operators_cost_nothing(tmp_path: Path) -> None:
    model = convert_tfjs(parse_tfjs(every_operator(tmp_path)), tmp_path)
    written = [node.name for node in model.graph.node if node.op_type == "Transpose"]
    assert len(written) == 1  # only the last one, behind a change of the shape


def test_nanodet_equals_its_reference_on_a_picture(shared: Path) -> None:
    original = open_original(shared / "models" / "nanodet.json")
    picture = RNG.normal(size=(1, 416, 416, 3)).astype(np.float32)
    network = original.network
    session = onnxruntime.InferenceSession(network.model.SerializeToString())
    found = session.run(list(network.outputs), {network.picture.name: picture.transpose(0, 3, 1, 2)})
    for value, (name, reference) in zip(found, original.run(picture).items(), strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-3, atol=1e-4, err_msg=name)


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def node(content: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(n for n in content["modelTopology"]["node"] if n["name"] == name)
    return found


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: node(c, "leaky").update(op="Elu"), r"cannot be converted\. Its operator Elu is not supported"),
        (lambda c: node(c, "depth")["attr"]["fused_ops"]["list"].update(s=[text("BiasAdd"), text("Elu")]),
         "Its fused activation Elu is not supported"),
        (lambda c: node(c, "conv")["attr"].update(data_format={"s": text("NCHW")}), "not NHWC"),
        (lambda c: node(c, "conv")["input"].__setitem__(0, "boxes"), "depends on itself"),
        (lambda c: node(c, "conv").pop("input"), "is damaged"),
        (lambda c: c["weightsManifest"][0]["weights"][0].update(shape=[5, 5]), "is damaged"),
        (lambda c: c["weightsManifest"][0]["weights"][0].update(shape=[-1, 2**62]), "is damaged"),
        (lambda c: c["weightsManifest"][0].update(paths=["../model.bin"]), "are not beside it"),
        (lambda c: c["weightsManifest"][0].update(paths=["other.bin"]), "are not beside it"),
        (lambda c: c["weightsManifest"][0].update(paths=["model.bin"] * 2), "it names a file of weights twice"),
        (lambda c: c.update(modelTopology={}), "is damaged"),
        (lambda c: c["modelTopology"]["node"].pop(0), "has 0 inputs in place of one picture"),
        (lambda c: c.update(format="layers-model"), "is not a TensorFlow.js graph model"),
        (lambda c: node(c, "nhwc")["input"].__setitem__(1, "x"), "computes a weight or a shape from the picture"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    path = change(every_operator(tmp_path), edit)
    with pytest.raises(InputError, match=words):
        open_original(path)


def test_a_shape_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = every_operator(tmp_path)
    graph = parse_tfjs(path)
    constants = {**graph.constants, "three": np.array([2**30, 2**30], np.int32)}
    with pytest.raises(InputError, match="is damaged"):
        convert_tfjs(dataclasses.replace(graph, constants=constants), path)


def test_weights_that_break_off_are_one_sentence(tmp_path: Path) -> None:
    path = every_operator(tmp_path)
    weights = tmp_path / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(InputError, match="its weights are cut off"):
        open_original(path)


def in_two_files(path: Path) -> Path:
    """Divide the weights among two files."""
    content = (path.parent / "model.bin").read_bytes()
    (path.parent / "a.bin").write_bytes(content[:100])
    (path.parent / "b.bin").write_bytes(content[100:])
    return change(path, lambda c: c["weightsManifest"][0].update(paths=["a.bin", "b.bin"]))


def test_other_weights_are_another_network(tmp_path: Path) -> None:
    path = in_two_files(every_operator(tmp_path))
    before = open_original(path).sha256
    assert open_original(path).sha256 == before
    for name in ("a.bin", "b.bin"):
        weights = tmp_path / name
        content = weights.read_bytes()
        weights.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
        assert open_original(path).sha256 != before
        weights.write_bytes(content)


def test_the_files_of_weights_may_not_be_too_large_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = in_two_files(every_operator(tmp_path))
    together = (tmp_path / "model.bin").stat().st_size
    monkeypatch.setattr(tfjs_graph, "MAX_BYTES", together)
    open_original(path)
    monkeypatch.setattr(tfjs_graph, "MAX_BYTES", together - 1)
    with pytest.raises(InputError, match="its weights are larger than those of any network"):
        open_original(path)


def test_broken_json_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"format": ')
    with pytest.raises(InputError, match="is not valid JSON"):
        open_original(path)
