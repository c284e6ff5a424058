"""The alarm of who is lost in the middle of it, and what raised it."""

from __future__ import annotations

import numpy as np

from daflow.core.alarms.reasons import why
from daflow.core.alarms.rule import AlarmRule
from daflow.core.evidence import EvidenceFacts
from runtime.pipeline.alarm_decider import AlarmDecider
from runtime.pipeline.batch_scoring import FrameScores
from runtime.pipeline.observer import Observation
from runtime.pipeline.results import FrameResult
from runtime.sources.frames import Frame

SKELETON = np.ones((18, 3), np.float32)
WINDOW = np.ones((2, 24, 18), np.float32)
NORMALISED = np.zeros((0, 2, 24, 18), np.float32)


def decide(
    decider: AlarmDecider,
    index: int,
    scores: dict[int, float],
    there: tuple[int, ...] = (),
    surprise: dict[int, list[float]] | None = None,
) -> FrameResult:
    skeletons = dict.fromkeys((*scores, *there), SKELETON)
    windows = dict.fromkeys(scores, WINDOW)
    return decider.decide(
        Observation(Frame(index, index / 10, (640, 480)), skeletons, windows, NORMALISED, 0),
        FrameScores(scores, surprise or {}),
    )


def test_who_falls_and_is_lost_at_once_raises_the_alarm() -> None:
    """The score is above the threshold in one frame; the alarm needs half a second."""
    for hold, changes in ((0.0, []), (1.0, [(5, "begin"), (13, "end")])):
        decider = AlarmDecider("hall", AlarmRule(5, 5, begin_seconds=0.5, end_seconds=0.2, hold_seconds=hold))
        found = [decide(decider, index, {7: 9.0} if index == 0 else {}) for index in range(30)]
        assert [(index, result.change) for index, result in enumerate(found) if result.change] == changes
        if hold:
            assert found[5].worst is not None
            assert (found[5].worst.person, found[5].score, found[5].people) == (7, 9.0, ())
            assert found[5].worst.window is WINDOW


def test_who_is_there_without_a_score_counts_with_the_last_one() -> None:
    decider = AlarmDecider("hall", AlarmRule(5, 5, begin_seconds=0.5, end_seconds=0.2))
    found = [decide(decider, index, {7: 9.0} if index == 0 else {8: 1.0}, (7,)) for index in range(8)]
    assert [result.change for result in found].count("begin") == 1
    assert {person.score for result in found[1:] for person in result.people} == {1.0, None}


def test_a_score_that_falls_is_not_held() -> None:
    decider = AlarmDecider("hall", AlarmRule(5, 5, begin_seconds=0.0, end_seconds=0.0))
    assert [decide(decider, index, {7: score}).alarm for index, score in enumerate((9.0, 1.0, 1.0))] == [
        True, False, False,
    ]  # fmt: skip


def test_nobody_is_held_when_the_numbers_mean_other_people() -> None:
    decider = AlarmDecider("hall", AlarmRule(5, 5, begin_seconds=0.5))
    decide(decider, 0, {7: 9.0})
    decider.forget_people()
    assert decide(decider, 1, {}).worst is None


def test_what_raised_the_score_is_told_strongest_first_and_held_with_it() -> None:
    evidence = EvidenceFacts(channels=("flow", "shape", "motion"), windows=1000)
    decider = AlarmDecider("hall", AlarmRule(5, 5, begin_seconds=0.5), evidence=evidence)
    found = [
        decide(
            decider,
            index,
            {7: 9.0} if index == 0 else {},
            surprise={7: [0.5, 2.0, 12.0]} if index == 0 else {},
        )
        for index in range(7)
    ]
    assert [result.change for result in found].count("begin") == 1
    for result in found:
        assert result.unit == "bits"
        assert result.worst is not None
        assert [reason.channel for reason in result.worst.reasons] == ["motion", "shape", "flow"]
        assert why(result.worst.reasons) == "a movement rarer than 1 in 1\u202f000 normal windows"


def test_what_lasted_is_told_as_that() -> None:
    evidence = EvidenceFacts(channels=("flow", "shape", "motion"), windows=1000)
    rule = AlarmRule(15, 15, lasting_seconds=10)
    decider = AlarmDecider("hall", rule, evidence=evidence)
    found = [decide(decider, index, {7: 6.0}, surprise={7: [0.5, 4.5, 1.0]}) for index in range(200)]
    assert [result.change for result in found if result.change] == ["begin"]
    first, last = found[0].worst, found[-1].worst
    assert first is not None
    assert last is not None
    assert first.why == "a posture as in 1 in 23 normal windows"
    assert last.why == "unusual for about 10 s, at last a posture as in 1 in 23 normal windows"
    assert (last.score, last.smoothed) == (6.0, found[-1].score)
    decider.forget_people()
    assert decide(decider, 200, {7: 6.0}).score == 6.0


def test_a_flow_alone_gives_no_reasons() -> None:
    result = decide(AlarmDecider("hall", AlarmRule(5, 5)), 0, {7: 9.0})
    assert result.worst is not None
    assert (result.worst.reasons, result.unit) == ((), "bits/dim")
