"""One comparison for every pair, on scores that were made up to show what it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from daflow.core.data.windows import Poses
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import (
    Nll,
    WindowSets,
    _spearman,
    compare_scores,
    extreme_windows,
)
from daflow.core.scoring.limits import LIMITS, Limits, check_limits, parse_limits

Scores = tuple[Nll, Nll, Nll]


def sets(rng: np.random.Generator, count: int = 1000) -> Scores:
    """Scores of recorded, perturbed and extreme windows."""
    recorded, perturbed = rng.normal(2, 1, count), rng.normal(8, 3, count)
    return (
        recorded.astype(np.float32),
        perturbed.astype(np.float32),
        rng.normal(500, 10, 50).astype(np.float32),
    )


def changed(scores: Scores, part: int, change: Any) -> Scores:
    copies = [nll.copy() for nll in scores]
    change(copies[part])
    return copies[0], copies[1], copies[2]


def test_the_same_scores_agree_in_everything(rng: np.random.Generator) -> None:
    scores = sets(rng)
    same = compare_scores(scores, scores)
    assert same.windows == 2050
    assert (same.median_abs, same.max_abs, same.max_error, same.non_finite) == (0, 0, 0, 0)
    assert (same.spearman, same.tail_spearman, same.alarm_agreement) == (
        pytest.approx(1),
        pytest.approx(1),
        1,
    )
    highest = np.sort(scores[0])[-2:]
    assert highest[0] < same.alarm_threshold < highest[1]
    for limits in LIMITS.values():
        assert check_limits(same, limits).missed == ()


def test_a_shift_keeps_the_ranks_but_not_the_scores(rng: np.random.Generator) -> None:
    scores = sets(rng)
    shifted = compare_scores(scores, tuple(nll + np.float32(0.5) for nll in scores))  # type: ignore[arg-type]
    assert shifted.spearman == pytest.approx(1)
    assert shifted.median_abs == pytest.approx(0.5, rel=1e-3)
    assert shifted.p99_abs == pytest.approx(0.5, rel=1e-3)
    assert any("max_error" in phrase for phrase in check_limits(shifted, LIMITS["fp32"]).missed)
    assert check_limits(shifted, LIMITS["fp16"].model_copy(update={"alarm_agreement": None})).missed == ()


def test_a_ruined_tail_is_seen_although_the_rest_ranks_well(rng: np.random.Generator) -> None:
    scores = sets(rng)
    top = np.quantile(np.concatenate(scores[:2]), 0.9).astype(np.float32)
    found = compare_scores(scores, tuple(np.minimum(nll, top) for nll in scores))  # type: ignore[arg-type]
    assert found.spearman > 0.99
    assert found.tail_spearman < 0.5


def test_recorded_windows_are_ranked_by_themselves_too(rng: np.random.Generator) -> None:
    # Among the far higher perturbed scores, a shuffle of the recorded ones would hardly show.
    recorded, perturbed, extreme = sets(rng)
    perturbed = perturbed + np.float32(100)
    found = compare_scores((recorded, perturbed, extreme), (rng.permutation(recorded), perturbed, extreme))
    assert abs(found.spearman) < 0.2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_scores_that_are_no_numbers_are_counted_wherever_they_are(
    rng: np.random.Generator, value: float, part: int
) -> None:
    scores = sets(rng)

    def spoil(nll: Nll) -> None:
        nll[:3] = value

    found = compare_scores(scores, changed(scores, part, spoil))
    assert found.non_finite == 3
    assert check_limits(found, Limits()).missed == ("3 scores are NaN or infinite",)


def test_nan_never_passes_for_normal(rng: np.random.Generator) -> None:
    scores = sets(rng)

    def spoil(nll: Nll) -> None:
        nll[:] = np.nan

    assert compare_scores(scores, changed(scores, 2, spoil)).alarm_agreement == 1  # an alarm, as it should be
    assert compare_scores(scores, changed(scores, 0, spoil)).alarm_agreement < 0.6


def test_what_the_reference_cannot_score_either_is_not_held_against_the_candidate(
    rng: np.random.Generator,
) -> None:
    def spoil(nll: Nll) -> None:
        nll[:5] = np.nan

    scores = changed(sets(rng), 1, spoil)
    found = compare_scores(scores, scores)
    assert found.non_finite == 0
    assert found.spearman == pytest.approx(1)


def test_alarms_are_compared_at_the_calibrated_threshold(rng: np.random.Generator) -> None:
    scores = sets(rng)
    lower = tuple(nll - np.float32(0.2) for nll in scores)
    found = compare_scores(scores, lower, threshold=2.0)  # type: ignore[arg-type]
    flipped = sum(int(((nll >= 2) & (nll - np.float32(0.2) < 2)).sum()) for nll in scores)
    assert found.alarm_threshold == 2.0
    assert found.alarm_agreement == pytest.approx(1 - flipped / found.windows)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_windows_is_enough(rng: np.random.Generator, count: int) -> None:
    scores = sets(rng, count)
    assert compare_scores(scores, scores).spearman == pytest.approx(1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=60))
def test_the_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).T
    if np.ptp(a) and np.ptp(b):
        assert _spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)
    else:
        assert _spearman(a, b) in (0.0, 1.0)


@pytest.mark.parametrize(
    ("limits", "phrase"),
    [
        (Limits(spearman=0.9999), "spearman is 0.9"),
        (Limits(tail_spearman=0.9999), "tail_spearman is 0."),
        (Limits(alarm_agreement=1.0), "alarm_agreement is 0.9"),
        (Limits(max_error=1e-9), "max_error is "),
        (Limits(auc_delta=0.1), "auc_delta is 0.3, at most 0.1 is allowed"),
    ],
)
def test_each_limit_is_missed_by_itself(rng: np.random.Generator, limits: Limits, phrase: str) -> None:
    scores = sets(rng)
    noisy = tuple(nll + rng.normal(0, 0.2, len(nll)).astype(np.float32) for nll in scores)
    compared = compare_scores(scores, noisy).model_copy(update={"auc": 80.0, "auc_delta": -0.3})  # type: ignore[arg-type]
    (missed,) = check_limits(compared, limits).missed
    assert missed.startswith(phrase)
    assert check_limits(compared, Limits()).missed == ()


def test_the_limits_are_those_that_are_promised() -> None:
    fp16, int8 = LIMITS["fp16"], LIMITS["int8"]
    assert (fp16.spearman, fp16.tail_spearman, fp16.auc_delta) == (0.9995, 0.999, 0.05)
    assert (int8.spearman, int8.tail_spearman, int8.auc_delta) == (0.99, 0.97, 0.5)


@pytest.mark.parametrize("name", ["fp8.spearman", "spearman", "fp16.", "fp16.speed", ""])
def test_a_limit_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(InputError, match=r"is not a limit\. Use PRECISION\.NAME=VALUE"):
        parse_limits({name: 1.0})


def test_setting_a_limit_leaves_the_others() -> None:
    limits = parse_limits({"fp16.spearman": 0.5})
    assert limits["fp16"] == LIMITS["fp16"].model_copy(update={"spearman": 0.5})
    assert limits["int8"] == LIMITS["int8"]
    assert LIMITS["fp16"].spearman == 0.9995


@pytest.fixture
def poses(rng: np.random.Generator) -> Poses:
    return rng.standard_normal((400, 2, 24, 18)).astype(np.float32)


def test_the_sets_are_the_same_every_time_and_leave_the_windows_alone(poses: Poses) -> None:
    before = poses.copy()
    one, two = WindowSets.of(poses), WindowSets.of(poses)
    assert np.array_equal(one.perturbed, two.perturbed)
    assert np.array_equal(one.extreme, two.extreme)
    assert np.array_equal(poses, before)
    assert len(one.perturbed) == len(poses)
    scores = one.score(lambda p: p.std(axis=(1, 2, 3)))
    same = compare_scores(scores, scores)
    assert same.max_error == 0


def test_extreme_windows_go_where_normalising_lets_them(poses: Poses) -> None:
    extreme = extreme_windows(poses)
    assert extreme.dtype == np.float32
    assert np.isfinite(extreme).all()
    assert np.abs(extreme[:, 0]).max() > 500
    assert np.abs(extreme[:, 1]).max() == 20
    assert len(extreme_windows(poses[:1])) == 2
