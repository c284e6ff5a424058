"""Read a TFLite network, such as those in a MediaPipe task, as an ONNX graph.

The file is untrusted: its tables point to each other by offsets. Whatever is wrong with it becomes one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import tflite

from daflow.core.errors import InputError
from export.pose.graph_writer import GraphWriter, Operand, Tensor, as_constant, as_tensor, explained

MAX_TABLES = 20_000  # tensors or operators
_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
}
_OPERATORS = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_PADDINGS = {tflite.Padding.SAME: "SAME", tflite.Padding.VALID: "VALID"}


def read_tflite(content: bytes, name: str) -> onnx.ModelProto:
    """Return the ONNX graph of a TFLite network: input `(B, 3, H, W)` float32, outputs as in the original.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        InputError: it is no TFLite network, it is damaged, or it has an operator that is not supported.
    """
    if content[4:8] != b"TFL3":
        raise InputError(f"{name} is not a TFLite network.")
    with explained(name):
        return _Reader(content).read()


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.model = tflite.Model.GetRootAs(content, 0)
        if self.model.SubgraphsLength() != 1:
            raise InputError(f"It has {self.model.SubgraphsLength()} graphs in place of one.")
        self.graph = self.model.Subgraphs(0)
        if max(self.graph.TensorsLength(), self.graph.OperatorsLength()) > MAX_TABLES:
            raise ValueError("it names more tensors or operators than any network has")
        self.writer = GraphWriter()
        self.values: dict[int, Operand] = {}

    def read(self) -> onnx.ModelProto:
        if self.graph.InputsLength() != 1:
            raise InputError(f"It has {self.graph.InputsLength()} inputs in place of one picture.")
        picture = self.graph.Inputs(0)
        self.values[picture] = self.writer.picture(
            self._name(picture), self.graph.Tensors(picture).ShapeAsNumpy()
        )
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            kind = _OPERATORS.get(number, str(number))
            convert = _CONVERTERS.get(kind)
            if convert is None:
                raise InputError(f"Its operator {kind} is not supported.")
            output = operator.Outputs(0)
            result = convert(self, operator, self._name(output))
            stated = tuple(self.graph.Tensors(output).ShapeAsNumpy())
            if result.shape != stated:
                raise ValueError(
                    f"{self._name(output)} has the shape {result.shape}, and the file says {stated}"
                )
            self.values[output] = result
        outputs = []
        for index in range(self.graph.OutputsLength()):
            number = self.graph.Outputs(index)
            outputs.append((f"output.{self._name(number)}", as_tensor(self.values[number])))
        return self.writer.model(outputs)

    def operands(self, operator: tflite.Operator) -> list[Operand]:
        """The inputs of an operator; a missing one at the end is left out."""
        return [self._value(n) for n in operator.InputsAsNumpy() if n != -1]

    def activated(self, name: str, function: int, make: Callable[[str], Tensor]) -> Tensor:
        """Write an operator and the activation that is fused with it."""
        kinds = tflite.ActivationFunctionType
        if function == kinds.NONE:
            return make(name)
        if function == kinds.RELU:
            return self.writer.activation("Relu", name, make(f"{name}.linear"))
        if function == kinds.RELU6:
            return self.writer.clip(name, make(f"{name}.linear"), 0, 6)
        raise InputError(f"Its fused activation number {function} is not supported.")

    def _name(self, number: int) -> str:
        return str(self.graph.Tensors(number).Name().decode()).split(";")[0]

    def _value(self, number: int) -> Operand:
        if number not in self.values:
            self.values[number] = self._constant(number)
        return self.values[number]

    def _constant(self, number: int) -> np.ndarray:
        tensor = self.graph.Tensors(number)
        dtype = _DTYPES.get(tensor.Type())
        if dtype is None or tensor.Sparsity() is not None:
            raise InputError(f"The type of its tensor {self._name(number)} is not supported.")
        content = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        value: np.ndarray = np.frombuffer(content.tobytes(), dtype).reshape(tensor.ShapeAsNumpy())
        return value


def _options(operator: tflite.Operator, kind: type) -> Any:
    options = kind()
    table = operator.BuiltinOptions()
    if table is None:
        raise ValueError("an operator without its options")
    options.Init(table.Bytes, table.Pos)
    return options


def _pad(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    tensor, pads = reader.operands(operator)
    return reader.writer.pad(name, as_tensor(tensor), as_constant(pads))


def _dequantize(reader: _Reader, operator: tflite.Operator, _name: str) -> Operand:
    (value,) = reader.operands(operator)
    return as_constant(value).astype(np.float32)


def _convolution(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.Conv2DOptions)
    tensor, weight, *bias = reader.operands(operator)
    return _convolved(
        reader, name, options, tensor, as_constant(weight).transpose(0, 3, 1, 2), bias, groups=1
    )


def _depthwise_convolution(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.DepthwiseConv2DOptions)
    tensor, weight, *bias = reader.operands(operator)
    groups = as_tensor(tensor).shape[3]
    return _convolved(reader, name, options, tensor, as_constant(weight).transpose(3, 0, 1, 2), bias, groups)


def _convolved(
    reader: _Reader, name: str, options: Any, tensor: Operand, weight: np.ndarray, bias: list[Operand], groups: int
) -> Tensor:  # fmt: skip
    return reader.activated(
        name,
        options.FusedActivationFunction(),
        lambda inner: reader.writer.convolution(
            inner, as_tensor(tensor), weight, as_constant(bias[0]) if bias else None,
            (options.StrideH(), options.StrideW()), _PADDINGS[options.Padding()],
            (options.DilationHFactor(), options.DilationWFactor()), groups,
        ),
    )  # fmt: skip


def _add(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.AddOptions)
    operands = reader.operands(operator)
    return reader.activated(
        name,
        options.FusedActivationFunction(),
        lambda inner: reader.writer.elementwise("Add", inner, *operands),
    )


def _resize(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.ResizeBilinearOptions)
    tensor, size = reader.operands(operator)
    return reader.writer.resize(
        name, as_tensor(tensor), as_constant(size).tolist(),
        half_pixel=options.HalfPixelCenters(), align_corners=options.AlignCorners(),
    )  # fmt: skip


def _max_pool(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.Pool2DOptions)
    (tensor,) = reader.operands(operator)
    return reader.activated(
        name,
        options.FusedActivationFunction(),
        lambda inner: reader.writer.max_pool(
            inner, as_tensor(tensor), (options.FilterHeight(), options.FilterWidth()),
            (options.StrideH(), options.StrideW()), _PADDINGS[options.Padding()],
        ),
    )  # fmt: skip


def _depth_to_space(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.DepthToSpaceOptions)
    (tensor,) = reader.operands(operator)
    return reader.writer.depth_to_space(name, as_tensor(tensor), options.BlockSize())


def _concatenation(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    options = _options(operator, tflite.ConcatenationOptions)
    tensors = [as_tensor(value) for value in reader.operands(operator)]
    return reader.activated(
        name,
        options.FusedActivationFunction(),
        lambda inner: reader.writer.concatenate(inner, tensors, options.Axis()),
    )


def _reshape(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    tensor, shape = reader.operands(operator)
    return reader.writer.reshape(name, as_tensor(tensor), as_constant(shape).tolist())


def _logistic(reader: _Reader, operator: tflite.Operator, name: str) -> Operand:
    (tensor,) = reader.operands(operator)
    return reader.writer.activation("Sigmoid", name, as_tensor(tensor))


_CONVERTERS: dict[str, Callable[[_Reader, tflite.Operator, str], Operand]] = {
    "PAD": _pad,
    "DEQUANTIZE": _dequantize,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "ADD": _add,
    "RESIZE_BILINEAR": _resize,
    "MAX_POOL_2D": _max_pool,
    "DEPTH_TO_SPACE": _depth_to_space,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "LOGISTIC": _logistic,
}
