"""Export the folded flow as ONNX. The precision is in the file: ONNX Runtime and TensorRT compute what the file says.

Graphs map `poses (B, 2, T, 18)` float32 to the outputs of `daflow.core.scoring.scorer`, B dynamic. They have opset 17,
because TensorRT 8.6 (JetPack 6.0) supports no later one and silently misreads the axes of an opset 18 reduction.
"""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx
import onnxslim
import torch
from onnx import helper, numpy_helper
from torch import nn

from daflow.model.skeleton_graph import JOINTS

OPSET = 17
_TRACED_OPSET = 18  # the lowest that torch writes
_SCOPES = "pkg.torch.onnx.name_scopes"


def export_onnx(
    scorer: nn.Module, window: int, path: Path, outputs: Sequence[str] = ("nll",),
    metadata: Mapping[str, str] | None = None,
) -> int:  # fmt: skip
    """Write a module that maps poses to scores as ONNX: simplified, with nodes named after its modules, and checked.

    Args:
        scorer: in evaluation mode; `export.folded_flow.FoldedScorer`.
        window: poses in a window.
        path: the file.
        outputs: the names of what it computes.
        metadata: what the file says about itself, see `export.graph_metadata`.

    Returns:
        The number of nodes.
    """
    model = trace(scorer, window, outputs)
    _name_after_modules(model.graph)
    model = onnxslim.slim(model)
    _lower_opset(model)
    helper.set_model_props(model, dict(metadata or {}))  # these replace whatever the tracer wrote
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return len(model.graph.node)


def trace(scorer: nn.Module, window: int, outputs: Sequence[str] = ("nll",)) -> onnx.ModelProto:
    """Return what `torch.onnx.export` makes of a module that maps poses to scores."""
    example = torch.zeros(2, 2, window, JOINTS)
    batch = torch.export.Dim("batch", min=1, max=65536)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")  # torch warns of its own deprecations while it traces
        program = torch.onnx.export(
            scorer.eval(), (example,), input_names=["poses"], output_names=[*outputs],
            opset_version=_TRACED_OPSET, dynamo=True, dynamic_shapes=({0: batch},),
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def _name_after_modules(graph: onnx.GraphProto) -> None:
    """Name nodes and tensors after the module that they come from, such as `steps.3.block.values.Gemm`.

    Calibration, the manifest and TensorRT's layer information use these names. The metadata of torch, which hold paths
    of this machine, are removed.
    """
    kept = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    renamed: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for node in graph.node:
        scopes = {p.key: p.value for p in node.metadata_props}.get(_SCOPES, "['', '']")
        node.name = f"{ast.literal_eval(scopes)[-2]}.{node.op_type}".lstrip(".")
        seen[node.name] += 1
        if seen[node.name] > 1:
            node.name += f".{seen[node.name]}"
        for position, name in enumerate(node.output):
            if name and name not in kept:
                renamed[name] = node.name + (f".{position}" if len(node.output) > 1 else "")
        del node.metadata_props[:]
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    del graph.value_info[:]
    del graph.metadata_props[:]


def _lower_opset(model: onnx.ModelProto) -> None:
    """Rewrite reductions and Split from opset 18 to opset 17; no other operator of these graphs differs."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) > 1:
            axes = numpy_helper.to_array(constants[node.input[1]])
            del node.input[1:]
            kept = [a for a in node.attribute if a.name != "noop_with_empty_axes"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("axes", axes.tolist())])
        if node.op_type == "Split":
            kept = [a for a in node.attribute if a.name != "num_outputs"]
            del node.attribute[:]
            node.attribute.extend(kept)
            if len(node.input) == 1:
                sizes = helper.make_tensor(
                    "one_of_each", onnx.TensorProto.INT64, [len(node.output)], [1] * len(node.output)
                )
                if sizes.name not in constants:
                    constants[sizes.name] = sizes
                    model.graph.initializer.append(sizes)
                node.input.append(sizes.name)
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = 8  # that of opset 17; older runtimes reject a later one


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
