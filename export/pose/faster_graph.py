"""Write a graph so that a processor computes it faster; every value of its outputs stays the same.

It helps ONNX Runtime, which copies a picture for a margin, and computes channels in blocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

BLOCK = 16
"""Channels that ONNX Runtime computes at once with AVX-512; a convolution of fewer inputs is several times as slow."""


def speed_up(model: onnx.ModelProto) -> None:
    """Change a graph in place; one with loops or branches stays as it is.

    Args:
        model: its constants are initializers.
    """
    graph = model.graph
    kinds = {attribute.type for node in graph.node for attribute in node.attribute}
    if kinds & {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}:
        return
    constants = {tensor.name: tensor for tensor in graph.initializer}
    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    for value in graph.output:
        users[value.name].append(value)
    for node in list(graph.node):
        after = users[node.output[0]]
        if node.op_type == "Pad" and len(after) == 1 and getattr(after[0], "op_type", "") == "MaxPool":
            _pool_with_margin(graph, node, after[0], constants)
        elif node.op_type == "Conv" and all(getattr(user, "op_type", "") == "Conv" for user in after):
            _fill_block(node, after, constants, users)
    del graph.value_info[:]  # the shapes of what was changed
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _pool_with_margin(
    graph: onnx.GraphProto, pad: onnx.NodeProto, pool: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> None:
    """Let the pooling itself add a margin of minus infinity, which is never the largest value."""
    if len(pad.input) != 3 or pad.input[1] not in constants or pad.input[2] not in constants:
        return
    others = {a.name: helper.get_attribute_value(a) for a in (*pad.attribute, *pool.attribute)}
    if (
        others.get("mode", b"constant") != b"constant"
        or others.get("auto_pad", b"NOTSET") != b"NOTSET"
        or others.get("ceil_mode", 0)
        or len(pool.output) != 1
    ):
        return
    margins = numpy_helper.to_array(constants[pad.input[1]]).tolist()
    lowest = numpy_helper.to_array(constants[pad.input[2]])
    own = next((list(a.ints) for a in pool.attribute if a.name == "pads"), [0, 0, 0, 0])
    of_picture = margins[2:4] + margins[6:8]
    kernel = next(list(a.ints) for a in pool.attribute if a.name == "kernel_shape")
    if (
        len(margins) != 8
        or margins[:2] + margins[4:6] != [0, 0, 0, 0]
        or not np.isneginf(lowest)
        or any(own)
        or min(of_picture) < 0
        or any(margin >= size for margin, size in zip(of_picture, kernel * 2, strict=True))
    ):
        return
    kept = [a for a in pool.attribute if a.name != "pads"]
    del pool.attribute[:]
    pool.attribute.extend([*kept, helper.make_attribute("pads", of_picture)])
    pool.input[0] = pad.input[0]
    graph.node.remove(pad)


def _fill_block(
    node: onnx.NodeProto,
    after: Sequence[onnx.NodeProto],
    constants: dict[str, onnx.TensorProto],
    users: dict[str, list[onnx.NodeProto]],
) -> None:
    """Give a convolution of few channels empty ones up to a block, which the convolutions after it ignore."""
    tensors = [name for one in (node, *after) for name in one.input[1:]]
    groups = [a.i for one in (node, *after) for a in one.attribute if a.name == "group"]
    if any(name not in constants or len(users[name]) > 1 for name in tensors) or set(groups) - {1}:
        return
    few = constants[node.input[1]].dims[0]
    if not after or few >= BLOCK:
        return
    for name in node.input[1:]:
        _pad(constants[name], 0, BLOCK - few)
    for one in after:
        _pad(constants[one.input[1]], 1, BLOCK - few)


def _pad(tensor: onnx.TensorProto, axis: int, count: int) -> None:
    value = numpy_helper.to_array(tensor)
    zeros = np.zeros((*value.shape[:axis], count, *value.shape[axis + 1 :]), value.dtype)
    tensor.CopyFrom(numpy_helper.from_array(np.concatenate([value, zeros], axis=axis), tensor.name))
