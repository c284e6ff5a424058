"""Find the operations that must not be INT8: those whose quantisation disturbs the ranking most stay in FP32."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from calibration.int8_ranges import Ranges
from daflow.core.errors import CheckFailed
from daflow.core.progress import track
from daflow.core.scoring.comparison import Comparison, Nll, WindowSets, compare_scores
from daflow.core.scoring.limits import Limits, check_limits
from daflow.core.scoring.onnx import OnnxScorer
from export.int8_graph import operations, quantise

MARGINS = (40, 160, 640)
"""How many times tighter than the limits the choice is, because ranks that agree to 0.999 can still move an AUC by 1.
The first margin is enough for most models. When the finished graph misses a limit, the next one is tried."""


class Sensitivity:
    """Orders the operations by the error that they bring in INT8, found by quantising each alone.

    Args:
        graph: the FP32 ONNX file.
        ranges: of the activations that go into its operations.
        sets: windows to measure on.
    """

    def __init__(self, graph: Path, ranges: Ranges, sets: WindowSets) -> None:
        self._graph, self._ranges, self._sets = graph, ranges, sets
        self._names = list(operations(graph))
        with OnnxScorer(graph, threads=0) as scorer:
            self._reference = sets.score(scorer.score)
        names = track(self._names, "INT8 sensitivity", len(self._names))
        errors = {name: self._measure([name])[1] for name in names}
        self._worst_first = sorted(self._names, key=lambda name: -errors[name])

    def choose(self, limits: Limits, margin: int = MARGINS[0]) -> list[str]:
        """Choose the operations to compute in INT8.

        The worst operations stay in FP32, as few as are needed for the ranking to keep the tightened limits.

        Args:
            limits: of INT8.
            margin: how many times tighter the limits are, see `MARGINS`.

        Returns:
            Names of operations, in the order of the graph.

        Raises:
            CheckFailed: no operation can be quantised within the limits.
        """
        tightened = _tighten(limits, margin)
        for kept in range(len(self._names)):
            chosen = [name for name in self._names if name not in self._worst_first[:kept]]
            if not check_limits(self._measure(chosen)[0], tightened).missed:
                return chosen
        raise CheckFailed(
            "No operation of this model can be computed in INT8 within the limits. Export without --int8, or set other "
            "limits with --limit."
        )

    def _measure(self, chosen: Sequence[str]) -> tuple[Comparison, float]:
        scores = _score(quantise(self._graph, self._ranges, chosen), self._sets)
        expected, found = (np.concatenate(nll[:2]) for nll in (self._reference, scores))
        error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        return compare_scores(self._reference, scores), float(np.mean(np.nan_to_num(error, nan=np.inf)))


def _tighten(limits: Limits, margin: int) -> Limits:
    minima = {
        name: 1 - (1 - value) / margin
        for name in ("spearman", "tail_spearman", "alarm_agreement")
        if (value := getattr(limits, name)) is not None
    }
    return Limits(**minima)


def _score(model: onnx.ModelProto, sets: WindowSets) -> tuple[Nll, Nll, Nll]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidate.onnx"
        onnx.save(model, path)
        with OnnxScorer(path, threads=0) as scorer:
            return sets.score(scorer.score)
