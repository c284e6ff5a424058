from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.enough_recordings import reason_against_rate
from calibration.false_alarm_rate import check_signals
from calibration.threshold import choose_quantile, choose_threshold
from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.replay import Signal, episodes, make_signal
from daflow.core.alarms.rule import AlarmRule, AlarmState, Held
from daflow.core.errors import InputError

RULE = AlarmRule(
    math.inf, math.inf, begin_seconds=0.2, end_seconds=0.5, cool_down_seconds=5, smoothing_seconds=0.3
)
FPS = 10.0


def frames(rng: np.random.Generator, seconds: float, people: int = 2) -> list[dict[int, float]]:
    """Scores of people who come and go; each has a way of moving, and moments that stand out."""
    count = int(seconds * FPS)
    noise = rng.normal(size=(count, people))
    for index in range(1, count):
        noise[index] = 0.9 * noise[index - 1] + math.sqrt(1 - 0.81) * noise[index]
    stay = rng.normal(0, 0.5, (count // 300 + 1, people)).repeat(300, axis=0)[:count]
    there = (rng.random((count // 300 + 1, people)) < 0.7).repeat(300, axis=0)[:count]
    scores = noise + stay
    return [
        {1000 * (i // 300) + p: float(scores[i, p]) for p in range(people) if there[i, p]}
        for i in range(count)
    ]


@functools.cache
def recordings(seed: int, hours: float) -> list[Signal]:
    rng = np.random.default_rng(seed)
    clips = max(1, round(hours * 12))
    return [make_signal(f"clip {i}", frames(rng, hours * 3600 / clips), FPS, RULE) for i in range(clips)]


def begins(clip: list[dict[int, float]], rule: AlarmRule) -> list[float]:
    """The alarms that the edge raises, frame by frame."""
    smoother, alarm = rule.smoother(), AlarmState(rule)
    held: Held[float] = Held(rule.hold_seconds)
    found = []
    for index, scores in enumerate(clip):
        smoothed = smoother.update(index / FPS, scores)
        known = held.update(index / FPS, smoothed)
        if alarm.update(index / FPS, max(known.values(), default=None)) == "begin":
            found.append(index / FPS)
    return found


durations = st.sampled_from([0.0, 0.1, 0.5, 3.0])


@given(
    seed=st.integers(0, 99),
    level=st.floats(-1, 3),
    begin=durations,
    end=durations,
    rest=durations,
    tau=durations,
    hold=durations,
    lasting=durations,
)
@settings(max_examples=60, deadline=None)
def test_episodes_are_the_alarms_that_the_edge_raises(
    seed: int, level: float, begin: float, end: float, rest: float, tau: float, hold: float, lasting: float
) -> None:
    rule = AlarmRule(level, level, begin, end, rest, tau, hold, lasting)
    clip = frames(np.random.default_rng(seed), 60)
    signal = make_signal("clip", clip, FPS, rule)
    found = list(episodes(signal, rule))
    assert [signal.times[episode.first] for episode in found] == begins(clip, rule)
    for episode in found:
        assert episode.end > episode.first
        assert episode.peak > level


@pytest.mark.parametrize("per_day", [60.0, 240.0])
def test_the_requested_rate_is_measured_on_other_recordings(per_day: float) -> None:
    fresh = recordings(1000, 3)
    hours = sum(s.seconds for s in fresh) / 3600
    came = []
    for seed in range(3):
        choice = choose_threshold(recordings(seed, 0.75), RULE, per_day)
        assert choice.method == "pot"
        assert choice.expected_per_day == pytest.approx(per_day, rel=0.01)
        assert choice.interval_per_day is not None
        assert choice.interval_per_day[0] < per_day < choice.interval_per_day[1]
        rule = replace(RULE, threshold=choice.threshold, release=choice.threshold)
        came.append(sum(1 for s in fresh for _ in episodes(s, rule)) * 24 / hours)
    assert per_day / 3 < np.mean(came) < 2 * per_day


def test_fewer_alarms_need_a_higher_threshold() -> None:
    signals = recordings(3, 0.5)
    thresholds = [choose_threshold(signals, RULE, rate).threshold for rate in (200, 50, 10, 1)]
    assert thresholds == sorted(set(thresholds))


def test_scores_without_a_tail_fall_back_to_block_maxima() -> None:
    signals = [make_signal("clip", [{1: 3.0}] * 6000, FPS, RULE)]
    choice = choose_threshold(signals, RULE, 1)
    assert (choice.method, choice.threshold, choice.tail) == ("block-maxima", 3.0, None)
    assert list(episodes(signals[0], replace(RULE, threshold=3.0, release=3.0))) == []


def test_block_maxima_leave_as_many_alarms_as_requested() -> None:
    rng = np.random.default_rng(0)
    spikes = rng.choice(36_000 // 50, 60, replace=False)
    clip = [{1: 10.0 + (i // 50 % 2 if i // 50 in spikes else 0)} for i in range(36_000)]
    signals = [make_signal("clip", clip, FPS, replace(RULE, smoothing_seconds=0))]
    choice = choose_threshold(signals, RULE, 480)
    assert choice.method == "block-maxima"
    assert choice.threshold in {10.0, 11.0}


def test_nobody_for_long_enough_is_an_error() -> None:
    rule = replace(RULE, begin_seconds=60)
    with pytest.raises(InputError, match="Nobody is scored for 60 s without a break"):
        choose_threshold([make_signal("clip", [{1: 2.0}] * 100, FPS, rule)], rule, 1)


finite = st.floats(-1e8, 1e8)
clips = st.lists(
    st.lists(st.dictionaries(st.integers(0, 2), finite, max_size=2), min_size=1, max_size=80), max_size=3
)


@given(clips, st.sampled_from([0.001, 1.0, 1000.0, 1e6]))
@settings(max_examples=80, deadline=None)
def test_any_recording_gives_a_threshold_or_a_sentence(
    clips: list[list[dict[int, float]]], per_day: float
) -> None:
    rule = AlarmRule(math.inf, math.inf, 0, 0, 0, 0)
    signals = [make_signal("clip", clip, FPS, rule) for clip in clips if any(clip)]
    if not signals:
        return
    choice = choose_threshold(signals, rule, per_day)
    assert math.isfinite(choice.threshold)
    assert choice.expected_per_day is None or choice.expected_per_day >= 0
    hours = sum(s.seconds for s in signals) / 3600
    assert reason_against_rate(choice, hours, per_day) is None or "recordings" in str(
        reason_against_rate(choice, hours, per_day)
    )


def of_rate(signals: list[Signal], per_day: float) -> AlarmCalibration:
    choice = choose_threshold(signals, RULE, per_day)
    return AlarmCalibration(
        threshold=choice.threshold, method=choice.method, begin_seconds=RULE.begin_seconds,
        end_seconds=RULE.end_seconds, cool_down_seconds=RULE.cool_down_seconds,
        smoothing_seconds=RULE.smoothing_seconds, target_per_day=per_day, expected_per_day=choice.expected_per_day,
        promised=True, windows=1, precision="fp32",
    )  # fmt: skip


def test_a_check_agrees_on_the_same_camera_and_refutes_on_another(rng: np.random.Generator) -> None:
    alarm = of_rate(recordings(5, 1), 96)
    same = check_signals(recordings(6, 1), alarm)
    assert not same.refuted
    assert "expects 96 per day: consistent" in same.summary(promised=True)
    assert sum(clip.alarms for clip in same.clips) == same.alarms
    moved = [
        make_signal("moved", [{p: v + 1.5 for p, v in f.items()} for f in frames(rng, 1800)], FPS, RULE)
        for _ in range(2)
    ]
    other = check_signals(moved, alarm)
    assert other.refuted
    assert other.interval_per_day[0] > 96
    assert "refuted" in other.summary(promised=True)


def test_a_check_refutes_less_when_the_calibration_knows_less() -> None:
    alarm = of_rate(recordings(5, 1), 96)
    busy = recordings(6, 1)[:3]
    unsure = alarm.model_copy(update={"interval_per_day": (24.0, 4 * 96.0)})
    certain = alarm.model_copy(update={"interval_per_day": (96.0, 96.0)})
    lower = {"threshold": alarm.threshold - 0.3}
    probabilities = [
        check_signals(busy, known.model_copy(update=lower)).probability for known in (certain, unsure)
    ]
    assert None not in probabilities
    known_exactly, known_roughly = (probability or 0.0 for probability in probabilities)
    assert known_exactly < 0.05
    assert known_roughly > 3 * known_exactly


def test_a_quantile_counts_its_alarms_and_supports_no_rate() -> None:
    signals = recordings(7, 0.5)
    choice = choose_quantile(signals, RULE, 0.99)
    everybody = np.concatenate([s.people for s in signals])
    assert choice.threshold == pytest.approx(float(np.quantile(everybody, 0.99)))
    rule = replace(RULE, threshold=choice.threshold, release=choice.threshold)
    count = sum(1 for s in signals for _ in episodes(s, rule))
    assert choice.expected_per_day == pytest.approx(count * 48)
    entry = AlarmCalibration(threshold=choice.threshold, quantile=0.99, windows=1, precision="fp32")
    assert check_signals(signals, entry).probability is None


@pytest.mark.parametrize(
    ("hours", "per_day", "reason"),
    [(1.5, 1, "at least 6 hours are needed"), (0.1, 100, "blocks of at least a minute")],
)
def test_a_recording_that_is_too_short_says_how_much_is_missing(
    hours: float, per_day: float, reason: str
) -> None:
    choice = choose_threshold(recordings(8, 0.5), RULE, per_day)
    found = reason_against_rate(replace(choice, blocks=round(hours * 60)), hours, per_day)
    assert found is not None
    assert reason in found


def test_enough_hours_support_the_rate() -> None:
    assert reason_against_rate(choose_threshold(recordings(9, 1), RULE, 48), 1, 48) is None
