"""Scoring through an exported graph with ONNX Runtime, on any processor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daflow.core.bundle import Bundle
from daflow.core.data.windows import Poses
from daflow.core.engines.onnxruntime import OnnxRunner
from daflow.core.errors import InputError
from daflow.core.evidence import FLOW, Channel, Scored
from daflow.core.files import StrPath
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.scorer import is_scorer, output_names, scored


class OnnxScorer:
    """Runs the graph of a scorer on the CPU.

    Args:
        path: the ONNX file.
        precision: the precision of the graph, for `name`.
        threads: threads within an operator; one is fastest for the few windows of a camera. 0 takes OMP_NUM_THREADS,
            which torch uses too, else one for each core.
        window: T, that a bundle's manifest says; None takes what the graph has.
        channels: of evidence, that a bundle's manifest says; None takes what the graph has.

    Raises:
        InputError: onnxruntime is missing, or the file is not a scorer graph, or one of other windows.
    """

    def __init__(
        self, path: StrPath, precision: str = "fp32", threads: int = 1, window: int | None = None,
        channels: tuple[Channel, ...] | None = None,
    ) -> None:  # fmt: skip
        self._runner = OnnxRunner(path, precision, threads)
        self.name, row = self._runner.name, self._runner.row
        if self._runner.input != "poses" or not is_scorer(self._runner, channels):
            self._runner.close()
            wanted = " and ".join(repr(name) for name in output_names(channels or FLOW))
            raise InputError(f"{path} is not a scorer graph: it must map 'poses' to {wanted}.")
        if window not in (None, row[1]):
            self._runner.close()
            raise InputError(
                f"{path} takes windows of {row[1]} poses, but the manifest says {window}. Export the bundle again."
            )
        self.window = row[1]

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the scores of windows `(B, 2, T, 18)` float32, `(B,)` float32."""
        return self.judge(poses).score

    def judge(self, poses: Poses) -> Scored:
        """Score windows `(B, 2, T, 18)` float32."""
        return scored(self._runner.run(poses))

    def __enter__(self) -> OnnxScorer:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()


def open_graph(bundle: Bundle, precision: Precision = "fp32", threads: int = 0) -> OnnxScorer:
    """Open the graph of a bundle, and check that it is what the manifest says.

    Raises:
        InputError: as `OnnxScorer`, or the bundle has no such precision.
    """
    manifest = bundle.manifest
    return OnnxScorer(bundle.graph(precision), precision, threads, manifest.window, manifest.channels)
