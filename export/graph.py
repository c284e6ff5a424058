"""From the PyTorch module to ONNX: the FP32 graph, and the FP16 one derived from it.

The precision lives in the file: TensorRT builds what the graph says (strong typing), and every runtime runs the same
numbers. Both graphs map `poses (B, 2, T, 18)` float32 to `nll (B,)` float32.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnxslim
import torch
from torch import Tensor, nn

from daflow.model import DAFlow

OPSET = 18
_KEPT_IN_FP32 = ["ReduceSum", "ReduceMean", "Log", "Pow"]
"""Sums over a window's 864 values leave FP16's range (65504) as soon as a pose is strange: just what we look for."""


class _Score(nn.Module):
    def __init__(self, model: DAFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, poses: Tensor) -> Tensor:
        return self.model.nll(poses)


def export_fp32(model: DAFlow, path: Path) -> None:
    """Write the scorer of a model in evaluation mode as ONNX, with a dynamic batch, simplified and checked."""
    example = torch.zeros(2, 2, model.config.window, 18)
    batch = torch.export.Dim("batch", min=1, max=65536)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")  # torch warns of its own deprecations while it traces
        program = torch.onnx.export(
            _Score(model).eval(), (example,), input_names=["poses"], output_names=["nll"],
            opset_version=OPSET, dynamo=True, dynamic_shapes={"poses": {0: batch}},
        )  # fmt: skip
        assert program is not None
        graph = onnxslim.slim(program.model_proto)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def derive_fp16(fp32: Path, path: Path) -> None:
    """Write the FP16 form of an FP32 graph: casts inside, float32 at both ends, sums and logarithms in float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with _quiet("onnxruntime.transformers.float16"):
        graph = convert_float_to_float16(onnx.load(fp32), keep_io_types=True, op_block_list=_KEPT_IN_FP32)
    OnnxModel(graph).topological_sort()  # the converter appends its casts at the end
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
