from __future__ import annotations

import functools

from runtime.profiling.timing import interleave, time_calls


def test_every_task_has_its_turn_in_every_round_and_another_starts_each() -> None:
    order: list[str] = []

    def task(name: str) -> int:
        order.append(name)
        return len(order)

    results = interleave({name: functools.partial(task, name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert results == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_calls_are_timed_until_the_time_is_over_and_at_least_three() -> None:
    now = 0.0

    def work() -> None:
        nonlocal now
        now += 2.0

    assert time_calls(work, 9.0, lambda: now) == [2.0] * 5
    assert time_calls(work, 0.0, lambda: now) == [2.0] * 3
