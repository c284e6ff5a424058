"""Stores messages and replays in a thread of its own, so that scoring never waits for the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from runtime.events.message import EventMessage
from runtime.events.store import EventStore

logger = logging.getLogger(__name__)

_BATCH = 100
_CLEAN_UP_SECONDS = 60.0
_MAX_REPLAYS = 64  # parts that may wait; beyond, the oldest are lost


class _Replay(NamedTuple):
    """A part of the replay of an alarm that waits to be stored."""

    encode: Callable[[], bytes]
    evidence: EventMessage | None


class StoreWriter:
    """Stores messages and replays in a thread of its own, and removes old ones from the store.

    Args:
        store: where messages go.
        capacity: messages that may wait in memory while the disk is full or slow. Beyond it updates are dropped first,
            then the oldest messages; all are counted.
        first_wait: seconds before the second try; each further wait is twice as long.
        max_wait: the longest wait.
    """

    def __init__(
        self,
        store: EventStore,
        capacity: int = 10_000,
        first_wait: float = 0.5,
        max_wait: float = 30.0,
    ) -> None:
        self._store = store
        self._capacity = capacity
        self._first_wait = first_wait
        self._max_wait = max_wait
        self._queue: deque[EventMessage] = deque()
        self._batch: list[EventMessage] = []
        self._replays: dict[tuple[str, str], _Replay] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._failing = False
        self._stored = 0
        self._lost = 0
        self._cleaned_up = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="event-store-writer", daemon=True)
        self._thread.start()

    def submit(self, *messages: EventMessage) -> None:
        """Take messages to store; never waits for the disk and never fails."""
        with self._changed:
            for message in messages:
                if len(self._queue) + len(self._batch) < self._capacity or self._make_room(message):
                    self._queue.append(message)
            self._changed.notify_all()

    def put_replay(
        self, alarm: str, part: str, encode: Callable[[], bytes], evidence: EventMessage | None = None
    ) -> None:
        """Take a part of the replay of an alarm to store in place of what was stored of it; never waits for the disk.

        Args:
            alarm: its id; a message about it was submitted before.
            part: such as `skeletons`.
            encode: returns its stored form; called in the thread that stores.
            evidence: says that the replay is whole then; stored after it if a delivery takes such messages.
        """
        with self._changed:
            self._replays.pop((alarm, part), None)
            self._replays[alarm, part] = _Replay(encode, evidence)
            if len(self._replays) > _MAX_REPLAYS:
                (lost, name), _ = next(iter(self._replays.items()))
                del self._replays[lost, name]
                logger.error("The %s of the alarm %s are not stored: too much waits to be stored", name, lost)
            self._changed.notify_all()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything is stored; return whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._queue and not self._batch and not self._replays, timeout
            )

    def statistics(self) -> dict[str, int]:
        """Return how many messages were `stored` by this process, are `waiting`, and were `lost` at full capacity."""
        with self._changed:
            return {
                "stored": self._stored,
                "waiting": len(self._queue) + len(self._batch),
                "lost": self._lost,
            }

    def close(self, timeout: float = 5.0) -> None:
        """Store what waits, as far as the timeout allows, and end the thread."""
        self.flush(timeout)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout)
        waiting = self.statistics()["waiting"]
        if waiting:
            logger.error("%d events were not stored before the end and are lost", waiting)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_room(self, message: EventMessage) -> bool:
        """Drop one message; return whether it is another than this one."""
        self._lost += 1
        if message.kind == "update":
            return False
        for index, waiting in enumerate(self._queue):
            if waiting.kind == "update":
                del self._queue[index]
                return True
        if self._queue:
            self._queue.popleft()
            return True
        return False

    def _run(self) -> None:
        wait = self._first_wait
        while self._next_batch():
            if (not self._batch or self._store_batch()) and self._store_replay():
                wait = self._first_wait
                self._clean_up()
            else:
                with self._changed:
                    if self._stopping:
                        return
                    # Messages that come do not wait for a replay, which may be too large for the disk.
                    self._changed.wait_for(
                        lambda: self._stopping or (bool(self._queue) and not self._batch), wait
                    )
                wait = min(2 * wait, self._max_wait)

    def _next_batch(self) -> bool:
        """Wait for messages and replays; return False when all are stored and the thread is to end."""
        while True:
            with self._changed:
                while self._queue and len(self._batch) < _BATCH:
                    self._batch.append(self._queue.popleft())
                if self._batch or self._replays or self._stopping:
                    return bool(self._batch or self._replays)
                self._changed.wait_for(
                    lambda: bool(self._queue or self._replays) or self._stopping, _CLEAN_UP_SECONDS
                )
            if time.monotonic() - self._cleaned_up >= _CLEAN_UP_SECONDS:
                self._clean_up()

    def _store_batch(self) -> bool:
        try:
            self._store.append(*self._batch)
        except (ValueError, TypeError, OverflowError) as error:  # one of the messages is not JSON
            if len(self._batch) == 1:
                logger.error("The event %s cannot be stored: %s", self._batch[0].key, error)
                self._done(stored=0, lost=1)
                return True
            with self._changed:
                self._queue.extendleft(reversed(self._batch[1:]))
                del self._batch[1:]
            return self._store_batch()
        except Exception as error:  # noqa: BLE001 - the thread must survive any failure of the disk
            self._on_failure(error)
            return False
        self._on_success()
        self._done(stored=len(self._batch), lost=0)
        return True

    def _store_replay(self) -> bool:
        """Store the part that has waited longest, if any; return False when it has to wait."""
        with self._changed:
            found = next(iter(self._replays.items()), None)
            if (
                found is None or self._queue
            ):  # messages first: the replay may be of an alarm that they begin or end
                return True
        (alarm, part), replay = found
        try:
            data = replay.encode()
        except Exception as error:  # noqa: BLE001 - the thread must survive what cannot be encoded
            logger.error("The %s of the alarm %s cannot be stored: %s", part, alarm, error)
        else:
            try:
                self._store.put_replay(alarm, part, data)
                if replay.evidence is not None:
                    self._store.finish_replay(replay.evidence)
            except Exception as error:  # noqa: BLE001 - the thread must survive any failure of the disk
                self._on_failure(error)
                return False
            self._on_success()
        with self._changed:
            if self._replays.get((alarm, part)) is replay:
                del self._replays[alarm, part]
            self._changed.notify_all()
        return True

    def _done(self, stored: int, lost: int) -> None:
        with self._changed:
            self._batch.clear()
            self._stored += stored
            self._lost += lost
            self._changed.notify_all()

    def _on_failure(self, error: Exception) -> None:
        if not self._failing:
            logger.error("Events cannot be stored and wait in memory: %s", error)
            self._failing = True

    def _on_success(self) -> None:
        if self._failing:
            logger.info("Events are stored again")
            self._failing = False

    def _clean_up(self) -> None:
        self._cleaned_up = time.monotonic()
        try:
            while self._store.remove_old() and not self._queue:
                pass
        except Exception as error:  # noqa: BLE001 - it is tried again later, and must not end the thread
            logger.debug("Old events were not removed from the store: %s", error)
