from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.alarms.rule import (
    LASTING_BITS,
    LASTING_WEIGHT,
    MAX_GAP,
    AlarmChange,
    AlarmRule,
    AlarmState,
    Held,
    Smoother,
    Sustained,
)

RULE = AlarmRule(threshold=5, release=4, begin_seconds=0.2, end_seconds=0.1)


def changes(
    scores: Sequence[float | None], rule: AlarmRule = RULE, times: Iterable[float] | None = None
) -> list[tuple[int, AlarmChange]]:
    """What changes in which frame; ten frames a second unless times are given."""
    alarm = AlarmState(rule)
    times = times or [frame / 10 for frame in range(len(scores))]
    updates = [(f, alarm.update(t, s)) for f, (t, s) in enumerate(zip(times, scores, strict=True))]
    return [(frame, change) for frame, change in updates if change]


def test_an_alarm_begins_after_long_enough_above_the_threshold() -> None:
    assert changes([6, 6, 6, 6]) == [(2, "begin")]


@pytest.mark.parametrize("fps", [5, 12.5, 25, 30, 60])
@pytest.mark.parametrize("begin", [0.0, 0.1, 0.5])
def test_seconds_are_seconds_at_any_frame_rate(fps: float, begin: float) -> None:
    rule = AlarmRule(5, 5, begin_seconds=begin, end_seconds=0.5)
    times = [1000 + frame / fps for frame in range(100)]
    ((first, _),) = changes([6.0] * 100, rule, times)
    assert first == math.ceil(round(begin * fps, 6))
    _, (last, _) = changes([6.0] * 50 + [None] * 50, rule, times)
    assert last - 50 == math.ceil(round(0.5 * fps, 6))


@pytest.mark.parametrize("interruption", [3, 5, None, math.nan])
def test_single_frames_above_the_threshold_do_not_flicker(interruption: float | None) -> None:
    assert changes([6, 6, interruption] * 10) == []


def test_single_frames_below_the_release_do_not_end_it() -> None:
    assert changes([6, 6, 6, *[3, 6] * 10]) == [(2, "begin")]


def test_a_score_between_release_and_threshold_neither_begins_nor_ends() -> None:
    assert changes([4.5] * 20) == []
    assert changes([6, 6, 6, *[4.5] * 20]) == [(2, "begin")]


def test_it_ends_after_long_enough_below_the_release() -> None:
    assert changes([6, 6, 6, 3.9, 3.9, 3.9]) == [(2, "begin"), (4, "end")]


def test_frames_in_which_nobody_could_be_scored_end_it() -> None:
    assert changes([6, 6, 6, None, None]) == [(2, "begin"), (4, "end")]


def test_after_an_alarm_none_begins_during_the_cool_down() -> None:
    rule = AlarmRule(5, 5, begin_seconds=0, end_seconds=0, cool_down_seconds=0.5)
    assert changes([6, 3, *[6] * 10], rule) == [(0, "begin"), (1, "end"), (6, "begin")]


def test_a_lost_camera_is_no_evidence_of_an_alarm() -> None:
    rule = AlarmRule(5, 5, begin_seconds=5, end_seconds=0.5)
    assert changes([6, 6], rule, [0, 3600]) == []
    assert changes([6, 6, 6], rule, [0, 0.1, 5]) == []


def test_an_alarm_ends_when_the_camera_is_lost_and_comes_back() -> None:
    rule = AlarmRule(5, 5, begin_seconds=0.1, end_seconds=0.5)
    found = changes([6, 6, 6, 6, 6], rule, [0, 0.1, 3600, 3600.1, 3600.2])
    assert found == [(1, "begin"), (2, "end"), (3, "begin")]


def test_a_short_loss_does_not_end_an_alarm_that_is_patient() -> None:
    rule = AlarmRule(5, 5, begin_seconds=0.1, end_seconds=60)
    assert changes([6, 6, 6, 6], rule, [0, 0.1, 30, 30.1]) == [(1, "begin")]
    assert changes([6, 6, 3, 3], rule, [0, 0.1, 59.9, 60.2]) == [(1, "begin"), (3, "end")]


gaps = st.lists(st.sampled_from([0.02, 0.04, 0.1, 0.3, 0.9, 1.5, 40.0]), min_size=60, max_size=60)
scores = st.lists(st.none() | st.integers(0, 10).map(float), max_size=60)
durations = st.sampled_from([0.0, 0.04, 0.1, 0.5, 2.0])
rules = st.builds(AlarmRule, st.just(5.0), st.sampled_from([3.0, 5.0]), durations, durations, durations)


def times_of(gaps: list[float], count: int) -> list[float]:
    times = [0.0]
    for gap in gaps[: count - 1]:
        times.append(times[-1] + gap)
    return times[:count]


@given(scores, gaps, rules)
def test_begin_and_end_alternate(values: list[float | None], gaps: list[float], rule: AlarmRule) -> None:
    kinds = [change for _, change in changes(values, rule, times_of(gaps, len(values)))]
    assert kinds == ["begin", "end"] * (len(kinds) // 2) + ["begin"] * (len(kinds) % 2)


@given(scores, gaps, rules)
def test_every_begin_has_its_time_above_the_threshold(
    values: list[float | None], gaps: list[float], rule: AlarmRule
) -> None:
    times = times_of(gaps, len(values))
    for frame, change in changes(values, rule, times):
        if change == "begin":
            first = frame
            while times[frame] - times[first] < rule.begin_seconds - 1e-6:
                first -= 1
                assert times[first + 1] - times[first] <= MAX_GAP
            assert all(value is not None and value > 5 for value in values[first : frame + 1])


@given(scores, gaps, rules)
def test_alarms_are_a_cool_down_apart(values: list[float | None], gaps: list[float], rule: AlarmRule) -> None:
    times = times_of(gaps, len(values))
    ended = -math.inf
    for frame, change in changes(values, rule, times):
        if change == "begin":
            assert times[frame] - ended >= rule.cool_down_seconds - 1e-6
        else:
            ended = times[frame]


@given(scores, gaps, durations)
def test_the_level_is_the_lowest_score_of_the_last_seconds(
    values: list[float | None], gaps: list[float], seconds: float
) -> None:
    sustained = Sustained(seconds)
    times = times_of(gaps, len(values))
    unbroken: list[tuple[float, float]] = []
    last = -math.inf
    for time, value in zip(times, values, strict=True):
        if value is None or time - last > MAX_GAP:
            unbroken = []
        last = time
        if value is not None:
            unbroken.append((time, value))
        before = [i for i, (then, _) in enumerate(unbroken) if time - then >= seconds - 1e-6]
        expected = min(v for _, v in unbroken[before[-1] :]) if before and value is not None else None
        assert sustained.update(time, value) == expected


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), gaps, st.floats(0.01, 10))
def test_smoothed_scores_stay_between_the_scores(
    values: list[float], gaps: list[float], seconds: float
) -> None:
    smoother = Smoother(seconds)
    for count, (time, value) in enumerate(zip(times_of(gaps, len(values)), values, strict=True), start=1):
        smoothed = smoother.update(time, {1: value})[1]
        assert min(values[:count]) - 1e-6 <= smoothed <= max(values[:count]) + 1e-6


def test_smoothing_does_not_depend_on_the_frame_rate() -> None:
    ends = []
    for fps in (5, 25, 100):
        smoother = Smoother(2.0)
        smoother.update(0.0, {1: 0.0})
        ends.append([smoother.update(n / fps, {1: 1.0}) for n in range(1, 3 * fps + 1)][-1][1])
    assert ends == pytest.approx([1 - math.exp(-1.5)] * 3)


def test_people_are_smoothed_apart_and_are_forgotten() -> None:
    smoother = Smoother(0.5)
    smoother.update(0, {1: 0.0, 2: 10.0})
    assert smoother.update(0.1, {1: 0.0, 2: 10.0}) == {1: 0.0, 2: 10.0}
    for second in range(1, 1000):
        smoother.update(second, {second + 10: 1.0})
    assert len(smoother) < 10


def test_no_smoothing_keeps_the_scores() -> None:
    smoother = Smoother(0)
    assert smoother.update(0, {1: 3.0}) == {1: 3.0}
    assert smoother.update(0, {1: 4.0}) == {1: 4.0}
    assert len(smoother) == 0


def test_the_lasting_mean_is_that_of_an_exponential_window_and_starts_at_nothing() -> None:
    """Against the integral over all scores of a person, each weighing exp(-age / time constant)."""
    rng = np.random.default_rng(3)
    seconds, step = 5.0, 0.04
    scores = rng.uniform(0, 30, 400)
    smoother = Smoother(0.0, lasting_seconds=seconds)
    found = [smoother.update(index * step, {7: float(score)})[7] for index, score in enumerate(scores)]
    bounded = np.minimum(scores, LASTING_BITS)
    for index in (1, 10, 399):
        ages = step * np.arange(index)[::-1]
        mean = (-np.expm1(-step / seconds) * np.exp(-ages / seconds) * bounded[1 : index + 1]).sum()
        assert found[index] == pytest.approx(max(scores[index], LASTING_WEIGHT * mean))


@given(
    st.lists(st.floats(0, 1e4), min_size=1, max_size=40),
    gaps,
    st.sampled_from([0.0, 0.5]),
    st.floats(0.5, 30),
)
def test_what_lasts_only_ever_raises_a_score_and_never_beyond_its_bound(
    values: list[float], gaps: list[float], seconds: float, lasting_seconds: float
) -> None:
    plain, smoother = Smoother(seconds), Smoother(seconds, lasting_seconds)
    for time, value in zip(times_of(gaps, len(values)), values, strict=True):
        without, score = plain.update(time, {1: value})[1], smoother.update(time, {1: value})[1]
        assert without <= score <= max(without, LASTING_WEIGHT * LASTING_BITS)
        assert (1 in smoother.lasting) == (score > without)


def test_a_long_gap_counts_for_a_second_in_what_lasts() -> None:
    gone, there = Smoother(0.0, 10.0), Smoother(0.0, 10.0)
    for smoother, back in ((gone, 60.0), (there, 1.0)):
        smoother.update(0.0, {1: 0.0})
        smoother.update(back, {1: 20.0})
    later = [smoother.update(time, {1: 0.0})[1] for smoother, time in ((gone, 60.0), (there, 1.0))]
    assert later[0] == pytest.approx(later[1])


def test_who_is_a_little_unusual_for_long_raises_the_alarm_and_a_moment_does_not() -> None:
    rule = AlarmRule(16, 16, begin_seconds=0.1, lasting_seconds=10)
    for lasting, changes in ((30.0, ["begin"]), (1.0, [])):
        smoother, alarm = rule.smoother(), AlarmState(rule)
        found = []
        for frame in range(1000):
            time = frame / 25
            score = smoother.update(time, {1: 6.0 if 5 <= time < 5 + lasting else 1.0})[1]
            found.append(alarm.update(time, score))
        assert [change for change in found if change == "begin"] == changes


@given(
    st.lists(st.dictionaries(st.integers(1, 3), st.floats(-9, 9)), min_size=1, max_size=30),
    gaps,
    st.sampled_from([0.0, 0.25, 1.0, 3.0]),
)
def test_the_last_that_is_known_of_each_person_is_held_for_so_long(
    known: list[dict[int, float]], gaps: list[float], seconds: float
) -> None:
    held: Held[float] = Held(seconds)
    times = times_of(gaps, len(known))
    for count, (time, now) in enumerate(zip(times, known, strict=True), start=1):
        since = max((i for i in range(1, count) if times[i] - times[i - 1] > MAX_GAP), default=0)
        expected: dict[int, float] = {}
        for then, people in zip(times[since:count], known[since:count], strict=True):
            if time - then <= seconds + 1e-6:
                expected.update(people)
        assert held.update(time, now) == expected


def test_nothing_is_held_when_a_stream_begins_anew() -> None:
    held: Held[float] = Held(5.0)
    held.update(100.0, {1: 9.0})
    assert held.update(0.0, {2: 1.0}) == {2: 1.0}


def test_a_stream_that_begins_anew_raises_alarms_again() -> None:
    rule = AlarmRule(5, 5, begin_seconds=0.1, end_seconds=0.5, cool_down_seconds=10, smoothing_seconds=0.5)
    alarm, smoother = AlarmState(rule), Smoother(rule.smoothing_seconds)

    def changes(seconds: float) -> list[str | None]:
        times = [frame / 25 for frame in range(round(25 * seconds))]
        return [alarm.update(time, smoother.update(time, {1: 9.0 if time > 1 else 1.0})[1]) for time in times]

    assert changes(1000).count("begin") == 1
    assert alarm.active
    assert "end" in changes(30)
    assert "begin" in changes(30)
