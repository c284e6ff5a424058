from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.schema import Config
from runtime.events.arming import MAX_SNOOZE_MINUTES, Armed, Arming, obey
from runtime.events.store import EventStore, StoreError


def at(text: str) -> float:
    """A time by the clock of the schedule, seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


NIGHTS = {"armed": ["mon-sun 22:00-06:00"], "time_zone": "Europe/Berlin"}
EVENING, NIGHT, MORNING = at("2026-03-02T21:00"), at("2026-03-02T23:00"), at("2026-03-03T06:00")


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def config_of(**schedules: dict[str, Any]) -> Config:
    cameras = {name: {"source": "0", "schedule": schedule} for name, schedule in schedules.items()}
    return Config.model_validate({"bundle": "b", "cameras": cameras})


CONFIG = config_of(door={}, yard=NIGHTS)


def test_without_a_word_cameras_are_armed_by_their_schedule_or_always(store: EventStore) -> None:
    clock = Clock(EVENING)
    arming = Arming(store, CONFIG, clock)
    assert arming.state("door") == Armed(True, "always")
    assert arming.state("yard") == Armed(False, "schedule")
    clock.now = NIGHT
    assert arming.states() == {"door": True, "yard": True}


def test_what_is_said_holds_until_the_schedule_changes_or_without_one_for_good(store: EventStore) -> None:
    clock = Clock(NIGHT)
    arming = Arming(store, CONFIG, clock)
    assert arming.disarm("yard") == Armed(False, "said", MORNING)
    assert arming.disarm("door") == Armed(False, "said")
    clock.now = MORNING + 86400 - 3600
    assert arming.state("yard") == Armed(True, "schedule"), "the next night"
    assert not arming.is_armed("door")
    clock.now = EVENING
    assert arming.arm("yard").until_utc == at("2026-03-02T22:00")
    assert arming.arm("door") == Armed(True, "said")


def test_a_snooze_ends_by_itself_and_everything_is_as_before(store: EventStore) -> None:
    clock = Clock(NIGHT)
    arming = Arming(store, CONFIG, clock)
    arming.disarm("door")
    for camera, before in (("yard", Armed(True, "schedule")), ("door", Armed(False, "said"))):
        assert arming.snooze(camera, 30) == Armed(False, "snoozed", NIGHT + 1800)
        clock.now = NIGHT + 1799
        assert not arming.is_armed(camera)
        clock.now = NIGHT + 1800
        assert arming.state(camera) == before
        clock.now = NIGHT
    arming.snooze("yard", 30)
    assert arming.arm("yard").armed, "who arms ends the snooze"


def test_it_survives_a_restart(tmp_path: Path) -> None:
    clock = Clock(NIGHT)
    with EventStore(tmp_path / "events.sqlite") as store:
        arming = Arming(store, CONFIG, clock)
        arming.disarm("door")
        arming.snooze("yard", 60)
    with EventStore(tmp_path / "events.sqlite") as store:
        again = Arming(store, CONFIG, clock)
        assert again.states() == {"door": False, "yard": False}
        clock.now += 3600
        assert again.states() == {"door": False, "yard": True}


def test_a_reload_keeps_what_was_said_also_of_a_camera_that_comes_back(store: EventStore) -> None:
    arming = Arming(store, CONFIG, Clock(NIGHT))
    arming.disarm("door")
    arming.set_cameras(config_of(yard={}))
    assert "door" not in arming
    assert arming.state("yard") == Armed(True, "always")
    with pytest.raises(KeyError):
        arming.arm("door")
    arming.set_cameras(CONFIG)
    assert not arming.is_armed("door")


def test_a_store_that_cannot_be_used_changes_only_what_the_next_start_knows(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.set("armed.yard", {"armed": "perhaps"})
    arming = Arming(store, CONFIG, Clock(NIGHT))
    assert "camera yard: whether it was armed cannot be read" in caplog.text
    assert arming.is_armed("yard")

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "set", full)
    assert not arming.disarm("door").armed
    assert not arming.is_armed("door")
    assert "was not saved for the next start: the disk is full" in caplog.text


def test_commands_are_on_off_or_minutes(store: EventStore, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(NIGHT)
    arming = Arming(store, CONFIG, clock)
    for command, expected in (
        (b"OFF", Armed(False, "said")),
        (b"ON", Armed(True, "said")),
        (b"30", Armed(False, "snoozed", NIGHT + 1800)),
        (b" 0.5 ", Armed(False, "snoozed", NIGHT + 30)),
    ):
        obey(arming, "door", command)
        assert arming.state("door") == expected
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        obey(arming, "gone", b"OFF")
    assert not caplog.records


@given(st.one_of(st.binary(max_size=40), st.floats().map(lambda value: repr(value).encode())))
def test_no_command_fails_or_snoozes_for_longer_than_a_week(tmp_path_factory: Any, command: bytes) -> None:
    clock = Clock(NIGHT)

    class Memory:
        def get(self, key: str) -> None:
            return None

        def set(self, key: str, value: Any) -> None:
            assert value

    arming = Arming(Memory(), CONFIG, clock)  # type: ignore[arg-type]
    obey(arming, "door", command)
    clock.now += 60 * MAX_SNOOZE_MINUTES
    assert arming.is_armed("door") or command.strip() == b"OFF"
