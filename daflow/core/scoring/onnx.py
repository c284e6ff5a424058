"""Scoring through an exported graph with ONNX Runtime, on any processor."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.windows import Poses
from daflow.core.errors import InputError, unusable_package
from daflow.core.files import StrPath
from daflow.core.scoring.graph_file import read_graph

_MAX_BATCH = 256  # windows that fit the caches of a small processor


class OnnxScorer:
    """Runs `poses (B, 2, T, 18) -> nll (B,)` on the CPU.

    Args:
        path: the ONNX file.
        precision: the precision of the graph, for `name`.
        threads: threads within an operator; one is fastest for the few windows of a camera. 0 takes OMP_NUM_THREADS,
            which torch uses too, else one for each core.

    Raises:
        InputError: onnxruntime is missing, or the file is not a scorer graph.
    """

    def __init__(self, path: StrPath, precision: str = "fp32", threads: int = 1) -> None:
        path = Path(path)
        try:
            import onnxruntime
        except ImportError as error:
            raise unusable_package(error, "onnxruntime", "edge") from None
        graph = read_graph(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _threads_of_environment()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.load_model_format", "ONNX")  # what `read_graph` has checked
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            outputs = [output.name for output in self._session.get_outputs()]
            (poses,) = self._session.get_inputs()
            self.window = int(poses.shape[2])
        except Exception as error:  # noqa: BLE001  onnxruntime raises a class of its own for each kind of damage
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(f"{path} is not a scorer graph that ONNX Runtime can load: {reason}") from None
        if poses.name != "poses" or outputs != ["nll"]:
            raise InputError(f"{path} is not a scorer graph: it must map 'poses' to 'nll'.")
        self.name = f"onnxruntime {precision}"

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the nll of windows `(B, 2, T, 18)` float32, `(B,)` float32."""
        if 0 < len(poses) <= _MAX_BATCH:
            nll: npt.NDArray[np.float32] = self._session.run(["nll"], {"poses": poses})[0]
            return nll
        parts = [
            self._session.run(["nll"], {"poses": poses[first : first + _MAX_BATCH]})[0]
            for first in range(0, len(poses), _MAX_BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def __enter__(self) -> OnnxScorer:
        return self

    def __exit__(self, *_: object) -> None:
        del self._session


def _threads_of_environment() -> int:
    """The number in OMP_NUM_THREADS, else 0, with which ONNX Runtime takes one thread for each core."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isascii() and wanted.isdigit() else 0
