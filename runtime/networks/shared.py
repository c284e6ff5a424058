"""One runner for several threads: what they ask for while a call runs goes into the next call together."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from runtime.networks.runner import Array, NetworkRunner


class _Request:
    def __init__(self, batch: Array) -> None:
        self.batch = batch
        self.outputs: Mapping[str, Array] | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.outputs is not None or self.error is not None


class SharedRunner:
    """Joins the batches of threads that wait for a runner, and gives each its own rows of the outputs.

    A thread never waits for others to come: with one camera every call is its own. With many, a GPU gets the people of
    all cameras in one batch.

    Args:
        runner: is called by one thread at a time.
    """

    def __init__(self, runner: NetworkRunner) -> None:
        self.name = runner.name
        self.row = runner.row
        self._runner = runner
        self._turn = threading.Lock()
        self._waiting: list[_Request] = []
        self._waiting_lock = threading.Lock()

    def run(self, batch: Array) -> Mapping[str, Array]:
        """Return the outputs by name, `(B, ...)` each, of an input `(B, *row)`.

        Raises:
            Exception: whatever the runner raised for a call that this batch was in.
        """
        request = _Request(batch)
        with self._waiting_lock:
            self._waiting.append(request)
        with self._turn:
            if not request.done:
                with self._waiting_lock:
                    together, self._waiting = self._waiting, []
                self._serve(together)
        if request.error is not None:
            raise request.error
        assert request.outputs is not None
        return request.outputs

    def close(self) -> None:
        """Release the engine and its memory."""
        self._runner.close()

    def _serve(self, requests: list[_Request]) -> None:
        parts = [request.batch for request in requests]
        batch = parts[0] if len(parts) == 1 else np.concatenate(parts)
        try:
            outputs = self._runner.run(batch)
        except Exception as error:  # noqa: BLE001  each of the threads raises it
            for request in requests:
                request.error = error
            return
        first = 0
        for request in requests:
            last = first + len(request.batch)
            request.outputs = {name: rows[first:last] for name, rows in outputs.items()}
            first = last
