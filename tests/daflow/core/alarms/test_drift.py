from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.drift import DriftWatch
from daflow.core.alarms.p_value import normal_scores
from daflow.core.errors import InputError

DAY = 2880
"""Moments at which p-values are taken in a day."""


@pytest.fixture(scope="module")
def alarm() -> AlarmCalibration:
    sample = np.random.default_rng(1).normal(size=800)
    return AlarmCalibration(
        threshold=5, windows=800, hours=10, precision="fp32", normal=normal_scores(sample)
    )


def people(rng: np.random.Generator, moments: int, stay: int = 20) -> npt.NDArray[np.float64]:
    """Scores `(moments, 2)` of two people, each of whom stays for a time and has a way of moving."""
    own = rng.normal(size=(moments // stay + 1, 2)).repeat(stay, axis=0)[:moments]
    return np.sqrt(0.5) * own + np.sqrt(0.5) * rng.normal(size=(moments, 2))


def watch_over(watch: DriftWatch, scores: npt.NDArray[np.float64], first: float = 0.0) -> float | None:
    """Return after how many hours it drifts."""
    for moment, (one, two) in enumerate(scores.tolist()):
        watch.update(first + 30 * moment, {1: one, 2: two})
        if watch.verdict.state == "drifting":
            return moment / 120
    return None


def test_a_quarter_of_a_year_of_normal_gives_no_verdict(
    alarm: AlarmCalibration, rng: np.random.Generator
) -> None:
    watch = DriftWatch(alarm)
    assert watch_over(watch, people(rng, 90 * DAY)) is None
    assert watch.verdict.state == "fits"
    assert watch.verdict.p > 0.01


@pytest.mark.parametrize(("shift", "word", "hours"), [(1, "higher", 24), (-1, "lower", 24), (3, "higher", 8)])
def test_a_shift_is_reported_within_hours(
    alarm: AlarmCalibration, rng: np.random.Generator, shift: float, word: str, hours: float
) -> None:
    watch = DriftWatch(alarm)
    assert watch_over(watch, people(rng, 7 * DAY)) is None
    after = watch_over(watch, people(rng, 7 * DAY) + shift, 7 * 86400)
    assert after is not None
    assert 1 < after < hours
    assert f"have become {word}" in watch.verdict.message
    assert watch.verdict.since == pytest.approx(7 * 86400 + 3600 * after, abs=30)
    assert watch.verdict.p < 0.01


def test_a_verdict_stays_while_it_drifts_and_is_taken_back_when_normal_returns(
    alarm: AlarmCalibration, rng: np.random.Generator
) -> None:
    watch = DriftWatch(alarm)
    for moment, (one, two) in enumerate((people(rng, 6 * DAY) + 2).tolist()):
        watch.update(30 * moment, {1: one, 2: two})
        assert watch.verdict.state == "drifting" or moment < DAY
    for moment, (one, two) in enumerate(people(rng, 4 * DAY).tolist()):
        watch.update(6 * 86400 + 30 * moment, {1: one, 2: two})
    assert watch.verdict.state == "fits"


def test_it_learns_for_an_hour_of_people(alarm: AlarmCalibration, rng: np.random.Generator) -> None:
    watch = DriftWatch(alarm)
    watch_over(watch, people(rng, 100))
    assert watch.verdict.state == "learning"
    assert "of the first 60 minutes" in watch.verdict.message
    watch_over(watch, people(rng, 60), 3000)
    assert watch.verdict.state == "fits"


def test_nobody_and_frames_in_between_say_nothing(alarm: AlarmCalibration) -> None:
    watch = DriftWatch(alarm)
    for moment in range(100_000):
        watch.update(moment / 10, {} if moment % 300 < 250 else {1: 99.0})
    assert watch.verdict.bets <= 17
    empty = DriftWatch(alarm)
    for moment in range(1000):
        empty.update(30 * moment, {})
    assert (empty.verdict.bets, empty.verdict.mean_p) == (0, None)


def test_without_normal_scores_it_learns_for_ever(rng: np.random.Generator) -> None:
    watch = DriftWatch(AlarmCalibration(threshold=5, windows=1, precision="fp32"))
    watch_over(watch, people(rng, DAY) + 9)
    assert watch.verdict.state == "learning"


def test_a_restart_forgets_nothing(alarm: AlarmCalibration, rng: np.random.Generator) -> None:
    scores = people(rng, 2 * DAY) + 0.8
    straight, restarted = DriftWatch(alarm), DriftWatch(alarm)
    for block in range(0, 2 * DAY, 20):
        for watch in (straight, restarted):
            watch_over(watch, scores[block : block + 20], 30.0 * block)
            watch.update(30.0 * (block + 20), {1: 0.0})
        restarted = DriftWatch(alarm, json.loads(json.dumps(restarted.state())))
        straight.update(30.0 * (block + 20), {1: 0.0})
    assert straight.verdict.bets == pytest.approx(restarted.verdict.bets, abs=1)
    assert straight.verdict.state == restarted.verdict.state == "drifting"


def test_another_calibration_restarts_the_watch(alarm: AlarmCalibration, rng: np.random.Generator) -> None:
    watch = DriftWatch(alarm)
    watch_over(watch, people(rng, DAY))
    again = alarm.model_copy(update={"threshold": 6.0})
    assert DriftWatch(again, watch.state()).verdict.bets == 0


def test_a_clock_that_is_set_back_does_not_stop_the_watch(
    alarm: AlarmCalibration, rng: np.random.Generator
) -> None:
    watch = DriftWatch(alarm)
    watch_over(watch, people(rng, DAY), first=1e9)
    before = watch.verdict.bets
    watch_over(watch, people(rng, DAY), first=1e8)
    assert watch.verdict.bets - before == pytest.approx(144, abs=2)


anything = st.none() | st.text() | st.floats() | st.integers() | st.lists(st.floats(), max_size=4)


@given(key=st.sampled_from(["bets", "mean", "since", "quiet", "capital", "sum", "highest"]), value=anything)
def test_a_damaged_state_is_refused_or_harmless(alarm: AlarmCalibration, key: str, value: Any) -> None:
    state = {**DriftWatch(alarm).state(), key: value}
    try:
        watch = DriftWatch(alarm, state)
    except InputError:
        return
    for moment in range(200):
        watch.update(30.0 * moment, {1: 0.5})
    assert 0 <= watch.verdict.p <= 1
