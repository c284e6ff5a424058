"""Write a small TFLite file with the builders of the `tflite` package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.float16): tflite.TensorType.FLOAT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
}


@dataclass
class TinyTflite:
    """Collects tensors and operators; a tensor is named by its number."""

    tensors: list[tuple[tuple[int, ...], int, np.ndarray | None]] = field(default_factory=list)
    operators: list[tuple[int, list[int], list[int], int, Callable[[Any], int] | None]] = field(
        default_factory=list
    )

    def tensor(self, *shape: int) -> int:
        self.tensors.append((shape, tflite.TensorType.FLOAT32, None))
        return len(self.tensors) - 1

    def constant(self, value: np.ndarray) -> int:
        self.tensors.append((value.shape, TYPES[value.dtype], value))
        return len(self.tensors) - 1

    def operator(
        self, kind: str, inputs: Sequence[int], shape: Sequence[int], options: str | None = None, **values: Any
    ) -> int:  # fmt: skip
        """Add an operator with options such as `Conv2DOptions`, and return its output."""
        output = self.tensor(*shape)

        def write(builder: Any) -> int:
            getattr(tflite, f"{options}Start")(builder)
            for name, value in values.items():
                getattr(tflite, f"{options}Add{name}")(builder, value)
            end: int = getattr(tflite, f"{options}End")(builder)
            return end

        number = getattr(tflite.BuiltinOperator, kind)
        table = getattr(tflite.BuiltinOptions, options) if options else 0
        self.operators.append((number, list(inputs), [output], table, write if options else None))
        return output

    def bytes(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file."""
        b = flatbuffers.Builder(1024)
        buffers = [self._buffer(b, None)]
        tensors = []
        for number, (shape, kind, value) in enumerate(self.tensors):
            place = 0
            if value is not None:
                place = len(buffers)
                buffers.append(self._buffer(b, value))
            name, sizes = b.CreateString(f"t{number}"), self._numbers(b, shape)
            tflite.TensorStart(b)
            tflite.TensorAddShape(b, sizes)
            tflite.TensorAddType(b, kind)
            tflite.TensorAddBuffer(b, place)
            tflite.TensorAddName(b, name)
            tensors.append(tflite.TensorEnd(b))
        kinds = sorted({number for number, *_ in self.operators})
        codes = []
        for kind in kinds:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(kind, 127))
            tflite.OperatorCodeAddBuiltinCode(b, kind)
            tflite.OperatorCodeAddVersion(b, 1)
            codes.append(tflite.OperatorCodeEnd(b))
        operators = []
        for kind, ins, outs, table, write in self.operators:
            options = write(b) if write else None
            sources, results = self._numbers(b, ins), self._numbers(b, outs)
            tflite.OperatorStart(b)
            tflite.OperatorAddOpcodeIndex(b, kinds.index(kind))
            tflite.OperatorAddInputs(b, sources)
            tflite.OperatorAddOutputs(b, results)
            if options is not None:
                tflite.OperatorAddBuiltinOptionsType(b, table)
                tflite.OperatorAddBuiltinOptions(b, options)
            operators.append(tflite.OperatorEnd(b))
        parts = [self._offsets(b, v) for v in (tensors, operators)]
        ends = [self._numbers(b, v) for v in (inputs, outputs)]
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, parts[0])
        tflite.SubGraphAddOperators(b, parts[1])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        graphs = self._offsets(b, [tflite.SubGraphEnd(b)])
        all_codes, all_buffers = self._offsets(b, codes), self._offsets(b, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, all_codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, all_buffers)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

    @staticmethod
    def _buffer(b: Any, value: np.ndarray | None) -> int:
        data = None if value is None else b.CreateByteVector(np.ascontiguousarray(value).tobytes())
        tflite.BufferStart(b)
        if data is not None:
            tflite.BufferAddData(b, data)
        end: int = tflite.BufferEnd(b)
        return end

    @staticmethod
    def _numbers(b: Any, values: Sequence[int]) -> int:
        end: int = b.CreateNumpyVector(np.array(values, np.int32))
        return end

    @staticmethod
    def _offsets(b: Any, values: Sequence[int]) -> int:
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependUOffsetTRelative(value)
        end: int = b.EndVector()
        return end
