from __future__ import annotations

import logging
import re
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from daflow.core.errors import InputError
from runtime.events.message import EventMessage
from runtime.events.store import EventStore, StoreError

MakeMessage = Callable[..., EventMessage]


def ids(count: int) -> list[str]:
    return [f"{number:032x}" for number in range(count)]


def sql(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(statement).fetchall()
        connection.commit()
    finally:
        connection.close()
    return rows


def test_messages_come_back_as_they_were_also_after_a_restart(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "new" / "events.sqlite"
    messages = [make_message(), make_message(sequence=1, kind="update"), make_message(sequence=2, kind="end")]
    with EventStore(path) as store:
        store.append(*messages)
        assert store.messages_after(0) == list(enumerate(messages, 1))
    with EventStore(path) as store:
        assert store.messages_after(0) == list(enumerate(messages, 1))
        assert store.messages_after(1, 1) == [(2, messages[1])]
        assert store.messages_after(3) == []


def test_it_is_a_wal_file_that_is_synchronised_and_can_shrink(store: EventStore) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "auto_vacuum", "user_version")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert store._database.run(pragmas) == ["wal", 2, 2, 2]


def test_a_message_that_is_there_is_not_stored_twice(store: EventStore, make_message: MakeMessage) -> None:
    message = make_message()
    store.append(message)
    store.append(message, make_message(sequence=1, kind="update"))
    assert [each.sequence for _, each in store.messages_after(0)] == [0, 1]


def test_messages_are_stored_all_or_none(store: EventStore, make_message: MakeMessage) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.append(make_message(), make_message(sequence=1, kind="update", score=float("nan")))
    assert store.count() == 0


def test_alarms_are_listed_newest_first(store: EventStore, make_message: MakeMessage) -> None:
    names = ids(6)
    for number, name in enumerate(names):
        store.append(make_message(name, camera="door" if number % 2 else "hall", utc=1000.0 + number))
    store.append(
        make_message(names[0], 1, "end", camera="hall", utc=2000.0, seconds=9.5, reason="score_fell")
    )
    assert [alarm["id"] for alarm in store.recent()] == names[::-1]
    assert [alarm["id"] for alarm in store.recent(2, camera="door")] == [names[5], names[3]]
    assert [alarm["id"] for alarm in store.recent(2, before=names[3])] == [names[2], names[1]]
    assert [alarm["id"] for alarm in store.recent(9, "door", names[3])] == [names[1]]
    assert store.recent(before="nobody") == []
    first, last = store.recent()[-1], store.recent()[0]
    assert first == {
        "id": names[0],
        "camera": "hall",
        "began_utc": "1970-01-01T00:33:20.000+00:00",
        "ended_utc": "1970-01-01T00:33:20.000+00:00",
        "seconds": 9.5,
        "score": 5.5,
        "p_value": 0.001,
        "rarity": None,
        "why": None,
        "person": 3,
        "reason": "score_fell",
        "interrupted": False,
        "armed": True,
        "label": None,
        "labelled_by": None,
        "labelled_utc": None,
    }
    assert (last["ended_utc"], last["reason"]) == (None, None)
    assert store.cameras_with_alarm() == {"door", "hall"}


def test_an_alarm_is_its_last_message(store: EventStore, make_message: MakeMessage) -> None:
    store.append(make_message(), make_message(sequence=1, kind="end"))
    alarm = store.alarm("a" * 32)
    assert alarm is not None
    assert (alarm["event"], len(alarm["peak"]["skeletons"])) == ("end", 24)
    assert store.alarm("b" * 32) is None


def test_alarms_of_a_process_that_was_killed_are_ended_at_the_next_start(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "events.sqlite"
    begun, ended = ids(2)
    with EventStore(path) as store:
        store.register(["mqtt"])
        store.append(make_message(begun), make_message(ended))
        store.append(make_message(begun, 1, "update"), make_message(ended, 1, "end"))
    for _ in range(2):
        with EventStore(path) as store:
            store.register(["mqtt"])
            assert store.pending("mqtt") == 5
            _, last = store.messages_after(4)[0]
            assert (last.id, last.sequence, last.kind) == (begun, 2, "end")
            assert last.content["interrupted"] is True
            assert (last.content["event"], last.content["reason"]) == ("end", "interrupted")
            assert [(alarm["id"], alarm["interrupted"]) for alarm in store.recent()] == [
                (ended, False),
                (begun, True),
            ]
            store.register(["mqtt"])
            store.append(make_message(begun, 2, "end"))  # nothing is ended twice
    assert sql(path, "SELECT count(*) FROM messages") == [(5,)]


def test_registering_again_does_not_end_alarms_that_are_on(
    store: EventStore, make_message: MakeMessage
) -> None:
    store.append(make_message())
    store.register(["mqtt"])
    assert store.recent()[0]["ended_utc"] is None


def test_a_delivery_goes_on_where_it_was_and_a_new_one_begins_now(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.register(["mqtt"])
        store.append(*(make_message(name, kind="end") for name in ids(5)))
        store.advance("mqtt", 2)
    with EventStore(path) as store:
        store.register(["mqtt", "webhook"])
        assert (store.cursor("mqtt"), store.pending("mqtt")) == (2, 3)
        assert (store.cursor("webhook"), store.pending("webhook")) == (5, 0)
        messages, highest = store.undelivered("mqtt", 2)
        assert ([number for number, _ in messages], highest) == ([3, 4], 5)
        assert store.undelivered("webhook") == ([], 5)


def test_small_values_survive(tmp_path: Path) -> None:
    value = {"sum": 1.5, "days": [1, 2]}
    with EventStore(tmp_path / "events.sqlite") as store:
        assert store.get("drift.door") is None
        store.set("drift.door", {"sum": 0})
        store.set("drift.door", value)
    with EventStore(tmp_path / "events.sqlite") as store:
        assert store.get("drift.door") == value


def test_delivered_messages_go_with_age_and_others_stay(tmp_path: Path, make_message: MakeMessage) -> None:
    now = 100 * 86400.0
    with EventStore(tmp_path / "events.sqlite", keep_days=2, now=lambda: now) as store:
        store.register(["mqtt"])
        for day, name in enumerate(ids(10)):
            store.append(make_message(name, kind="end", utc=now - (9.5 - day) * 86400))
        store.advance("mqtt", 4)
        assert store.remove_old() == 4
        assert store.remove_old() == 0
        assert [number for number, _ in store.messages_after(0)] == [5, 6, 7, 8, 9, 10]
        assert len(store.recent()) == 6
        store.advance("mqtt", 10)
        assert (store.remove_old(), store.count(), store.lost) == (4, 2, 0)


def test_messages_that_are_too_many_go_and_undelivered_ones_are_counted(
    tmp_path: Path, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path, keep_messages=10) as store:
        store.register(["mqtt"])
        store.append(*(make_message(name, kind="end") for name in ids(25)))
        store.advance("mqtt", 9)
        assert (store.remove_old(), store.count(), store.lost) == (15, 10, 6)
        assert "6 events were removed before they were delivered" in caplog.text
        assert store.undelivered("mqtt", 1)[0][0][0] == 16
    with EventStore(path) as store:
        assert store.lost == 6


def test_a_delivery_that_is_no_longer_there_holds_nothing_up(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.register(["mqtt"])
    with EventStore(path, keep_messages=10) as store:
        store.register([])
        store.append(*(make_message(name, kind="end") for name in ids(25)))
        assert (store.remove_old(), store.lost) == (15, 0)


def test_the_file_stays_within_bounds(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "events.sqlite"
    sizes = []
    with EventStore(path, keep_messages=100) as store:
        for _ in range(16):
            store.append(*(make_message(uuid.uuid4().hex, kind="end") for _ in range(100)))
            while store.remove_old():
                pass
            sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
        assert store.count() == 100
    assert max(sizes[8:]) <= 1.1 * max(sizes[:8])
    assert path.stat().st_size < 2.5 * 100 * len(make_message().json()) + 100_000


@pytest.mark.parametrize(
    "garbage",
    [b"this is no database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 9000],
    ids=["text", "header only"],
)
def test_a_corrupt_file_is_moved_aside(
    tmp_path: Path, make_message: MakeMessage, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    path = tmp_path / "events.sqlite"
    path.write_bytes(garbage)
    with EventStore(path) as store:
        store.register(["mqtt"])
        store.append(make_message())
        assert store.pending("mqtt") == 1
    (aside,) = tmp_path.glob("events.sqlite.corrupt-*")
    assert aside.read_bytes() == garbage
    assert f"was corrupt (file is not a database): it was renamed to {aside.name}" in caplog.text


def test_a_file_that_becomes_corrupt_while_it_is_used_is_replaced(
    tmp_path: Path, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.register(["mqtt"])
        store.append(*(make_message(name, kind="end") for name in ids(200)))
        store.advance("mqtt", 150)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with EventStore(path) as store:
        store.register(["mqtt"])
        store.append(*(make_message(name, kind="end") for name in ids(3)))
        assert [each.id for _, each in store.messages_after(0)] == ids(3)
        assert len(store.undelivered("mqtt")[0]) == 3
    assert "was corrupt" in caplog.text


def test_numbers_go_on_in_the_file_that_replaces_a_corrupt_one(
    store: EventStore, make_message: MakeMessage
) -> None:
    store.register(["mqtt"])
    store.append(*(make_message(name, kind="end") for name in ids(50)))
    store.advance("mqtt", 50)
    store._database._disconnect()  # which also empties the journal into the file
    store.path.write_bytes(b"garbage" * 4096)
    store.append(make_message("b" * 32))
    assert store.pending("mqtt") == 1
    assert [number for number, _ in store.undelivered("mqtt")[0]] == [51]


def test_a_newer_file_and_another_database_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    EventStore(path).close()
    sql(path, "PRAGMA user_version=3")
    with pytest.raises(InputError, match="written by a newer version"):
        EventStore(path)
    other = tmp_path / "other.sqlite"
    sql(other, "CREATE TABLE other (a)")
    with pytest.raises(InputError, match="is another database, not an event store"):
        EventStore(other)
    assert sql(other, "SELECT name FROM sqlite_master") == [("other",)]


def test_paths_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot use"):
        EventStore(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot use"):
        EventStore(tmp_path / "file" / "events.sqlite")


def test_two_processes_do_not_share_a_store(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    code = (
        f"from runtime.events.store import EventStore; EventStore(__import__('pathlib').Path({str(path)!r}))"
    )
    with EventStore(path):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Another process uses the event store" in done.stderr


def test_without_a_path_nothing_is_left(make_message: MakeMessage) -> None:
    with EventStore() as store:
        store.append(make_message())
        folder = store.path.parent
        assert store.path.exists()
    assert not folder.exists()
    with pytest.raises(StoreError, match="closed"):
        store.append(make_message(sequence=1))


def test_a_locked_file_is_an_error_that_passes(tmp_path: Path, make_message: MakeMessage) -> None:
    with EventStore(tmp_path / "events.sqlite", busy_seconds=0.05) as store:
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.append(make_message())
        other.execute("ROLLBACK")
        other.close()
        store.append(make_message())
        assert store.count() == 1


def test_a_store_that_cannot_be_opened_yet_is_used_when_it_can(
    tmp_path: Path, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.register(["mqtt"])
        store.append(make_message(), make_message("b" * 32, kind="end"))
        store.advance("mqtt", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with EventStore(path, busy_seconds=0.05) as store:
        store.register(["mqtt"])
        with pytest.raises(StoreError):
            store.undelivered("mqtt")
        other.execute("ROLLBACK")
        other.close()
        assert [each.kind for _, each in store.undelivered("mqtt")[0]] == ["end", "end"]
        assert store.pending("mqtt") == 2
    assert "trying again" in caplog.text


def test_a_full_store_loses_nothing_and_goes_on_when_there_is_room(
    store: EventStore, make_message: MakeMessage
) -> None:
    def limit(pages: int) -> None:
        store._database.run(
            lambda connection: connection.execute(f"PRAGMA max_page_count={pages}").fetchall()
        )

    limit(60)
    stored = 0
    full = False
    while not full and stored < 1000:
        try:
            store.append(make_message(f"{stored:032x}", kind="end"))
            stored += 1
        except StoreError as error:
            full = "full" in str(error)
    assert full
    assert stored > 5
    assert store.count() == stored
    limit(100_000)
    store.append(make_message("f" * 32))
    assert store.count() == stored + 1


def test_many_threads_read_while_one_writes(store: EventStore, make_message: MakeMessage) -> None:
    store.register(["mqtt"])
    errors: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                for alarm in store.recent(5):
                    assert store.alarm(alarm["id"]) is not None
                store.undelivered("mqtt")
        except Exception as error:  # noqa: BLE001 - the thread's failure is the test's
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for name in ids(20):
        store.append(make_message(name))
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.count() == 20


def test_listeners_are_called_after_each_append(store: EventStore, make_message: MakeMessage) -> None:
    counts: list[int] = []

    def listener() -> None:
        counts.append(store.count())

    store.add_listener(listener)
    store.append(make_message())
    store.append(make_message(sequence=1, kind="update"))
    store.remove_listener(listener)
    store.append(make_message(sequence=2, kind="end"))
    assert counts == [1, 2]


def test_nothing_is_logged_when_all_is_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="runtime"), EventStore(tmp_path / "events.sqlite") as store:
        store.remove_old()
    assert caplog.records == []


def test_a_file_that_is_removed_while_it_is_used_is_made_anew(
    store: EventStore, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    store.register(["mqtt"])
    store.append(*(make_message(name, kind="end") for name in ids(5)))
    store.advance("mqtt", 5)
    store.path.unlink()
    store.append(make_message("b" * 32))
    assert store.path.exists()
    assert [number for number, _ in store.undelivered("mqtt")[0]] == [6]
    assert "was removed or replaced" in caplog.text


def test_a_store_that_another_thread_closed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    store = EventStore(path)
    thread = threading.Thread(target=store.close)
    thread.start()
    thread.join()
    EventStore(path).close()


def test_no_statement_numbers_its_placeholders() -> None:
    """Python 3.14 takes no sequence for `?1`, and the tests run on older ones."""
    for path in (Path(__file__).parents[3] / "runtime/events").glob("*.py"):
        assert not re.search(r"\?\d", path.read_text(encoding="utf-8")), path
