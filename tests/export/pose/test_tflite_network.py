"""A TFLite network becomes an ONNX graph that computes the same, and a damaged or unknown one becomes one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from daflow.core.errors import InputError
from export.pose.originals import open_original
from export.pose.tflite_network import read_tflite

sys.path.insert(0, str(Path(__file__).parent))
from tiny_tflite import TinyTflite

RNG = np.random.default_rng(5)
W1 = RNG.normal(size=(8, 3, 3, 3)).astype(np.float16)  # outputs, rows, columns, inputs
B1 = RNG.normal(size=8).astype(np.float16)
W2 = RNG.normal(size=(1, 3, 3, 8)).astype(np.float32)
B2 = RNG.normal(size=8).astype(np.float32)


def every_operator() -> bytes:
    net = TinyTflite()
    x = net.tensor(1, 9, 8, 3)
    margins = net.constant(np.array([[0, 0], [1, 0], [2, 1], [0, 0]], np.int32))
    padded = net.operator("PAD", [x, margins], (1, 10, 11, 3), "PadOptions")
    weight = net.operator("DEQUANTIZE", [net.constant(W1)], W1.shape)
    bias = net.operator("DEQUANTIZE", [net.constant(B1)], B1.shape)
    first = net.operator(
        "CONV_2D", [padded, weight, bias], (1, 5, 6, 8), "Conv2DOptions", Padding=0, StrideW=2, StrideH=2,
        FusedActivationFunction=3, DilationWFactor=1, DilationHFactor=1,
    )  # fmt: skip
    second = net.operator(
        "DEPTHWISE_CONV_2D", [first, net.constant(W2), net.constant(B2)], (1, 3, 4, 8), "DepthwiseConv2DOptions",
        Padding=1, StrideW=1, StrideH=1, DepthMultiplier=1, FusedActivationFunction=0, DilationWFactor=1,
        DilationHFactor=1,
    )  # fmt: skip
    pooled = net.operator(
        "MAX_POOL_2D", [first], (1, 3, 3, 8), "Pool2DOptions", Padding=0, StrideW=2, StrideH=2, FilterWidth=2,
        FilterHeight=2, FusedActivationFunction=0,
    )  # fmt: skip
    size = net.constant(np.array([3, 4], np.int32))
    resized = net.operator(
        "RESIZE_BILINEAR", [pooled, size], (1, 3, 4, 8), "ResizeBilinearOptions", HalfPixelCenters=True
    )
    added = net.operator("ADD", [resized, second], (1, 3, 4, 8), "AddOptions", FusedActivationFunction=1)
    joined = net.operator("CONCATENATION", [added, second], (1, 3, 4, 16), "ConcatenationOptions", Axis=3)
    deep = net.operator("DEPTH_TO_SPACE", [joined], (1, 6, 8, 4), "DepthToSpaceOptions", BlockSize=2)
    shape = net.constant(np.array([1, 192], np.int32))
    flat = net.operator("RESHAPE", [deep, shape], (1, 192), "ReshapeOptions")
    return net.bytes([x], [net.operator("LOGISTIC", [flat], (1, 192)), flat])


def expected(pictures: np.ndarray) -> np.ndarray:
    """The same network by PyTorch."""
    x = functional.pad(torch.tensor(pictures.transpose(0, 3, 1, 2)), (2, 1, 1, 0))
    x = functional.pad(x, (1, 1, 0, 1))  # SAME with a step of 2: 10 x 11 needs one row and two columns
    weight = torch.tensor(W1.astype(np.float32).transpose(0, 3, 1, 2))
    first = functional.conv2d(x, weight, torch.tensor(B1.astype(np.float32)), stride=2).clamp(0, 6)
    kernel = torch.tensor(W2.transpose(3, 0, 1, 2))
    second = functional.conv2d(first, kernel, torch.tensor(B2), groups=8)
    pooled = functional.max_pool2d(functional.pad(first, (0, 0, 0, 1), value=-torch.inf), 2)
    resized = functional.interpolate(pooled, (3, 4), mode="bilinear", align_corners=False)
    joined = torch.cat([(resized + second).relu(), second], dim=1).permute(0, 2, 3, 1).numpy()
    blocks = joined.reshape(len(joined), 3, 4, 2, 2, 4).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(len(joined), -1)


def run(model: onnx.ModelProto, pictures: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: list[np.ndarray] = session.run(
        None, {session.get_inputs()[0].name: pictures.transpose(0, 3, 1, 2)}
    )
    return found


def test_every_operator_computes_what_pytorch_does_for_any_number_of_pictures() -> None:
    pictures = RNG.normal(size=(3, 9, 8, 3)).astype(np.float32)
    probability, flat = run(read_tflite(every_operator(), "tiny"), pictures)
    wanted = expected(pictures)
    np.testing.assert_allclose(flat, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        probability, 1 / (1 + np.exp(-wanted.astype(np.float64))), rtol=1e-4, atol=1e-6
    )


def test_litert_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "tiny.tflite"
    path.write_bytes(every_operator())
    original = open_original(path)
    pictures = RNG.normal(size=(2, 9, 8, 3)).astype(np.float32)
    found = run(original.network.model, pictures)
    for value, reference in zip(found, original.run(pictures).values(), strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-4, atol=1e-5)


def test_an_operator_that_is_not_known_is_named() -> None:
    net = TinyTflite()
    x = net.tensor(1, 4, 4, 3)
    content = net.bytes([x], [net.operator("HARD_SWISH", [x], (1, 4, 4, 3))])
    with pytest.raises(
        InputError, match=r"tiny cannot be converted\. Its operator HARD_SWISH is not supported\."
    ):
        read_tflite(content, "tiny")


def test_a_fused_activation_that_is_not_known_is_refused() -> None:
    net = TinyTflite()
    x = net.tensor(1, 4, 4, 3)
    content = net.bytes(
        [x], [net.operator("ADD", [x, x], (1, 4, 4, 3), "AddOptions", FusedActivationFunction=4)]
    )
    with pytest.raises(InputError, match="fused activation number 4 is not supported"):
        read_tflite(content, "tiny")


def test_a_shape_that_is_not_what_the_operators_give_is_refused() -> None:
    net = TinyTflite()
    x = net.tensor(1, 4, 4, 3)
    with pytest.raises(InputError, match=r"t1 has the shape .* and the file says"):
        read_tflite(net.bytes([x], [net.operator("LOGISTIC", [x], (1, 4, 5, 3))]), "tiny")


def test_a_network_of_no_pictures_is_refused() -> None:
    net = TinyTflite()
    x = net.tensor(1, 16)
    with pytest.raises(InputError, match="is not one RGB picture"):
        read_tflite(net.bytes([x], [net.operator("LOGISTIC", [x], (1, 16))]), "tiny")


def test_a_margin_that_would_fill_the_memory_is_refused() -> None:
    net = TinyTflite()
    x = net.tensor(1, 4, 4, 3)
    margins = net.constant(np.array([[0, 0], [0, 2**30], [0, 2**30], [0, 0]], np.int32))
    with pytest.raises(InputError, match="damaged"):
        read_tflite(net.bytes([x], [net.operator("PAD", [x, margins], (1, 4, 4, 3), "PadOptions")]), "tiny")


def test_anything_else_is_no_tflite_network() -> None:
    with pytest.raises(InputError, match="is not a TFLite network"):
        read_tflite(b"something else entirely", "tiny")


CONTENT = every_operator()


def sentence(content: bytes) -> str | None:
    """What is wrong with a file; None when it can be read."""
    try:
        read_tflite(content, "tiny")
    except InputError as error:
        return error.message
    return None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(CONTENT) - 1))
def test_a_file_that_breaks_off_is_one_sentence(length: int) -> None:
    assert (sentence(CONTENT[:length]) or "tiny ").startswith("tiny ")  # what is cut off may be padding


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(8, len(CONTENT) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_give_a_graph_or_one_sentence(changes: list[tuple[int, int]]) -> None:
    content = bytearray(CONTENT)
    for place, value in changes:
        content[place] = value
    assert (sentence(bytes(content)) or "tiny ").startswith("tiny ")
