"""What operators say of alarms: it is stored, told, and outlives both the process and the alarm."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.events.labels import AlarmLabels, LabelledAlarm, last_alarms
from runtime.events.message import EventMessage
from runtime.events.store import EventStore
from runtime.events.stored_alarms import read_alarms

MakeMessage = Callable[..., EventMessage]
ONE, TWO = "1" * 32, "2" * 32


def test_a_label_is_stored_with_who_and_when_and_survives_the_process(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.append(make_message(ONE), make_message(TWO))
        said = AlarmLabels(store, now=lambda: 0.0).set(ONE, "real", "the guard")
        assert said == {
            "id": ONE,
            "camera": "door",
            "label": "real",
            "labelled_by": "the guard",
            "labelled_utc": "1970-01-01T00:00:00.000+00:00",
        }
        store.append(make_message(ONE, 1, "end"))  # which writes the summary again
    with EventStore(path) as store:
        newest, oldest = store.recent()
        assert (newest["label"], oldest["label"], oldest["labelled_by"]) == (None, "real", "the guard")
        assert oldest["ended_utc"]
        assert (store.alarm(ONE) or {})["label"] == "real"
        labels = AlarmLabels(store)
        assert labels.set(ONE, "false", "me")["label"] == "false"
        assert store.recent()[1]["label"] == "false"
        assert labels.set(ONE, None, "me") == {
            "id": ONE,
            "camera": "door",
            "label": None,
            "labelled_by": None,
            "labelled_utc": None,
        }
        assert store.recent()[1]["labelled_by"] is None


def test_a_label_is_a_message_unless_its_alarm_was_not_delivered(
    store: EventStore, make_message: MakeMessage
) -> None:
    store.append(make_message(ONE), make_message(TWO, armed=False))
    labels = AlarmLabels(store)
    labels.set(ONE, "real", "me")
    labels.set(TWO, "false", "me")
    *_, real, false = (message for _, message in store.messages_after(0))
    assert (real.type, real.kind, real.armed, false.armed) == ("alarm_label", "alarm_label", True, False)
    assert {key: real.content[key] for key in ("type", "camera", "alarm", "label", "by")} == {
        "type": "alarm_label",
        "camera": "door",
        "alarm": ONE,
        "label": "real",
        "by": "me",
    }
    assert [alarm["id"] for alarm in store.recent()] == [TWO, ONE], "a label is no alarm"
    assert last_alarms(store, ["door", "hall"]) == {"door": LabelledAlarm(ONE, "real")}


def test_what_is_not_there_is_not_labelled(store: EventStore, make_message: MakeMessage) -> None:
    with pytest.raises(KeyError):
        AlarmLabels(store).set(ONE, "real", "me")
    assert store.count() == 0


@pytest.mark.parametrize("text", [b"", b"True", b"REAL", b"\xff", b"real" * 99])
def test_nonsense_labels_nothing(
    store: EventStore, make_message: MakeMessage, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store.append(make_message(ONE))
    AlarmLabels(store).obey("door", text)
    assert store.recent()[0]["label"] is None
    assert "is no label: it is false, real or none" in caplog.text
    AlarmLabels(store).obey("hall", b"real")
    assert "camera hall: there is no alarm to label real" in caplog.text


def test_labels_outlive_the_messages_and_may_be_read_while_the_store_is_used(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path, now=lambda: 1e9) as store:
        store.append(make_message(ONE, utc=1.0), make_message(TWO, utc=2.0, camera="hall"))
        AlarmLabels(store).set(ONE, "real", "me")
        while store.remove_old():
            pass
        assert [alarm["id"] for alarm in store.recent()] == []
        (kept,) = read_alarms(path)
    assert (kept["id"], kept["camera"], kept["label"], kept["score"]) == (ONE, "door", "real", 5.5)
    assert [alarm["id"] for alarm in read_alarms(path)] == [ONE]


def test_a_store_of_an_earlier_version_has_no_labels_yet(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.append(make_message(ONE))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE labels")
    connection.close()
    assert [(alarm["id"], alarm["label"]) for alarm in read_alarms(path)] == [(ONE, None)]
    with EventStore(path) as store:
        AlarmLabels(store).set(ONE, "false", "me")
    assert [alarm["label"] for alarm in read_alarms(path)] == ["false"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "There is no event store"),
        (b"hello", "file is not a database"),
        ("other", "is another database"),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, content: Any, why: str) -> None:
    path = tmp_path / "events.sqlite"
    if content == "other":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE things (name TEXT)")
        connection.close()
    elif content is not None:
        path.write_bytes(content * 1000)
    with pytest.raises(InputError, match=why):
        read_alarms(path)


def test_the_precision_is_counted_anew_when_something_is_said(
    store: EventStore, make_message: MakeMessage
) -> None:
    labels = AlarmLabels(store, now=lambda: 1e9)
    store.append(make_message(ONE, utc=1e9), make_message(TWO, utc=1e9))
    assert labels.this_week("door") == {"labelled_real": 0, "labelled_false": 0, "precision": None}
    labels.set(ONE, "real", "me")
    labels.set(TWO, "false", "me")
    assert labels.this_week("door") == {"labelled_real": 1, "labelled_false": 1, "precision": 0.5}
    assert labels.this_week("hall")["precision"] is None
    store.close()
    labels._counted = None
    assert labels.this_week("door") == {}
