from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.alarms.provisional import SUMMARY, HeldOutScores, provisional_alarm

SCORES = st.lists(st.floats(-100, 1e4, width=32), min_size=1, max_size=50)


@given(scores=SCORES, broken=st.lists(st.sampled_from([math.nan, math.inf, -math.inf])))
def test_any_scores_give_a_threshold_above_nearly_all_of_them(
    scores: list[float], broken: list[float]
) -> None:
    summary = HeldOutScores.of(np.array([*broken, *scores], dtype=np.float32), 1)
    assert summary is not None
    assert summary.windows == len(scores)
    alarm = provisional_alarm({SUMMARY: summary.model_dump()})
    assert alarm is not None
    assert alarm.provisional
    assert alarm.rule().provisional
    assert alarm.threshold >= np.quantile(np.array(scores, dtype=np.float32).astype(float), 0.999) - 1e-9
    assert not alarm.promised
    assert alarm.normal is None  # no p-value, and no drift


@pytest.mark.parametrize("scores", [[], [math.nan]])
def test_nothing_held_out_is_no_summary(scores: list[float]) -> None:
    assert HeldOutScores.of(np.array(scores, dtype=np.float32), 0) is None


@pytest.mark.parametrize(
    "summary",
    [
        None,
        "high",
        {},
        {"windows": 4, "people": 1, "median": 2, "q99": 1, "q999": 3, "highest": 4},
        {"windows": 4, "people": 1, "median": 1, "q99": 2, "q999": 3, "highest": math.inf},
    ],
)
def test_a_checkpoint_with_no_or_another_summary_has_no_threshold(summary: Any) -> None:
    assert provisional_alarm({SUMMARY: summary}) is None


def test_the_threshold_of_separate_recordings_is_their_highest_score() -> None:
    nll = np.linspace(1, 9, 2000, dtype=np.float32)
    same, separate = HeldOutScores.of(nll, 3), HeldOutScores.of(nll, 3, separate=True)
    assert same is not None
    assert separate is not None
    assert separate.threshold == 9
    assert same.threshold == pytest.approx(2 * same.q999 - 5)
