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
    """Write the FP16 form of an FP32 graph: the flow in half precision, its likelihood in single, float32 at both ends.

    The likelihood sums 864 logarithms and squares of a window; strange poses, which are what we look for, carry such
    a sum out of FP16's range (65504), and its 11 bits would blur every score.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    source = onnx.load(fp32)
    with _quiet("onnxruntime.transformers.float16"):
        graph = convert_float_to_float16(source, keep_io_types=True, node_block_list=_likelihood(source))
    _drop_round_trips(graph)
    OnnxModel(graph).topological_sort()  # the converter appends its casts at the end
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)


def _likelihood(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes that turn z and the scales into the score: logarithms, squares, and all that follows."""
    producers = {output: node for node in model.graph.node for output in node.output}
    found: dict[str, None] = {}
    reached: set[str] = set()
    for node in model.graph.node:
        if node.op_type in ("Log", "Pow") or reached.intersection(node.input):
            found[node.name] = None
            reached.update(node.output)
        if node.op_type == "Pow":  # also the subtraction of the prior's mean, in front of the square
            found[producers[node.input[0]].name] = None
    return list(found)


def _drop_round_trips(model: onnx.ModelProto) -> None:
    """Connect FP32 nodes directly where the converter put a cast to FP16 and one back, which would lose the digits."""
    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    half = {
        output
        for output, node in casts.items()
        if any(a.name == "to" and a.i == onnx.TensorProto.FLOAT16 for a in node.attribute)
    }
    single = set(casts) - half
    direct = {
        output: casts[casts[output].input[0]].input[0]
        for output in single
        if casts[output].input[0] in half and casts[casts[output].input[0]].input[0] not in single
    }
    for output in [o.name for o in model.graph.output if o.name in direct]:
        model.graph.node.remove(casts[output])
        source = next(node for node in model.graph.node if direct[output] in node.output)
        source.output[0] = direct[output] = output
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = direct.get(name, name)
    while idle := _idle_casts(model.graph):  # a cast to FP16 is idle once the one back is gone
        for node in idle:
            model.graph.node.remove(node)


def _idle_casts(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    return [node for node in graph.node if node.op_type == "Cast" and node.output[0] not in used]


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
