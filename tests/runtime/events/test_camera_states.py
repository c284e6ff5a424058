"""States of cameras are told once they have held, and never in a flood."""

from __future__ import annotations

from typing import Any

from runtime.events.camera_states import CameraStateTeller, Condition
from runtime.events.message import EventMessage


class Told:
    """What a teller says of one camera, second by second."""

    def __init__(self, hold: float = 10.0) -> None:
        self.teller = CameraStateTeller(hold)
        self.time = 0
        self.messages: list[tuple[int, EventMessage]] = []

    def go(self, seconds: int, *conditions: Condition, full_disk: str | None = None) -> None:
        cameras = dict(zip(("door", "hall"), conditions, strict=False))
        for _ in range(seconds):
            new = self.teller.update(cameras, full_disk, float(self.time), 1000.0 + self.time)
            self.messages += [(self.time, message) for message in new]
            self.time += 1

    @property
    def states(self) -> list[tuple[int, str]]:
        return [(time, message.content["state"]) for time, message in self.messages]


STREAMING, LOST = Condition("streaming"), Condition("lost", error="no route to host")


def test_a_state_that_holds_is_told_with_why_and_since_when() -> None:
    told = Told()
    told.go(20, STREAMING)
    told.go(15, LOST)
    told.go(60, STREAMING)
    assert told.states == [(30, "lost"), (55, "back")], "the second waits twice as long"
    lost, back = (message for _, message in told.messages)
    expected: dict[str, Any] = {
        "schema": 1, "type": "camera_state", "id": lost.id, "sequence": 0, "camera": "door",
        "utc": "1970-01-01T00:17:10.000+00:00", "state": "lost", "before": "back",
        "since_utc": "1970-01-01T00:17:00.000+00:00", "detail": "no route to host",
    }  # fmt: skip
    assert lost.content == expected
    assert (lost.type, lost.kind, lost.camera, lost.armed) == ("camera_state", "camera_state", "door", True)
    assert (back.content["before"], back.content["detail"]) == ("lost", None)
    assert back.id != lost.id


def test_what_does_not_hold_is_not_told() -> None:
    told = Told()
    for _ in range(100):
        told.go(9, LOST)
        told.go(1, STREAMING)
    assert told.states == []


def test_a_camera_that_comes_and_goes_for_hours_tells_so_a_few_times_an_hour() -> None:
    told = Told()
    for _ in range(3 * 60):
        told.go(30, LOST)
        told.go(30, STREAMING)
    hours = [sum(3600 * hour <= time < 3600 * (hour + 1) for time, _ in told.states) for hour in range(3)]
    assert hours[0] in range(1, 4)
    assert all(number <= 4 for number in hours)


def test_a_camera_without_pictures_is_lost_whatever_stands_in_the_way() -> None:
    told = Told()
    told.go(5, Condition("failed"))
    told.go(5, Condition("stalled"))
    told.go(2, LOST)
    assert told.states == [(10, "lost")]
    told.go(100, Condition("frozen"))
    told.go(100, Condition("black"))
    assert [state for _, state in told.states] == ["lost", "frozen", "black"]
    assert told.messages[-1][1].content["before"] == "frozen"


def test_a_camera_that_is_still_being_opened_is_not_lost_yet() -> None:
    told = Told()
    told.go(59, Condition("connecting"))
    assert told.states == []
    told.go(5, Condition("connecting"))
    assert told.states == [(60, "lost")]
    ended = Told()
    ended.go(99, Condition("ended"))
    assert ended.states == []


def test_drift_is_told_beside_the_pictures_and_cameras_are_apart() -> None:
    told = Told()
    drifting = Condition("lost", "drifting", drift_text="scores are higher than at the calibration")
    told.go(11, drifting, STREAMING)
    assert sorted(state for _, state in told.states) == ["drifting", "lost"]
    assert {message.camera for _, message in told.messages} == {"door"}
    assert {message.content["detail"] for _, message in told.messages} == {
        None,
        "scores are higher than at the calibration",
    }
    told.go(30, Condition("lost", "learning"), STREAMING)
    assert len(told.states) == 2, "nothing is known after a restart"
    told.go(30, Condition("lost", "fits"), STREAMING)
    assert told.states[-1][1] == "fits"


def test_a_full_disk_is_told_of_the_device() -> None:
    told = Told()
    told.go(12, STREAMING, full_disk="120 MB are free at /var")
    ((_, message),) = told.messages
    assert (message.type, message.camera) == ("device_state", "")
    assert "camera" not in message.content
    assert (message.content["state"], message.content["detail"]) == ("disk_full", "120 MB are free at /var")
    told.go(30, STREAMING)
    assert told.messages[-1][1].content["state"] == "back"


def test_a_camera_that_was_removed_is_forgotten() -> None:
    told = Told()
    told.go(12, LOST)
    told.go(1)
    told.go(12, LOST)
    assert [state for _, state in told.states] == ["lost", "lost"]
