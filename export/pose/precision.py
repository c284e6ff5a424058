"""The network of an FP16 graph: its own operations are FP16; what is put before and behind them stays in FP32."""

from __future__ import annotations

from dataclasses import replace

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.pose.assembly import Network


def half(network: Network) -> Network:
    """Return the network with its operations in FP16, between an input and outputs in FP32."""
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    return replace(network, model=convert_float_to_float16(model, keep_io_types=True, op_block_list=[]))
