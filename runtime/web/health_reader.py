"""Reads the health of the service without being blocked by it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Snapshot = dict[str, Any]


class HealthReader:
    """Reads the health in a thread of its own, one at a time, and caches it for half a second.

    Use it from one event loop only.

    Args:
        health: returns the snapshot; it may hang or raise when the service has failed.
        timeout: how long a request waits for it, seconds.
        max_age: how old a cached snapshot may be, seconds.
    """

    def __init__(self, health: Callable[[], Snapshot], timeout: float = 2.0, max_age: float = 0.5) -> None:
        self._health = health
        self._timeout = timeout
        self._max_age = max_age
        self._last: tuple[float, Snapshot] | None = None
        self._reading: asyncio.Future[Snapshot] | None = None

    async def read(self) -> Snapshot | None:
        """Return the snapshot, None when it failed or took too long."""
        if self._last and time.monotonic() - self._last[0] < self._max_age:
            return self._last[1]
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_future()
            # The thread is a daemon: a health that hangs must not keep the process from ending.
            threading.Thread(target=self._run, args=(self._reading,), name="web-health", daemon=True).start()
        await asyncio.wait([self._reading], timeout=self._timeout)
        if not self._reading.done():
            return None
        snapshot = self._reading.result()
        if snapshot:
            self._last = time.monotonic(), snapshot
        return snapshot or None

    def _run(self, reading: asyncio.Future[Snapshot]) -> None:
        try:
            snapshot = self._health()
        except Exception:  # noqa: BLE001  # whatever is wrong with the service, the page must report it
            snapshot = {}
        with suppress(RuntimeError):  # the server has stopped in the meantime
            reading.get_loop().call_soon_threadsafe(reading.set_result, snapshot)
