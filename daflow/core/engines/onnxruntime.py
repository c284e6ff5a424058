"""Run an exported graph with ONNX Runtime, on any processor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError, unusable_package
from daflow.core.files import StrPath
from daflow.core.scoring.graph_file import read_graph


class OnnxRunner:
    """Runs a graph with one input, whose first axis is the batch.

    Args:
        path: the ONNX file.
        precision: the precision of the graph, for `name`.
        threads: threads within an operator; 0 takes OMP_NUM_THREADS, which torch uses too, else one for each core.
        max_batch: rows in a call at most; more are split, so that they fit the caches of a small processor.
        row: the shape of the input without its batch axis, where the graph leaves it free.

    Raises:
        InputError: onnxruntime is missing, or the file is not a graph with one input that it can load.
    """

    def __init__(
        self, path: StrPath, precision: str = "fp32", threads: int = 1, max_batch: int = 256,
        row: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        path = Path(path)
        try:
            import onnxruntime
        except ImportError as error:
            raise unusable_package(error, "onnxruntime", "edge") from None
        graph = read_graph(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or threads_of_environment()
        options.inter_op_num_threads = 1
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # idle threads leave the cores to others
        options.log_severity_level = 3
        options.add_session_config_entry("session.load_model_format", "ONNX")  # what `read_graph` has checked
        try:
            self._session: Any = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            (graph_input,) = self._session.get_inputs()
            self.input: str = graph_input.name
            declared = graph_input.shape[1:]
            self.row = tuple(
                int(size if isinstance(size, int) else wanted)
                for size, wanted in zip(declared, row or declared, strict=True)
            )
            self.outputs: list[str] = [output.name for output in self._session.get_outputs()]
        except Exception as error:  # noqa: BLE001  onnxruntime raises a class of its own for each kind of damage
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"{path} is not a graph with one input that ONNX Runtime can load: {reason}"
            ) from None
        self.name = f"onnxruntime {precision}"
        self._max_batch = max_batch

    def run(self, batch: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Return the outputs by name, `(B, ...)` each, of an input `(B, *row)`; B may be 0 and may change."""
        if not len(batch):  # which not every operator accepts
            one = self._run(np.zeros((1, *self.row), batch.dtype))
            return {name: rows[:0] for name, rows in one.items()}
        if len(batch) <= self._max_batch:
            return self._run(batch)
        parts = [
            self._run(batch[first : first + self._max_batch])
            for first in range(0, len(batch), self._max_batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}

    def close(self) -> None:
        """Release the graph."""
        self._session = None

    def _run(self, batch: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        return dict(zip(self.outputs, self._session.run(self.outputs, {self.input: batch}), strict=True))


def threads_of_environment() -> int:
    """Return the number in OMP_NUM_THREADS, else 0, with which ONNX Runtime takes one thread for each core."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isascii() and wanted.isdigit() else 0
