"""Sends stored messages to one receiver: in order, at least once, however long the receiver is unreachable.

Messages of cameras that were not armed are skipped, and `alarm_evidence` where the receiver takes no pictures.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from runtime.events.delivery import Delivery, DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.store import EventStore, StoreError

logger = logging.getLogger(__name__)

State = Literal["idle", "sending", "waiting"]

_BATCH = 20
_MAX_RETRY_AFTER = 3600.0


class Sender:
    """Delivers in a thread of its own; the delivery must be registered with the store.

    Args:
        store: where the messages are.
        delivery: how they are delivered; closed with the sender.
        first_wait: seconds before the second try. Each further wait is twice as long, and a random part of up to a half
            is subtracted, so that many devices do not retry at the same time.
        max_wait: the longest wait, unless the receiver asks for more (up to an hour).
        takes: whether a message is for this receiver, others are skipped; None takes all of armed cameras.
    """

    def __init__(
        self,
        store: EventStore,
        delivery: Delivery,
        first_wait: float = 1.0,
        max_wait: float = 60.0,
        takes: Callable[[EventMessage], bool] | None = None,
    ) -> None:
        self._takes = takes or self._is_deliverable
        self._store = store
        self.delivery = delivery
        self._first_wait = first_wait
        self._max_wait = max_wait
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._drain_now = threading.Event()
        self._state: State = "idle"
        self._failing = False
        self._delivered = 0
        self._failures = 0
        self._refused = 0
        self._last_error: str | None = None
        store.add_listener(self._wake.set)
        self._thread = threading.Thread(target=self._run, name=f"sender-{delivery.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The name of the delivery."""
        return self.delivery.name

    def statistics(self) -> dict[str, Any]:
        """Return `state`, `pending`, `delivered`, `failures` (tries), `refused` (messages) and `last_error`."""
        with self._lock:
            return {
                "state": self._state,
                "pending": self._store.pending(self.name),
                "delivered": self._delivered,
                "failures": self._failures,
                "refused": self._refused,
                "last_error": self._last_error,
            }

    def drain(self, timeout: float) -> bool:
        """Try once more without waiting; return whether everything is delivered in time."""
        deadline = time.monotonic() + timeout
        self._drain_now.set()
        self._wake.set()
        while self._store.pending(self.name) and self._drain_now.is_set() and time.monotonic() < deadline:
            self._stopping.wait(0.02)
        return self._store.pending(self.name) == 0

    def close(self, timeout: float = 5.0) -> None:
        """End the thread and close the delivery; the next process delivers what is left."""
        self._store.remove_listener(self._wake.set)
        self._stopping.set()
        self._wake.set()
        self._thread.join(min(1.0, timeout))
        self.delivery.close()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("%s: the sender did not stop in time, it still waits for its receiver", self.name)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        wait = self._first_wait
        while not self._stopping.is_set():
            self._wake.clear()
            retry_after = self._deliver()
            if retry_after is None:
                wait = self._first_wait
                if self._store.pending(self.name) == 0:
                    self._drain_now.clear()
                    self._wake.wait()
                continue
            self._drain_now.clear()
            jittered = wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
            self._pause(max(jittered, min(retry_after, _MAX_RETRY_AFTER)))
            wait = min(2 * wait, self._max_wait)

    def _pause(self, seconds: float) -> None:
        """Wait; new messages do not shorten it, but `drain` and `close` do."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._wake.wait(left)
            if self._stopping.is_set() or self._drain_now.is_set():
                return
            self._wake.clear()

    def _deliver(self) -> float | None:
        """Deliver a batch; return None on success, else the minimum seconds to wait."""
        try:
            numbered, highest = self._store.undelivered(self.name, _BATCH)
        except Exception as error:  # noqa: BLE001 - the thread must survive any failure of the disk
            return self._on_failure(f"the messages cannot be read: {error}")
        if not numbered:
            # Older messages that were pending have been removed by the limits of the store.
            self._advance(highest, 0)
            self._set_state("idle")
            return None
        taken = [(number, message) for number, message in numbered if self._takes(message)]
        if not taken:
            self._advance(numbered[-1][0], 0)
            return None
        self._set_state("sending")
        numbers, messages = zip(*taken, strict=True)
        try:
            self.delivery.deliver(messages)
        except DeliveryFailed as failure:
            done = failure.delivered
            if done:
                self._advance(numbers[done - 1], done)
            if not failure.refused:
                return self._on_failure(failure.reason, failure.retry_after or 0.0)
            logger.error(
                "%s refused the event %s, which is skipped: %s",
                self.name,
                messages[done].key,
                failure.reason,
            )
            with self._lock:
                self._refused += 1
                self._last_error = failure.reason
            self._advance(numbers[done], 0)
        except Exception as error:  # noqa: BLE001 - a delivery that fails in a new way must not end the thread
            return self._on_failure(f"{type(error).__name__}: {error}")
        else:
            self._advance(numbered[-1][0], len(numbers))
        self._on_success()
        return None

    def _is_deliverable(self, message: EventMessage) -> bool:
        return message.armed and (message.type != "alarm_evidence" or self.delivery.pictures)

    def _advance(self, number: int, delivered: int) -> None:
        with self._lock:
            self._delivered += delivered
        if number <= self._store.cursor(self.name):
            return
        try:
            self._store.advance(self.name, number)
        except StoreError as error:
            logger.debug("%s: the position in the store was not saved: %s", self.name, error)

    def _set_state(self, state: State) -> None:
        with self._lock:
            self._state = state

    def _on_failure(self, reason: str, retry_after: float = 0.0) -> float:
        with self._lock:
            self._state = "waiting"
            self._failures += 1
            self._last_error = reason
        if not self._failing and not self._stopping.is_set():
            logger.warning("%s: events cannot be delivered and wait in the store: %s", self.name, reason)
            self._failing = True
        return retry_after

    def _on_success(self) -> None:
        self._set_state("idle")
        if self._failing:
            logger.info("%s: events are delivered again", self.name)
            self._failing = False
