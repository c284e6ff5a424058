"""The scorers of the edge by name."""

from __future__ import annotations

from typing import cast

from daflow.bundle import Bundle, Precision
from daflow.onnx_scorer import OnnxScorer
from daflow.scorer import Scorer

SCORERS = ("onnxruntime", "tensorrt")
PRECISIONS = ("auto", "fp32", "fp16")


def open_scorer(bundle: Bundle, name: str, precision: str = "auto") -> Scorer:
    """Open a scorer of a bundle.

    Args:
        bundle: what to run.
        name: `onnxruntime` or `tensorrt`.
        precision: `fp32`, `fp16`, or `auto`: FP32 on ONNX Runtime, where FP16 is slower; the engine's own on TensorRT.

    Raises:
        InputError: the bundle has no such precision, or no engine for this GPU and TensorRT.
    """
    if name == "tensorrt":
        from runtime.tensorrt_scorer import TensorRTScorer

        return TensorRTScorer(bundle, None if precision == "auto" else cast(Precision, precision))
    chosen = cast(Precision, "fp32" if precision == "auto" else precision)
    return OnnxScorer(bundle.graph(chosen), chosen)
