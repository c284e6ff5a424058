"""Messages and results made by hand, and deliveries that do as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage, Kind
from runtime.events.store import EventStore
from runtime.json_values import iso


@pytest.fixture
def broker(mosquitto: Callable[..., Any]) -> Any:
    """Return a running broker of its own."""
    return mosquitto()


@pytest.fixture
def make_message() -> Callable[..., EventMessage]:
    """Return a function that makes a message."""

    def make(
        id: str = "a" * 32,  # noqa: A002 - the name of the field
        sequence: int = 0,
        kind: Kind = "begin",
        camera: str = "door",
        utc: float | None = None,
        **more: object,
    ) -> EventMessage:
        utc = time.time() if utc is None else utc
        peak = {"score": 5.5, "p_value": 0.001, "person": 3, "skeletons": [[[1.5, 2.5]] * 18] * 24}
        content = {
            "schema": 1,
            "id": id,
            "sequence": sequence,
            "event": kind,
            "camera": camera,
            "utc": iso(utc),
            "began_utc": iso(utc),
            "seconds": 2.5,
            "score": 4.5,
            "peak": peak,
            **more,
        }
        return EventMessage(id, sequence, kind, camera, utc, content)

    return make


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    """A store, closed at the end."""
    with EventStore(tmp_path / "events.sqlite") as opened:
        yield opened


class FakeDelivery:
    """Remembers what it was given; fails as often as `failures` has something to raise."""

    name = "fake"
    pictures = False

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.got: list[EventMessage] = []
        self.tries = 0
        self.closed = False
        self.down = threading.Event()

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        self.tries += 1
        if self.down.is_set():
            raise DeliveryFailed("it is down")
        if self.failures:
            failure = self.failures.pop(0)
            self.got += messages[: getattr(failure, "delivered", 0)]
            raise failure
        self.got += messages

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake_delivery() -> type[FakeDelivery]:
    """The class of deliveries that do as they are told."""
    return FakeDelivery


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Return a function that waits until a condition holds."""

    def wait(condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)

    return wait
