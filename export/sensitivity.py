"""Which operations must not be INT8: those whose quantisation disturbs the ranking most stay in FP32."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from calibration.ranges import Ranges
from daflow.comparison import Comparison, Limits, Nll, WindowSets, compare_scores, judge
from daflow.errors import CheckFailed
from daflow.onnx_scorer import OnnxScorer
from daflow.progress import track
from export.int8 import operations, quantise

_MARGIN = 40
"""The pass aims at a fortieth of what the limits allow to be lost; ranks that agree to 0.999 can move an AUC by 1."""


def choose_int8(graph: Path, ranges: Ranges, sets: WindowSets, limits: Limits) -> list[str]:
    """Choose the operations to compute in INT8.

    Each operation is quantised alone and ranked by the error that it brings; then the fewest, worst first, are left
    in FP32 with which the ranking keeps to a fortieth of what the limits allow.

    Args:
        graph: the FP32 ONNX file.
        ranges: of the activations that go into its operations.
        sets: windows to measure on.
        limits: of INT8.

    Returns:
        Names of operations, in the order of the graph.

    Raises:
        CheckFailed: not one operation can be quantised.
    """
    names = list(operations(graph))
    with OnnxScorer(graph, threads=0) as scorer:
        reference = sets.score(scorer.score)

    def measure(chosen: Sequence[str]) -> tuple[Comparison, float]:
        scores = _score(quantise(graph, ranges, chosen), sets)
        expected, found = (np.concatenate(nll[:2]) for nll in (reference, scores))
        error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        return compare_scores(reference, scores), float(np.mean(np.nan_to_num(error, nan=np.inf)))

    aim = _tightened(limits)
    errors = {name: measure([name])[1] for name in track(names, "INT8 sensitivity", len(names))}
    worst_first = sorted(names, key=lambda name: -errors[name])
    for kept in range(len(names)):
        chosen = [name for name in names if name not in worst_first[:kept]]
        if not judge(measure(chosen)[0], aim).missed:
            return chosen
    raise CheckFailed("No operation of this model can be computed in INT8 without disturbing the ranking.")


def _tightened(limits: Limits) -> Limits:
    floors = {
        name: 1 - (1 - value) / _MARGIN
        for name in ("spearman", "tail_spearman", "alarm_agreement")
        if (value := getattr(limits, name)) is not None
    }
    return Limits(**floors)


def _score(model: onnx.ModelProto, sets: WindowSets) -> tuple[Nll, Nll, Nll]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidate.onnx"
        onnx.save(model, path)
        with OnnxScorer(path, threads=0) as scorer:
            return sets.score(scorer.score)
