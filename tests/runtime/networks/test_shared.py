"""A runner that several threads share: each gets its own rows, and who waits goes together."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from runtime.networks.shared import SharedRunner


class Doubling:
    """Doubles its input; a call can be held, so that others must wait."""

    name, row = "fake fp32", (2,)

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.broken = False

    def run(self, batch: Any) -> Mapping[str, Any]:
        self.sizes.append(len(batch))
        self.entered.set()
        assert self.go_on.wait(30)
        if self.broken:
            raise ValueError("the engine is gone")
        return {"twice": 2 * batch, "sum": batch.sum(axis=1)}

    def close(self) -> None:
        self.sizes.append(-1)


def start(shared: SharedRunner, batch: np.ndarray, results: dict[int, Any], key: int) -> threading.Thread:
    def work() -> None:
        try:
            results[key] = shared.run(batch)
        except ValueError as error:
            results[key] = error

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def waiting(shared: SharedRunner, count: int) -> None:
    while len(shared._waiting) < count:
        threading.Event().wait(0.001)


def hold_one_and_queue(runner: Doubling, shared: SharedRunner, sizes: list[int]) -> dict[int, Any]:
    """Start a call, hold it until the others wait, and return the results of all."""
    results: dict[int, Any] = {}
    runner.go_on.clear()
    threads = [start(shared, np.zeros((1, 2)), results, -1)]
    assert runner.entered.wait(30)
    for key, size in enumerate(sizes):
        threads.append(start(shared, np.full((size, 2), float(key + 1)), results, key))
    waiting(shared, len(sizes))
    runner.go_on.set()
    for thread in threads:
        thread.join(30)
    return results


def test_one_thread_has_its_call_for_itself() -> None:
    runner = Doubling()
    shared = SharedRunner(runner)
    assert shared.run(np.ones((3, 2)))["twice"].tolist() == [[2, 2]] * 3
    assert (runner.sizes, shared.name, shared.row) == ([3], "fake fp32", (2,))


def test_those_who_wait_go_into_one_call_and_get_their_own_rows() -> None:
    runner = Doubling()
    results = hold_one_and_queue(runner, SharedRunner(runner), [2, 3, 1])
    assert runner.sizes == [1, 6]
    for key, size in enumerate([2, 3, 1]):
        assert results[key]["twice"].tolist() == [[2.0 * (key + 1)] * 2] * size
        assert results[key]["sum"].tolist() == [2.0 * (key + 1)] * size


def test_an_error_reaches_everybody_in_the_call_and_the_next_call_works() -> None:
    runner = Doubling()
    shared = SharedRunner(runner)
    runner.broken = True
    results = hold_one_and_queue(runner, shared, [1, 2])
    assert all(isinstance(result, ValueError) for result in results.values())
    runner.broken = False
    assert shared.run(np.ones((1, 2)))["sum"].tolist() == [2]


@pytest.mark.parametrize("threads", [2, 8])
def test_many_threads_never_mix_their_rows(threads: int) -> None:
    runner = Doubling()
    shared = SharedRunner(runner)
    wrong: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            batch = rng.standard_normal((int(rng.integers(0, 5)), 2))
            if not np.array_equal(shared.run(batch)["twice"], 2 * batch):
                wrong.append(seed)

    started = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert wrong == []
    shared.close()
    assert runner.sizes[-1] == -1
