"""The scorers of the edge by name."""

from __future__ import annotations

import logging
from typing import cast

from daflow.core.bundle import Bundle
from daflow.core.scoring.comparison import PRECISIONS as GRAPH_PRECISIONS
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.onnx import open_graph
from daflow.core.scoring.scorer import Scorer

logger = logging.getLogger(__name__)

SCORERS = ("onnxruntime", "tensorrt")
PRECISIONS = ("auto", *GRAPH_PRECISIONS)


def open_scorer(bundle: Bundle, name: str, precision: str = "auto") -> Scorer:
    """Open a scorer of a bundle; log a warning when its graph misses a verification limit.

    Args:
        bundle: whose model to run.
        name: `onnxruntime` or `tensorrt`.
        precision: `fp32`, `fp16`, `int8`, or `auto`: FP32 on ONNX Runtime, where it is fastest, and FP16 on TensorRT
            where the bundle has it.

    Raises:
        InputError: the bundle has no such precision, there is no GPU or TensorRT, or TensorRT reports an error.
        CheckFailed: a new engine does not rank windows as the FP32 graph does.
    """
    wanted = None if precision == "auto" else cast(Precision, precision)
    if wanted is not None and (missed := bundle.missed_limits(wanted)):
        logger.warning("the %s graph of %s misses its limits: %s", wanted, bundle.folder, "; ".join(missed))
    if name == "tensorrt":
        from runtime.scorers.tensorrt import open_tensorrt

        return open_tensorrt(bundle, wanted)
    chosen: Precision = wanted or "fp32"
    return open_graph(bundle, chosen, threads=1)
