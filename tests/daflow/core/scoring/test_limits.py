"""Limits, and what misses them."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.scoring.comparison import compare_scores
from daflow.core.scoring.limits import Limits, check_limits


@pytest.mark.parametrize(("others", "missed"), [(0, False), (1, False), (2, True)])
def test_one_window_at_the_threshold_itself_decides_nothing(others: int, missed: bool) -> None:
    scores = np.linspace(0, 1, 2001, dtype=np.float32)
    found = scores.copy()
    found[len(found) - others :] = 0  # of the two above the threshold
    comparison = compare_scores((scores, scores[:1], scores[:1]), (found, scores[:1], scores[:1]))
    verdict = check_limits(comparison, Limits(alarm_agreement=0.9999))
    assert bool(verdict.missed) == missed, verdict.missed
