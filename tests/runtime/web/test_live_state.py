from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from runtime.pipeline.results import FrameResult
from runtime.web.json_messages import camera_message, history_message
from runtime.web.live_state import LiveState

MakeResult = Callable[..., FrameResult]


@pytest.fixture
def at(make_result: MakeResult) -> MakeResult:
    """Make a result whose frame came at a time."""
    from dataclasses import replace

    def make(index: int, utc: float, score: float | None = None, **fields: object) -> FrameResult:
        result = make_result(index, score, **fields)
        return replace(result, frame=replace(result.frame, utc=utc))

    return make


def test_the_last_of_each_camera_is_kept(make_result: MakeResult) -> None:
    live = LiveState()
    for index in range(3):
        live(make_result(index, 2.0, camera="a"))
    live(make_result(9, None, camera="b"))
    assert {name: (seen.number, seen.result.frame.index) for name, seen in live.cameras().items()} == {
        "a": (3, 2),
        "b": (1, 9),
    }
    assert live.camera("c") is None


def test_history_is_thinned_to_the_worst_of_each_fifth_of_a_second(at: MakeResult) -> None:
    live = LiveState()
    for index, score in enumerate([1.0, None, 4.0, 2.0, None, 1.0, None, None, None, None, None]):
        live(at(index, 1000.0 + index * 0.04, score, alarm=index == 2))
    assert history_message(live.history("camera")) == [[1000.0, 4.0, 1], [1000.2, 1.0, 0], [1000.4, None, 0]]


def test_history_is_bounded_in_length_and_time(at: MakeResult) -> None:
    live = LiveState(history_seconds=10)
    for index in range(2000):
        live(at(index, 1000.0 + index, 1.0))
    assert len(live.history("camera")) == 11
    for index in range(2000):
        live(at(index, 4000.0 + index / 25, 1.0))
    assert len(live.history("camera")) == 50


def test_a_clock_that_is_set_back_does_no_harm(at: MakeResult) -> None:
    live = LiveState(history_seconds=10)
    for utc in (5000.0, 5001.0, 1000.0, 1001.0):
        live(at(0, utc, 1.0))
    assert live.history("camera")[-1].utc == 1001.0


def test_when_the_alarm_went_on_is_remembered(at: MakeResult) -> None:
    live = LiveState()
    since = []
    for index, alarm in enumerate([False, True, True, False, True]):
        live(at(index, 100.0 + index, 6.0, alarm=alarm))
        seen = live.camera("camera")
        since.append(seen and seen.alarm_since)
    assert since == [None, 101.0, 101.0, None, 104.0]


def test_many_threads_may_use_it(make_result: MakeResult) -> None:
    live = LiveState(history_seconds=2)

    def feed(camera: str) -> None:
        for index in range(300):
            live(make_result(index, 1.0, camera=camera))

    threads = [threading.Thread(target=feed, args=(f"camera{index % 2}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        live.history("camera0")
        live.cameras()
    assert [live.cameras()[f"camera{index}"].number for index in range(2)] == [600, 600]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_what_json_cannot_say_is_left_out(make_result: MakeResult, value: float) -> None:
    live = LiveState()
    result = make_result(0, float("nan"), threshold=float("inf"))
    result.people[0].keypoints[2] = value
    live(result)
    seen = live.camera("camera")
    assert seen
    message = camera_message(seen)
    ((person, score, p_value, joints),) = message["people"]
    assert (message["score"], message["threshold"], score, p_value, person) == (None, None, None, None, 7)
    assert joints[6:9] == [0, 0, 0]
    assert joints[:3] == [80, 60, 90]
    assert len(joints) == 54
    assert all(isinstance(joint, int) for joint in joints)
