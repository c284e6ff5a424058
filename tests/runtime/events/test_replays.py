"""The replays of alarms, from results to the store, and what becomes of them there."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.config.store_options import ReplayOptions
from runtime.events import database
from runtime.events.alarm_pictures import AlarmPictures
from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.message import EventMessage, alarm_evidence
from runtime.events.sender import Sender
from runtime.events.store import EventStore, StoreError
from runtime.events.store_writer import StoreWriter
from runtime.pipeline.results import FrameResult
from runtime.replays.skeletons import decode

MakeMessage = Callable[..., EventMessage]
MakeResult = Callable[..., FrameResult]
Eventually = Callable[..., None]

# An alarm begins after 2 s and goes on; the process is killed when the store says that it has the replay.
KILLED = """
import sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.store import EventStore
from runtime.events.store_writer import StoreWriter
from runtime.pipeline.results import FrameResult, Person
from runtime.sources.frames import Frame

store = EventStore(Path(sys.argv[1]))
writer = StoreWriter(store)
recorder = AlarmEventRecorder(store, writer)
recorder.set_camera("door", None, 5.0, 5.0)
person = Person(7, np.ones((18, 3), dtype=np.float32), 9.0, 9.0)
for index in range(100):
    frame = Frame(index, index / 25, (320, 240), utc=time.time())
    change = "begin" if index == 50 else None
    recorder(FrameResult(frame, (person,), person, index >= 50, change, "door", 5.0))
writer.flush()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    """A store of which a delivery takes pictures."""
    with EventStore(tmp_path / "events.sqlite") as opened:
        opened.register(["pictures"], pictures=True)
        yield opened


@pytest.fixture
def writer(store: EventStore) -> Iterator[StoreWriter]:
    with StoreWriter(store, first_wait=0.02, max_wait=0.05) as opened:
        yield opened


@pytest.fixture
def play(
    store: EventStore, writer: StoreWriter, make_result: MakeResult
) -> Callable[..., AlarmEventRecorder]:
    """Return a function that lets an alarm come after 4 s, and go after 6, in so many frames of 25 per second."""

    def run(frames: int, recorder: AlarmEventRecorder | None = None, **last: Any) -> AlarmEventRecorder:
        recorder = recorder or AlarmEventRecorder(store, writer)
        recorder.set_camera("camera", None, 5.0, 5.0)
        for index in range(frames):
            on = 100 <= index < 150
            change = {100: "begin", 150: "end"}.get(index)
            fields = last if index == frames - 1 else {}
            recorder(make_result(index, 9.0 if on else 1.0, **{"alarm": on, "change": change, **fields}))
        assert writer.flush()
        return recorder

    return run


def kinds(store: EventStore) -> list[str]:
    return [message.kind for _, message in store.messages_after(0)]


def test_an_alarm_is_stored_with_what_was_before_and_after(
    store: EventStore, play: Callable[..., AlarmEventRecorder]
) -> None:
    play(300)
    (alarm,) = store.recent()
    assert store.replay_parts(alarm["id"]) == ["skeletons"]
    skeletons = decode(store.replay(alarm["id"], "skeletons") or b"")
    assert skeletons.complete
    assert (skeletons.id, skeletons.raised, skeletons.seconds) == (alarm["id"], {7}, 2.0)
    assert skeletons.frames[0].time == pytest.approx(-4.0)
    assert skeletons.frames[-1].time == pytest.approx(7.0, abs=0.1)
    assert kinds(store) == ["begin", "end", "alarm_evidence"]
    evidence = store.messages_after(2)[0][1]
    assert evidence.sequence == 2
    assert evidence.content["event"] == "alarm_evidence"
    assert evidence.content["peak"]["score"] == 9.0
    assert "skeletons" not in evidence.content["peak"]


def test_the_seconds_are_those_of_the_configuration(
    store: EventStore, writer: StoreWriter, play: Callable[..., AlarmEventRecorder]
) -> None:
    options = ReplayOptions(before_seconds=1.0, after_seconds=0.0)
    play(300, AlarmEventRecorder(store, writer, replay=options))
    skeletons = decode(store.replay(store.recent()[0]["id"], "skeletons") or b"")
    assert skeletons.frames[0].time == pytest.approx(-1.0, abs=0.08)
    assert skeletons.frames[-1].time == pytest.approx(2.0, abs=0.08)


@pytest.mark.parametrize(("absence", "complete"), [("camera_lost", False), ("source_ended", True)])
def test_nothing_is_waited_for_when_no_frames_follow(
    store: EventStore, play: Callable[..., AlarmEventRecorder], absence: str, complete: bool
) -> None:
    play(140, absence=absence, alarm=False)
    assert kinds(store) == ["begin", "end", "alarm_evidence"]
    assert decode(store.replay(store.recent()[0]["id"], "skeletons") or b"").complete is complete


def test_a_service_that_stops_keeps_what_it_has(
    store: EventStore, writer: StoreWriter, play: Callable[..., AlarmEventRecorder]
) -> None:
    play(200).close()
    assert writer.flush()
    assert kinds(store) == ["begin", "end", "alarm_evidence"]
    skeletons = decode(store.replay(store.recent()[0]["id"], "skeletons") or b"")
    assert not skeletons.complete
    assert skeletons.frames[-1].time == pytest.approx(4.0, abs=0.1)


def test_changed_settings_do_not_cut_a_replay_short(
    store: EventStore, writer: StoreWriter, make_result: MakeResult, play: Callable[..., AlarmEventRecorder]
) -> None:
    recorder = play(140)
    recorder.set_camera("camera", None, 5.0, 6.0)
    for index in range(140, 300):
        recorder(make_result(index, 1.0, threshold=6.0))
    assert writer.flush()
    skeletons = decode(store.replay(store.recent()[0]["id"], "skeletons") or b"")
    assert skeletons.complete
    assert skeletons.frames[-1].time == pytest.approx(6.56, abs=0.1)


@pytest.mark.parametrize("pictures", [True, False])
def test_killed_the_process_leaves_what_it_had_and_the_next_one_says_so_once(
    tmp_path: Path, pictures: bool
) -> None:
    path = tmp_path / "killed.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.kill()
    for wanted in (pictures, True):  # who asks for pictures later gets none of the alarms before
        with EventStore(path) as store:
            store.register(["pictures"], wanted)
            assert kinds(store) == ["begin", "end", "alarm_evidence"][: 3 if pictures else 2]
            (alarm,) = store.recent()
            assert alarm["interrupted"]
            skeletons = decode(store.replay(alarm["id"], "skeletons") or b"")
            assert not skeletons.complete
            assert skeletons.frames[0].time == pytest.approx(-2.0, abs=0.1)
            assert skeletons.frames[-1].time >= 0.9


def test_without_a_receiver_of_pictures_there_is_no_message_about_them(
    store: EventStore, play: Callable[..., AlarmEventRecorder]
) -> None:
    store.register(["lines"])
    play(300)
    assert kinds(store) == ["begin", "end"]
    store.register(["lines"], pictures=True)
    assert kinds(store) == ["begin", "end"]
    assert decode(store.replay(store.recent()[0]["id"], "skeletons") or b"").complete


def test_the_message_about_a_replay_changes_nothing_else(
    store: EventStore, make_message: MakeMessage
) -> None:
    end = make_message(sequence=1, kind="end")
    store.append(make_message(), end)
    before = store.recent(), store.alarm("a" * 32)
    store.append(alarm_evidence(end))
    assert (store.recent(), store.alarm("a" * 32)) == before
    assert json.loads(alarm_evidence(end).json())["peak"] == {"person": 3, "score": 5.5, "p_value": 0.001}


def test_a_replay_lives_as_long_as_its_alarm(tmp_path: Path, make_message: MakeMessage) -> None:
    now = time.time()
    clock = [now]
    with EventStore(tmp_path / "events.sqlite", keep_days=1, now=lambda: clock[0]) as store:
        store.put_replay("a" * 32, "skeletons", b"too early")
        assert store.replay("a" * 32, "skeletons") is None
        old, new = (
            make_message(name, 0, "end", utc=utc) for name, utc in (("a" * 32, now), ("b" * 32, now + 90_000))
        )
        for message in (old, new):
            store.append(message)
            store.put_replay(message.id, "skeletons", b"first")
            store.put_replay(message.id, "skeletons", b"second")
            store.finish_replay(alarm_evidence(message))
        assert store.replay("a" * 32, "skeletons") == b"second"
        clock[0] += 100_000
        assert store.remove_old() == 1
        assert store.replay("a" * 32, "skeletons") is None
        assert store.replay("b" * 32, "skeletons") == b"second"
        store.put_replay("a" * 32, "skeletons", b"too late")
        assert store.replay("a" * 32, "skeletons") is None


def test_the_oldest_replays_go_when_there_is_no_room_and_the_file_shrinks(
    tmp_path: Path, make_message: MakeMessage
) -> None:
    path = tmp_path / "events.sqlite"
    names = [f"{number:032x}" for number in range(10)]
    with EventStore(path, keep_replay_bytes=350_000) as store:
        for name in names:
            store.append(make_message(name, kind="end"))
            store.put_replay(name, "skeletons", bytes(100_000))
        large = path.stat().st_size + path.with_name(path.name + "-wal").stat().st_size
        store.remove_old()
        assert [name for name in names if store.replay_parts(name)] == names[-3:]
        assert len(store.recent()) == 10
    assert path.stat().st_size < large / 2


def test_a_store_of_the_version_before_is_taken_over(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "events.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(database._TABLES)
    connection.execute(f"PRAGMA application_id={database._APPLICATION}")
    connection.execute("PRAGMA user_version=1")
    message = make_message(kind="end")
    connection.execute(
        "INSERT INTO messages (id, sequence, kind, camera, utc, content) VALUES (?, ?, ?, ?, ?, ?)",
        (message.id, message.sequence, message.kind, message.camera, message.utc, message.json()),
    )
    connection.execute("INSERT INTO alarms VALUES (?, 1, 1, 'door', 1, '{}')", (message.id,))
    connection.commit()
    connection.close()
    for _ in range(2):
        with EventStore(path) as store:
            assert store.messages_after(0)[0] == (1, message)
            store.put_replay(message.id, "skeletons", b"data")
            assert store.replay(message.id, "skeletons") == b"data"


def test_the_latest_of_a_replay_waits_for_a_disk_that_fails_and_messages_do_not_wait_for_it(
    store: EventStore,
    writer: StoreWriter,
    make_message: MakeMessage,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    put, failing = store.put_replay, [True]

    def put_replay(alarm: str, part: str, data: bytes) -> None:
        if failing[0]:
            raise StoreError("full")
        put(alarm, part, data)

    monkeypatch.setattr(store, "put_replay", put_replay)
    end = make_message(kind="end")
    writer.submit(end)
    writer.put_replay(end.id, "skeletons", lambda: b"first")
    writer.put_replay(end.id, "skeletons", lambda: b"last", alarm_evidence(end))
    writer.submit(make_message("b" * 32))
    eventually(lambda: store.count() == 2)
    assert not writer.flush(0.1)
    failing[0] = False
    assert writer.flush()
    assert store.replay(end.id, "skeletons") == b"last"
    assert kinds(store) == ["end", "begin", "alarm_evidence"]


def test_what_cannot_be_encoded_is_logged_and_left_out(
    store: EventStore, writer: StoreWriter, make_message: MakeMessage, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bytes:
        raise ValueError("no such joint")

    writer.submit(make_message(kind="end"))
    writer.put_replay("a" * 32, "skeletons", broken)
    assert writer.flush()
    assert "cannot be stored: no such joint" in caplog.text
    assert store.replay_parts("a" * 32) == []


def test_too_much_that_waits_is_dropped_and_logged(
    store: EventStore,
    writer: StoreWriter,
    make_message: MakeMessage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(alarm: str, part: str, data: bytes) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "put_replay", full)
        for number in range(70):
            writer.put_replay(f"{number:032x}", "skeletons", lambda: b"data")
        assert not writer.flush(0.05)
    assert caplog.text.count("too much waits to be stored") == 6


def test_only_receivers_of_pictures_are_told_about_them(
    store: EventStore, make_message: MakeMessage, fake_delivery: Any, eventually: Eventually
) -> None:
    for pictures, expected in ((False, ["begin", "end"]), (True, ["begin", "end", "alarm_evidence"])):
        delivery = fake_delivery()
        delivery.name, delivery.pictures = f"pictures {pictures}", pictures
        store.register([delivery.name])
        with Sender(store, delivery):
            id_ = ("b" if pictures else "a") * 32
            end = make_message(id_, sequence=1, kind="end")
            store.append(make_message(id_), end, alarm_evidence(end))
            eventually(lambda name=delivery.name: store.pending(name) == 0)  # type: ignore[misc]
        assert [message.kind for message in delivery.got] == expected


def test_pictures_are_made_once(
    store: EventStore, play: Callable[..., AlarmEventRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    play(300)
    (alarm,) = store.recent()
    pictures = AlarmPictures(store)
    gif, mp4 = pictures.picture_of(alarm["id"]), pictures.picture_of(alarm["id"], "mp4")
    assert gif is not None
    assert mp4 is not None
    assert gif.startswith(b"GIF89a")
    assert mp4[4:8] == b"ftyp"
    assert pictures.picture_of(alarm["id"]) is gif
    assert pictures.picture_of("f" * 32) is None
    monkeypatch.setattr("runtime.events.alarm_pictures._MAX_KEPT_BYTES", len(gif))
    assert pictures.picture_of(alarm["id"], "mp4") is mp4
    assert pictures.picture_of(alarm["id"]) == gif
    assert pictures.picture_of(alarm["id"]) is not gif
