"""A batch is computed by several threads, and its rows come back in their order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from runtime.networks.parallel import ParallelRunner


class Doubling:
    """Doubles its input, notes its batches, and may wait until several threads are in it."""

    name, row = "fake fp32", (2,)

    def __init__(self, together: int = 1, broken: float | None = None) -> None:
        self.sizes: list[int] = []
        self.together = threading.Barrier(together)
        self.broken = broken
        self.closed = False

    def run(self, batch: Any) -> Mapping[str, Any]:
        assert not self.closed
        self.sizes.append(len(batch))
        self.together.wait(60)
        if self.broken in batch:
            raise ValueError("the graph is broken")
        return {"twice": 2 * batch, "sum": batch.sum(axis=1)}

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("rows", "threads", "sizes"), [(7, 3, [2, 2, 3]), (2, 3, [1, 1]), (3, 2, [1, 2])])
def test_threads_compute_parts_at_the_same_time(rows: int, threads: int, sizes: list[int]) -> None:
    inner = Doubling(together=len(sizes))
    runner = ParallelRunner(inner, threads)
    batch = np.arange(2.0 * rows).reshape(rows, 2)
    outputs = runner.run(batch)
    assert sorted(inner.sizes) == sizes
    assert np.array_equal(outputs["twice"], 2 * batch)
    assert np.array_equal(outputs["sum"], batch.sum(axis=1))
    runner.close()
    assert inner.closed


@pytest.mark.parametrize(("rows", "threads"), [(0, 4), (1, 4), (9, 1)])
def test_what_cannot_be_shared_is_one_call(rows: int, threads: int) -> None:
    inner = Doubling()
    runner = ParallelRunner(inner, threads)
    assert len(runner.run(np.zeros((rows, 2)))["sum"]) == rows
    assert inner.sizes == [rows]
    runner.close()


def test_callers_do_not_wait_for_each_other() -> None:
    inner = Doubling(together=2)
    runner = ParallelRunner(inner, 1)
    results: list[float] = []
    callers = [
        threading.Thread(target=lambda: results.append(float(runner.run(np.ones((1, 2)))["sum"][0])))
        for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == [2, 2]
    runner.close()


@pytest.mark.parametrize("broken", [0.0, 5.0])
def test_an_error_of_any_part_is_raised_after_all_have_ended(broken: float) -> None:
    inner = Doubling(together=2, broken=broken)
    runner = ParallelRunner(inner, 2)
    with pytest.raises(ValueError, match="broken"):
        runner.run(np.arange(6.0).reshape(3, 2))
    assert len(inner.sizes) == 2
    runner.close()
