from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.sender import Sender
from runtime.events.store import EventStore

MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]


def messages(make: MakeMessage, count: int, start: int = 0) -> list[EventMessage]:
    return [make(f"{start + number:032x}", kind="end") for number in range(count)]


@pytest.fixture
def ready(store: EventStore) -> EventStore:
    """A store that knows the delivery."""
    store.register(["fake"])
    return store


def test_messages_come_in_order_and_once(
    ready: EventStore, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    delivery = fake_delivery()
    sent = messages(make_message, 100)
    ready.append(*sent[:50])
    with Sender(ready, delivery) as sender:
        ready.append(*sent[50:])
        eventually(lambda: len(delivery.got) == 100)
        assert sender.drain(5)
        eventually(lambda: sender.statistics()["state"] == "idle")
        assert sender.statistics() == {
            "state": "idle",
            "pending": 0,
            "delivered": 100,
            "failures": 0,
            "refused": 0,
            "last_error": None,
        }
    assert delivery.got == sent
    assert delivery.closed
    assert ready._listeners == []


def test_messages_of_cameras_that_were_not_armed_are_skipped(
    ready: EventStore, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    """Every third is armed; a failure in the middle of a batch, and a refusal, count only those."""
    sent = [make_message(f"{number:032x}", kind="end", armed=number % 3 == 0) for number in range(60)]
    delivery = fake_delivery(
        DeliveryFailed("no bridge", delivered=2), DeliveryFailed("no thanks", delivered=1, refused=True)
    )
    ready.append(*sent)
    with Sender(ready, delivery, first_wait=0.01) as sender:
        eventually(lambda: sender.statistics()["pending"] == 0)
        assert sender.statistics()["delivered"] == 19
        assert sender.statistics()["refused"] == 1
        ready.append(make_message("f" * 32, kind="end", armed=False))
        eventually(lambda: sender.statistics()["pending"] == 0)
        eventually(lambda: sender.statistics()["state"] == "idle")
    assert delivery.got == [message for message in sent[::3] if message is not sent[9]]
    assert ready.cursor("fake") == 61
    assert ready.count() == 61, "they are stored"
    assert [alarm["armed"] for alarm in ready.recent(61)] == [False] + [n % 3 == 0 for n in range(59, -1, -1)]


def test_failures_are_tried_again_and_logged_when_they_begin_and_end(
    ready: EventStore,
    make_message: MakeMessage,
    fake_delivery: Any,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="runtime")
    delivery = fake_delivery(
        DeliveryFailed("no road"), DeliveryFailed("no bridge", delivered=3), RuntimeError("a bug")
    )
    sent = messages(make_message, 10)
    ready.append(*sent)
    with Sender(ready, delivery, first_wait=0.01) as sender:
        eventually(lambda: sender.statistics()["delivered"] == 10)
        eventually(lambda: len(caplog.messages) == 2)
        statistics = sender.statistics()
    assert delivery.got == sent
    assert (statistics["failures"], statistics["last_error"]) == (3, "RuntimeError: a bug")
    assert caplog.messages == [
        "fake: events cannot be delivered and wait in the store: no road",
        "fake: events are delivered again",
    ]


def test_a_refused_message_is_skipped(
    ready: EventStore,
    make_message: MakeMessage,
    fake_delivery: Any,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    delivery = fake_delivery(DeliveryFailed("it is bad", delivered=2, refused=True))
    sent = messages(make_message, 5)
    ready.append(*sent)
    with Sender(ready, delivery, first_wait=60) as sender:
        eventually(lambda: ready.pending("fake") == 0)
        statistics = sender.statistics()
    assert delivery.got == [*sent[:2], *sent[3:]]
    assert (statistics["delivered"], statistics["refused"], statistics["failures"]) == (4, 1, 0)
    assert f"fake refused the event {sent[2].key}, which is skipped: it is bad" in caplog.text


def test_waits_grow_to_their_limit_and_the_receiver_may_ask_for_more(
    ready: EventStore,
    make_message: MakeMessage,
    fake_delivery: Any,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    failures = [DeliveryFailed("no", retry_after={6: 30.0, 7: 1e9}.get(number)) for number in range(8)]
    delivery = fake_delivery(*failures)
    ready.append(*messages(make_message, 1))
    monkeypatch.setattr(Sender, "_pause", lambda self, seconds: waits.append(seconds))
    with Sender(ready, delivery, first_wait=1, max_wait=8):
        eventually(lambda: delivery.got)
    for wait, limit in zip(waits, (1, 2, 4, 8, 8, 8), strict=False):
        assert limit / 2 <= wait <= limit
    assert waits[6:] == [30.0, 3600.0]


def test_new_messages_do_not_shorten_the_wait_but_the_end_does(
    ready: EventStore, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    delivery = fake_delivery(DeliveryFailed("no"))
    ready.append(*messages(make_message, 1))
    with Sender(ready, delivery, first_wait=60) as sender:
        eventually(lambda: sender.statistics()["state"] == "waiting")
        ready.append(*messages(make_message, 5, 1))
        assert delivery.tries == 1
        assert sender.statistics()["pending"] == 6
        assert sender.drain(5)
        assert len(delivery.got) == 6


def test_drain_ends_when_the_receiver_is_unreachable(
    ready: EventStore, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    delivery = fake_delivery()
    delivery.down.set()
    ready.append(*messages(make_message, 1))
    with Sender(ready, delivery, first_wait=60) as sender:
        eventually(lambda: sender.statistics()["state"] == "waiting")
        assert not sender.drain(math.inf)
    assert delivery.tries == 2


def test_the_next_process_goes_on_where_this_one_ended(
    tmp_path: Path, make_message: MakeMessage, fake_delivery: Any
) -> None:
    sent = messages(make_message, 60)
    first, second = fake_delivery(DeliveryFailed("no", delivered=7)), fake_delivery()
    with EventStore(tmp_path / "events.sqlite") as store:
        store.register(["fake"])
        with Sender(store, first, first_wait=60) as sender:
            store.append(*sent)
            sender.drain(0.3)
    with EventStore(tmp_path / "events.sqlite") as store:
        store.register(["fake"])
        with Sender(store, second) as sender:
            assert sender.drain(5)
    assert first.got + second.got == sent


def test_messages_that_were_removed_are_stepped_over(
    tmp_path: Path, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    delivery = fake_delivery()
    delivery.down.set()
    with EventStore(tmp_path / "events.sqlite", keep_messages=10) as store:
        store.register(["fake"])
        with Sender(store, delivery, first_wait=0.01, max_wait=0.01) as sender:
            sent = messages(make_message, 40)
            store.append(*sent)
            while store.remove_old():
                pass
            delivery.down.clear()
            eventually(lambda: sender.statistics()["pending"] == 0)
        assert delivery.got == sent[30:]
        assert store.lost == 30


def test_a_slow_delivery_does_not_hold_up_another(
    store: EventStore, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    release = threading.Event()

    class Slow(fake_delivery):  # type: ignore[misc]
        name = "slow"

        def deliver(self, messages: Sequence[EventMessage]) -> None:
            release.wait(10)
            super().deliver(messages)

    slow, quick = Slow(), fake_delivery()
    store.register(["slow", "fake"])
    with Sender(store, slow) as one, Sender(store, quick):
        store.append(*messages(make_message, 3))
        eventually(lambda: len(quick.got) == 3)
        assert one.statistics()["pending"] == 3
        release.set()
        eventually(lambda: len(slow.got) == 3)


def test_a_store_that_fails_for_a_while_does_not_end_the_courier(
    ready: EventStore,
    make_message: MakeMessage,
    fake_delivery: Any,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delivery = fake_delivery()
    with monkeypatch.context() as broken:
        broken.setattr(ready, "undelivered", lambda *_: 1 / 0)
        with Sender(ready, delivery, first_wait=0.01, max_wait=0.01) as sender:
            eventually(lambda: sender.statistics()["failures"] > 1)
            broken.undo()
            ready.append(*messages(make_message, 2))
            eventually(lambda: len(delivery.got) == 2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),  # messages that are stored
            st.lists(st.integers(0, 6), max_size=3),  # failures, after so many messages
        ),
        max_size=4,
    )
)
def test_over_failures_and_restarts_messages_come_in_order_at_least_once(
    make_message: MakeMessage, fake_delivery: Any, runs: list[tuple[int, list[int]]]
) -> None:
    got: list[EventMessage] = []
    sent: list[EventMessage] = []
    with EventStore() as store:
        for count, failures in [*runs, (0, [])]:
            store.register(["fake"])
            new = messages(make_message, count, len(sent))
            if new:
                store.append(*new)
            sent += new
            delivery = fake_delivery()
            pending = store.pending("fake")
            for after in failures:
                done = min(after, max(pending - 1, 0))
                delivery.failures.append(DeliveryFailed("no", delivered=done))
                pending -= done
            with Sender(store, delivery, first_wait=0.001, max_wait=0.001) as sender:
                deadline = time.monotonic() + 5
                while not sender.drain(1):
                    assert time.monotonic() < deadline
            got += delivery.got
    assert list(dict.fromkeys(each.key for each in got)) == [each.key for each in sent]
