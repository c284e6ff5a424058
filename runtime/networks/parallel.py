"""A runner whose batches are computed by several threads, each with some of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from runtime.networks.runner import Array, NetworkRunner


class ParallelRunner:
    """Gives each thread some rows of a batch.

    The threads of ONNX Runtime share each operator, and wait for each other after it. The operators of a network of
    landmarks are so small that a part of the work of each thread is lost; with rows of their own nothing is.

    Args:
        runner: may be called by several threads at once.
        threads: that compute a batch, the caller among them.
    """

    def __init__(self, runner: NetworkRunner, threads: int) -> None:
        self.name, self.row = runner.name, runner.row
        self._runner = runner
        self._threads = threads
        self._others = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="network")

    def run(self, batch: Array) -> Mapping[str, Array]:
        """Return the outputs by name, `(B, ...)` each, of an input `(B, *row)`; several threads may call it at once.

        Raises:
            Exception: whatever the runner raised for some of the rows.
        """
        if min(len(batch), self._threads) < 2:
            return self._runner.run(batch)
        mine, *parts = np.array_split(batch, min(len(batch), self._threads))
        others = [self._others.submit(self._runner.run, part) for part in parts]
        try:
            results = [self._runner.run(mine)]
        finally:
            wait(others)  # so that the runner is not closed under them
        results += [other.result() for other in others]
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}

    def close(self) -> None:
        """Release the engine and the threads."""
        self._others.shutdown()
        self._runner.close()
