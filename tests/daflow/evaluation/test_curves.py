"""Curves of frame scores are those of scikit-learn, which the project itself does not need."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from daflow.evaluation.curves import Curve


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("frames", [2, 3, 50, 3000])
def test_they_are_those_of_scikit_learn(frames: int, ties: bool, rng: np.random.Generator) -> None:
    labels = np.resize([0, 1], frames)
    scores = rng.normal(size=frames) + 0.4 * labels
    if ties:
        scores = scores.round(1)
    curve = Curve.of(scores, labels)
    for ours, theirs in zip(curve.roc(), roc_curve(labels, scores), strict=True):
        assert np.array_equal(ours, theirs)
    for ours, theirs in zip(
        curve.precision_recall(), precision_recall_curve(labels, scores)[:2], strict=True
    ):
        assert np.array_equal(ours, theirs)
    assert curve.auc() == pytest.approx(roc_auc_score(labels, scores), rel=1e-13)
    assert curve.average_precision() == pytest.approx(average_precision_score(labels, scores), rel=1e-13)


def test_a_hand_drawn_curve() -> None:
    curve = Curve.of(np.array([0.9, 0.7, 0.7, 0.1]), np.array([1, 0, 1, 0]))
    assert curve.thresholds.tolist() == [0.9, 0.7, 0.1]
    assert curve.hits.tolist() == [1, 2, 2]
    assert curve.false_alarms.tolist() == [0, 1, 2]
    assert curve.auc() == 0.875  # the pair of equal scores counts half
    assert curve.equal_error_rate() == 0.25  # on the line from (0, 1/2) to (1/2, 1)


def test_equal_scores_say_nothing() -> None:
    curve = Curve.of(np.zeros(6), np.array([0, 1, 0, 0, 1, 1]))
    assert (curve.auc(), curve.average_precision(), curve.equal_error_rate()) == (0.5, 0.5, 0.5)
