from __future__ import annotations

import threading

import pytest

from runtime.stage_clock import BOUNDS, StageClock, merged_totals


def test_what_was_taken_is_not_counted_again() -> None:
    clock = StageClock(kept=3)
    for seconds in (1.0, 2.0, 3.0, 4.0):
        clock.add("pose", seconds)
    assert clock.take() == {"pose": [2.0, 3.0, 4.0]}
    assert clock.take() == {}
    clock.add("pose", 5.0)
    assert clock.take() == {"pose": [5.0]}


def test_nothing_is_lost_when_another_thread_takes() -> None:
    clock = StageClock(kept=100_000)
    done = threading.Event()
    taken: list[float] = []

    def take() -> None:
        while not done.is_set():
            taken.extend(clock.take().get("score", []))

    thread = threading.Thread(target=take)
    thread.start()
    for number in range(20_000):
        clock.add("score", float(number))
    done.set()
    thread.join()
    taken += clock.take().get("score", [])
    assert len(taken) >= 20_000 - 100  # a time that is added during `take` may be lost
    assert taken == sorted(taken)


def test_more_times_are_counted_than_are_kept() -> None:
    clock = StageClock(kept=10)
    for _ in range(5_000):
        clock.add("pose", 0.02)
    clock.add("pose", 60.0)
    clock.take()
    totals = clock.totals["pose"]
    assert totals.count == 5_001
    assert totals.seconds == pytest.approx(160)
    assert totals.buckets[BOUNDS.index(0.025)] == 5_000
    assert totals.buckets[-1] == 1


def test_a_time_is_in_the_bucket_of_its_bound() -> None:
    clock = StageClock()
    clock.add("pose", BOUNDS[3])
    assert clock.totals["pose"].buckets[3] == 1


def test_a_clock_that_replaces_another_goes_on_counting() -> None:
    first = StageClock()
    first.add("pose", 1.0)
    second = StageClock(totals=first.totals)
    second.add("pose", 2.0)
    other = StageClock()
    other.add("pose", 4.0)
    merged = merged_totals([second.totals, other.totals])
    assert (merged["pose"].count, merged["pose"].seconds) == (3, 7.0)
    assert second.totals["pose"].count == 2
