from __future__ import annotations

import threading

from runtime.stage_clock import StageClock


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
