from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.events.message import EventMessage
from runtime.events.store import EventStore
from runtime.events.store_writer import StoreWriter

MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]

# A file limit stands for the full disk: SQLite gets the same kind of error in the middle of a write.
FULL_DISK = """
import json, logging, resource, sys, time
from pathlib import Path
from runtime.events.store_writer import StoreWriter
from runtime.events.message import EventMessage
from runtime.events.store import EventStore

def message(number):
    return EventMessage(f"{number:032x}", 0, "end", "door", time.time(), {"number": number, "text": "x" * 4000})

logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
store = EventStore(Path(sys.argv[1]))
store_writer = StoreWriter(store, first_wait=0.02, max_wait=0.05)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
for number in range(300):
    store_writer.submit(message(number))
    time.sleep(0.001)
full = not store_writer.flush(1.0)
before = [m.content["number"] for _, m in store.messages_after(0, 1000)]
waiting = store_writer.statistics()["waiting"]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
flushed = store_writer.flush(10.0)
after = [m.content["number"] for _, m in store.messages_after(0, 1000)]
store_writer.close()
store.close()
print(json.dumps([full, before, waiting, flushed, after]))
"""


class Blocked:
    """Holds the database of a store, as another program may."""

    def __init__(self, store: EventStore) -> None:
        self._connection = sqlite3.connect(store.path, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


@pytest.fixture
def impatient(tmp_path: Path) -> EventStore:
    return EventStore(tmp_path / "events.sqlite", busy_seconds=0.01)


def test_messages_are_stored_in_order(store: EventStore, make_message: MakeMessage) -> None:
    with StoreWriter(store) as store_writer:
        for sequence in range(250):
            store_writer.submit(make_message(sequence=sequence, kind="update"))
        assert store_writer.flush(10)
        assert store_writer.statistics() == {"stored": 250, "waiting": 0, "lost": 0}
    assert [each.sequence for _, each in store.messages_after(0, 1000)] == list(range(250))


def test_what_waits_is_stored_at_the_end(store: EventStore, make_message: MakeMessage) -> None:
    with StoreWriter(store) as store_writer:
        store_writer.submit(*(make_message(sequence=sequence, kind="update") for sequence in range(50)))
    assert store.count() == 50


def test_a_locked_store_is_tried_again_and_logged_once(
    impatient: EventStore, make_message: MakeMessage, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="runtime")
    with impatient as store, StoreWriter(store, first_wait=0.01, max_wait=0.02) as store_writer:
        blocked = Blocked(store)
        store_writer.submit(make_message())  # returns although the store is locked
        assert not store_writer.flush(0.1)
        assert store_writer.statistics()["waiting"] == 1
        blocked.release()
        assert store_writer.flush(5)
        assert store.count() == 1
        eventually(lambda: len(caplog.messages) == 2)
    assert "wait in memory" in caplog.messages[0]
    assert "locked" in caplog.messages[0]
    assert caplog.messages[1] == "Events are stored again"


def test_memory_is_bounded_and_updates_go_first(
    impatient: EventStore, make_message: MakeMessage, eventually: Eventually
) -> None:
    with impatient as store:
        blocked = Blocked(store)
        with StoreWriter(store, capacity=6, first_wait=0.01, max_wait=0.02) as store_writer:
            store_writer.submit(make_message("f" * 32))  # in the thread's hands
            eventually(lambda: store_writer._batch)
            store_writer.submit(make_message("a" * 32), make_message("a" * 32, 1, "update"))
            store_writer.submit(make_message("b" * 32), make_message("b" * 32, 1, "update"))
            store_writer.submit(make_message("a" * 32, 2, "end"))
            store_writer.submit(make_message("a" * 32, 3, "update"))  # dropped: it is full
            store_writer.submit(make_message("b" * 32, 2, "end"))  # instead of the first update
            store_writer.submit(make_message("c" * 32))  # instead of the second
            store_writer.submit(make_message("d" * 32))  # instead of the oldest
            assert store_writer.statistics() == {"stored": 0, "waiting": 6, "lost": 4}
            blocked.release()
            assert store_writer.flush(5)
        assert [each.key[0] + each.key[32:] for _, each in store.messages_after(0)] == [
            *("f-0", "b-0", "a-2", "b-2", "c-0", "d-0")
        ]


def test_a_message_that_is_no_json_does_not_hold_up_the_others(
    store: EventStore, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    with StoreWriter(store) as store_writer:
        store_writer.submit(
            make_message(),
            make_message(sequence=1, kind="update", score=float("inf")),
            make_message(sequence=2, kind="end"),
        )
        assert store_writer.flush(5)
        assert store_writer.statistics() == {"stored": 2, "waiting": 0, "lost": 1}
    assert f"{'a' * 32}-1 cannot be stored" in caplog.text


def test_it_keeps_the_store_within_its_limits(tmp_path: Path, make_message: MakeMessage) -> None:
    with (
        EventStore(tmp_path / "events.sqlite", keep_messages=20) as store,
        StoreWriter(store) as store_writer,
    ):
        for number in range(100):
            store_writer.submit(make_message(f"{number:032x}", kind="end"))
        store_writer.flush(10)
        store_writer.close()
        assert store.count() == 20


def test_what_cannot_be_stored_at_the_end_is_said(
    impatient: EventStore, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    with impatient as store:
        blocked = Blocked(store)
        store_writer = StoreWriter(store, first_wait=0.01)
        store_writer.submit(make_message(), make_message(sequence=1, kind="end"))
        store_writer.close(timeout=0.3)
        blocked.release()
    assert caplog.messages[-1] == "2 events were not stored before the end and are lost"
    assert not store_writer._thread.is_alive()


def test_a_full_disk_loses_nothing_and_is_used_again_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "events.sqlite")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    full, before, waiting, flushed, after = json.loads(done.stdout)
    assert full
    assert before == list(range(len(before)))
    assert 5 < len(before) < 300
    assert len(before) + waiting == 300
    assert flushed
    assert after == list(range(300))
    assert done.stderr.count("\n") == 2, done.stderr  # it fails, it goes on


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A file system of 400 KiB, and a function that gives it another size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("mount is not installed")

    def resize(size: str) -> None:
        subprocess.run([mount, "-o", f"remount,size={size}", disk], check=True)

    words = [mount, "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield disk, resize
    subprocess.run([umount, disk], check=True)


def test_a_file_system_without_room_loses_nothing(
    small_disk: tuple[Path, Callable[[str], None]],
    make_message: MakeMessage,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk, resize = small_disk
    caplog.set_level(logging.INFO, logger="runtime")
    with EventStore(disk / "events.sqlite") as store, StoreWriter(store, 10_000, 0.02, 0.05) as store_writer:
        store_writer.submit(*(make_message(f"{number:032x}", kind="end") for number in range(30)))
        assert store_writer.flush(5)
        store_writer.submit(*(make_message(f"{number:032x}", kind="end") for number in range(30, 200)))
        assert not store_writer.flush(0.5)
        assert len(store.recent(1000)) == store_writer.statistics()["stored"] >= 30
        resize("40m")
        assert store_writer.flush(10)
        assert [int(each.id, 16) for _, each in store.messages_after(0, 1000)] == list(range(200))
        eventually(lambda: len(caplog.messages) >= 2)
    assert "disk is full" in caplog.messages[0]
    assert caplog.messages[1:] == ["Events are stored again"]


def test_a_disk_that_is_full_from_the_start_stops_nobody(
    small_disk: tuple[Path, Callable[[str], None]], make_message: MakeMessage
) -> None:
    disk, resize = small_disk
    (disk / "events.sqlite.lock").touch()
    with (disk / "other").open("wb", buffering=0) as other, contextlib.suppress(OSError):
        while True:
            other.write(b"x" * 4096)
    with EventStore(disk / "events.sqlite") as store:
        store.register(["mqtt"])
        with StoreWriter(store, 10_000, 0.02, 0.05) as store_writer:
            store_writer.submit(make_message())
            assert not store_writer.flush(0.2)
            resize("4m")
            assert store_writer.flush(5)
        assert store.pending("mqtt") == 1
