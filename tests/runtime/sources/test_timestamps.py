from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.sources.timestamps import FrameNumbering, StreamTime

INTERVALS = st.floats(0.01, 1.0)


def numbers(times: list[float]) -> list[int]:
    pace = FrameNumbering()
    return [pace.number(time) for time in times]


@settings(deadline=None)
@given(INTERVALS, st.lists(st.floats(0.8, 1.2), min_size=2, max_size=200))
def test_a_steady_rate_with_jitter_has_no_gaps(interval: float, jitter: list[float]) -> None:
    times = list(itertools.accumulate(interval * part for part in jitter))
    assert numbers(times) == list(range(len(times)))


@settings(deadline=None)
@given(st.integers(2, 29))
def test_a_device_that_sees_some_of_thirty_frames_numbers_them_one_by_one(seen: int) -> None:
    # The newest of the camera's frames whenever the device is ready.
    times = sorted({int(turn * 30 / seen) for turn in range(seen * 20)})
    assert numbers([frame / 30 for frame in times]) == list(range(len(times)))


@settings(deadline=None)
@given(INTERVALS, st.integers(3, 10_000), st.integers(18, 60))
def test_a_gap_is_as_many_frames_as_are_missing(interval: float, gap: int, before: int) -> None:
    times = [interval * index for index in range(before)]
    times += [times[-1] + interval * (gap + index) for index in range(5)]
    found = numbers(times)
    assert found[before] - found[before - 1] == pytest.approx(gap, abs=1)
    assert found[before:] == list(range(found[before], found[before] + 5))


@settings(deadline=None)
@given(st.integers(4, 15), st.floats(1.1, 100))
def test_a_long_gap_shows_even_soon_after_the_start(before: int, gap: float) -> None:
    times = [0.04 * index for index in range(before)]
    found = numbers([*times, times[-1] + gap])
    assert found[-1] - found[-2] == pytest.approx(gap / 0.04, abs=1)


def test_a_burst_at_the_start_makes_no_gaps() -> None:
    times = [0.0, 0.0001, 0.0002, 0.0003, 0.0004, *(0.04 * index for index in range(1, 60))]
    assert numbers(times) == list(range(len(times)))


@settings(deadline=None)
@given(st.integers(2, 6), INTERVALS)
def test_after_a_lasting_change_of_the_rate_frames_are_consecutive_again(
    slower: int, interval: float
) -> None:
    times = [interval * index for index in range(50)]
    times += [times[-1] + slower * interval * (index + 1) for index in range(80)]
    tail = numbers(times)[-60:]
    assert tail == list(range(tail[0], tail[0] + 60))


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), max_size=50))
def test_numbers_always_grow(steps: list[float]) -> None:
    found = numbers(list(itertools.accumulate(steps)))
    assert all(one < other for one, other in itertools.pairwise(found))


STAMPS = st.one_of(st.none(), st.floats(allow_nan=True), st.floats(-1e6, 1e6))


@settings(deadline=None)
@given(st.lists(st.tuples(STAMPS, st.floats(0, 3600), st.booleans()), min_size=1, max_size=50))
def test_time_grows_and_stays_near_the_wall_clock_whatever_the_stamps(
    frames: list[tuple[float | None, float, bool]],
) -> None:
    time, arrival, last = StreamTime(), 1000.0, -1.0
    for stamp, step, reconnected in frames:
        arrival += step
        if reconnected:
            time.reconnected()
        now = time.update(stamp, arrival)
        assert last < now < max(last, 0) + step + 10.01
        last = now


@settings(deadline=None)
@given(st.floats(-1e5, 1e5), st.lists(st.floats(0.0, 0.2), min_size=1, max_size=50))
def test_good_stamps_are_taken_whatever_the_delays(begin: float, delays: list[float]) -> None:
    time = StreamTime()
    for index, delay in enumerate(delays):
        assert time.update(begin + index / 25, 5 + index / 25 + delay) == pytest.approx(index / 25, abs=1e-6)


@pytest.mark.parametrize("jump", [-7200.0, 7200.0, -0.04])
def test_a_jump_of_the_stamps_costs_the_time_that_really_passed(jump: float) -> None:
    time = StreamTime()
    for index in range(10):
        last = time.update(100 + index / 25, index / 25)
    after = [time.update(100 + jump + index / 25, index / 25) for index in range(10, 20)]
    assert after == pytest.approx([last + (index + 1) / 25 for index in range(10)])


def test_the_gap_of_a_reconnection_is_that_of_the_wall_clock() -> None:
    time = StreamTime()
    assert [time.update(500, 10), time.update(500.1, 10.1)] == pytest.approx([0, 0.1])
    time.reconnected()
    assert [time.update(0, 70.1), time.update(0.1, 70.2)] == pytest.approx([60.1, 60.2])
