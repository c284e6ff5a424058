from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.alarms import Alarm, AlarmRule, Change

RULE = AlarmRule(threshold=5, release=4, begin_frames=3, end_frames=2)


def changes(scores: Iterable[float | None], rule: AlarmRule = RULE) -> list[tuple[int, Change]]:
    alarm = Alarm(rule)
    updates = [(frame, alarm.update(score)) for frame, score in enumerate(scores)]
    return [(frame, change) for frame, change in updates if change]


def test_an_alarm_begins_after_enough_frames_in_a_row() -> None:
    assert changes([6, 6, 6, 6]) == [(2, "begin")]


@pytest.mark.parametrize("interruption", [3, 5, None])
def test_single_frames_above_the_threshold_do_not_flicker(interruption: float | None) -> None:
    assert changes([6, 6, interruption] * 10) == []


def test_single_frames_below_the_release_do_not_end_it() -> None:
    assert changes([6, 6, 6, *[3, 6] * 10]) == [(2, "begin")]


def test_a_score_between_release_and_threshold_neither_begins_nor_ends() -> None:
    assert changes([4.5] * 20) == []
    assert changes([6, 6, 6, *[4.5] * 20]) == [(2, "begin")]


def test_it_ends_after_enough_frames_in_a_row_below_the_release() -> None:
    assert changes([6, 6, 6, 3.9, 3.9, 3.9]) == [(2, "begin"), (4, "end")]


def test_frames_in_which_nobody_could_be_scored_end_it() -> None:
    assert changes([6, 6, 6, None, None]) == [(2, "begin"), (4, "end")]


scores = st.lists(st.none() | st.floats(0, 10), max_size=60)


@given(scores, st.integers(1, 4), st.integers(1, 4))
def test_begin_and_end_alternate(values: list[float | None], begin: int, end: int) -> None:
    rule = AlarmRule(threshold=5, release=4, begin_frames=begin, end_frames=end)
    kinds = [change for _, change in changes(values, rule)]
    assert kinds == ["begin", "end"] * (len(kinds) // 2) + ["begin"] * (len(kinds) % 2)


@given(scores, st.integers(1, 4))
def test_every_begin_has_its_frames_above_the_threshold(values: list[float | None], begin: int) -> None:
    rule = AlarmRule(threshold=5, release=4, begin_frames=begin, end_frames=2)
    for frame, change in changes(values, rule):
        if change == "begin":
            run = values[frame - begin + 1 : frame + 1]
            assert len(run) == begin
            assert all(value is not None and value > 5 for value in run)
