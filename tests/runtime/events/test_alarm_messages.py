from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.alarms.reasons import reasons
from daflow.core.alarms.rule import AlarmChange
from daflow.core.evidence import CHANNELS, EvidenceFacts
from runtime.events.alarm_messages import MAX_PEOPLE, AlarmEventBuilder
from runtime.events.message import EventMessage
from runtime.pipeline.results import Absence, FrameResult, Person
from runtime.sources.frames import Frame

FIELDS = [
    *(
        "schema",
        "type",
        "id",
        "sequence",
        "event",
        "camera",
        "utc",
        "began_utc",
        "time",
        "began",
        "frame",
        "seconds",
        "person",
    ),
    *(
        "score",
        "p_value",
        "rarity",
        "why",
        "surprise",
        "unit",
        "threshold",
        "provisional",
        "armed",
        "people",
        "peak",
        "model",
    ),
]
PEAK = ["utc", "time", "person", "score", "p_value", "rarity", "why", "surprise", "frame_size", "skeletons"]
MODEL = {"bundle": "f" * 64, "scorer": "onnxruntime", "daflow": "0.1.0"}


def result(
    index: int,
    score: float | None = None,
    alarm: bool = True,
    change: AlarmChange | None = None,
    person: int = 7,
    others: int = 0,
    utc: float | None = None,
    threshold: float = 4.0,
) -> FrameResult:
    window = np.full((2, 24, 18), 1919.987, dtype=np.float32) - np.float32(person)
    keypoints = np.ones((18, 3), dtype=np.float32)
    worst = Person(person, keypoints, score, score, 0.0123456789, window)
    rest = tuple(Person(100 + number, keypoints) for number in range(others))
    frame = Frame(index, index / 10, (1920, 1080), utc=1_700_000_000 + index / 10 if utc is None else utc)
    return FrameResult(
        frame, (*rest, worst), None if score is None else worst, alarm, change, "door", threshold
    )


def life(update_seconds: float = 5.0) -> AlarmEventBuilder:
    return AlarmEventBuilder("door", MODEL, update_seconds)


def strictly(message: EventMessage) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    return dict(json.loads(message.json(), parse_constant=refuse))


def test_an_alarm_begins_and_ends_with_all_documented_fields() -> None:
    alarm = life()
    messages = [
        message
        for each in (
            result(0, 1.0, alarm=False),
            result(10, 5.0, change="begin"),
            result(20, 9.0, person=8),
            result(30, 5.5),
            result(35, None, alarm=False, change="end"),
            result(36, 1.0, alarm=False),
        )
        for message in alarm(each)
    ]
    begin, end = map(strictly, messages)
    assert list(begin) == FIELDS
    assert list(end) == [*FIELDS[:5], "reason", *FIELDS[5:]]
    assert end["reason"] == "score_fell"
    assert (begin["event"], begin["sequence"], begin["time"], begin["began"]) == ("begin", 0, 1.0, 1.0)
    assert begin["seconds"] == 0.0
    assert (begin["person"], begin["score"], begin["p_value"]) == (7, 5.0, 0.012346)
    assert (end["event"], end["sequence"], end["time"], end["seconds"]) == ("end", 1, 3.5, 2.5)
    assert (end["person"], end["score"], end["p_value"], end["threshold"]) == (None, None, None, 4.0)
    assert begin["id"] == end["id"]
    assert re.fullmatch("[0-9a-f]{32}", begin["id"])
    assert begin["utc"] == begin["began_utc"] == end["began_utc"] == "2023-11-14T22:13:21.000+00:00"
    assert end["utc"] == "2023-11-14T22:13:23.500+00:00"
    assert list(end["peak"]) == PEAK
    assert (end["peak"]["score"], end["peak"]["person"], end["peak"]["time"]) == (9.0, 8, 2.0)
    assert end["peak"]["utc"] == "2023-11-14T22:13:22.000+00:00"
    assert end["peak"]["frame_size"] == [1920, 1080]
    assert end["model"] == MODEL
    skeletons = np.array(end["peak"]["skeletons"])
    assert skeletons.shape == (24, 18, 2)
    assert (skeletons == 1912.0).all()
    assert alarm.alarms == 1


def test_updates_come_at_their_pace_while_it_is_on() -> None:
    alarm = life(update_seconds=2.0)
    told = [
        (message.kind, message.sequence, message.content["time"])
        for index in range(100)
        for message in alarm(
            result(
                index,
                5.0,
                alarm=10 <= index < 70,
                change={10: "begin", 70: "end"}.get(index),  # type: ignore[arg-type]
            )
        )
    ]
    assert told == [
        ("begin", 0, 1.0),
        ("update", 1, 3.0),
        ("update", 2, 5.0),
        ("end", 3, 7.0),
    ]


def test_no_updates_when_they_are_switched_off() -> None:
    alarm = life(update_seconds=0)
    alarm(result(0, 5.0, change="begin"))
    assert [message for index in range(1, 200) for message in alarm(result(index, 5.0))] == []


def test_each_alarm_has_its_own_id_and_peak() -> None:
    alarm = life()
    first = [*alarm(result(0, 9.0, change="begin")), *alarm(result(1, 1.0, alarm=False, change="end"))]
    second = alarm(result(2, 5.0, change="begin"))
    assert first[0].id == first[1].id != second[0].id
    assert second[0].content["peak"]["score"] == 5.0
    assert alarm.alarms == 2


def test_an_alarm_that_is_on_is_ended_by_close() -> None:
    alarm = life()
    (begin,) = alarm(result(0, 9.0, change="begin"))
    alarm(result(8, 5.0))
    (end,) = alarm.close("service_stopped")
    assert (end.id, end.kind, end.sequence) == (begin.id, "end", 1)
    assert end.content["reason"] == "service_stopped"
    assert (end.content["time"], end.content["frame"], end.content["seconds"]) == (0.8, 8, 0.8)
    assert alarm.close("service_stopped") == []


def test_a_camera_that_was_started_again_leaves_no_alarm_open() -> None:
    alarm = life()
    (first,) = alarm(result(0, 9.0, change="begin"))
    end, second = alarm(result(5, 9.0, change="begin"))
    assert (end.id, end.kind, second.kind) == (first.id, "end", "begin")
    (last,) = alarm(result(9, 1.0, alarm=False))
    assert (last.id, last.kind) == (second.id, "end")
    assert end.content["reason"] == last.content["reason"] == "settings_changed"
    (unannounced,) = alarm(result(12, 9.0))
    assert unannounced.kind == "begin"


@pytest.mark.parametrize("absence", ["camera_lost", "source_ended"])
def test_an_alarm_of_a_camera_that_is_gone_says_so(absence: Absence) -> None:
    alarm = life()
    alarm(result(0, 9.0, change="begin"))
    (end,) = alarm(replace(result(8, None, alarm=False, change="end"), absence=absence))
    assert end.content["reason"] == absence


def test_arming_and_disarming_during_an_alarm_ends_it_and_begins_another() -> None:
    armed = [False]
    builder = AlarmEventBuilder("door", MODEL, update_seconds=0, is_armed=lambda: armed[0])
    messages = builder(result(1, 6.0, change="begin"))
    messages += builder(result(2, 6.0))
    armed[0] = True
    messages += builder(result(3, 6.0))
    messages += builder(result(4, 6.0))
    armed[0] = False
    messages += builder(result(5, 6.0))
    messages += builder(result(6, 2.0, alarm=False, change="end"))
    found = [(m.kind, m.content.get("reason"), m.armed) for m in messages]
    assert found == [
        ("begin", None, False), ("end", "armed", False),
        ("begin", None, True), ("end", "disarmed", True),
        ("begin", None, False), ("end", "score_fell", False),
    ]  # fmt: skip
    assert len({message.id for message in messages}) == 3
    assert builder.alarms == 1
    armed[0] = True
    assert builder(result(7, 2.0, alarm=False)) == []


def test_the_smallest_p_value_is_called_rarer_than() -> None:
    for floor, words in ((0.0123456789, "rarer than 1 in 81"), (0.001, "1 in 81"), (None, "1 in 81")):
        alarm = AlarmEventBuilder("door", MODEL, p_value_floor=floor)
        (begin,) = alarm(result(0, 9.0, change="begin"))
        assert begin.content["rarity"] == begin.content["peak"]["rarity"] == words


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_become_null(value: float) -> None:
    alarm = life()
    odd = result(0, value, change="begin", threshold=value)
    assert odd.worst is not None
    assert odd.worst.window is not None
    odd.worst.window[0, 5, 3] = value
    worst = replace(odd.worst, p_value=value)
    (begin,) = alarm(replace(odd, worst=worst, people=(worst,)))
    content = strictly(begin)
    assert (content["score"], content["p_value"], content["threshold"]) == (None, None, None)
    assert content["peak"]["score"] is None
    assert content["peak"]["skeletons"][5][3][0] is None
    assert content["peak"]["skeletons"][5][3][1] == 1913.0
    alarm(result(1, 6.0))
    (end,) = alarm.close("service_stopped")
    assert end.content["peak"]["score"] == (None if value == math.inf else 6.0)


def test_a_frame_that_does_not_know_when_it_came_gets_the_time_of_day() -> None:
    alarm = AlarmEventBuilder("door", MODEL, now=lambda: 1.5)
    (begin,) = alarm(result(0, 9.0, change="begin", utc=0.0))
    assert (begin.utc, begin.content["utc"]) == (1.5, "1970-01-01T00:00:01.500+00:00")


def test_a_message_stays_small_and_names_the_worst_people() -> None:
    alarm = life()
    (begin,) = alarm(result(0, 1234.5678, change="begin", others=60))
    assert len(begin.content["people"]) == MAX_PEOPLE
    assert begin.content["people"][0] == {"person": 7, "score": 1234.5678, "p_value": 0.012346}
    assert begin.content["people"][1] == {"person": 100, "score": None, "p_value": None}
    assert len(begin.json()) < 12_000


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, "begin", "end"]), st.floats() | st.none())))
def test_whatever_comes_every_alarm_begins_once_and_ends_once(
    steps: list[tuple[bool, AlarmChange | None, float | None]],
) -> None:
    alarm = life(update_seconds=0.3)
    messages = [
        message
        for index, (on, change, score) in enumerate(steps)
        for message in alarm(result(index, score, on, change))
    ]
    messages += alarm.close("service_stopped")
    open_id, sequence = None, 0
    for message in messages:
        strictly(message)
        if message.kind == "begin":
            assert open_id is None
            open_id, sequence = message.id, 0
        assert (message.id, message.sequence) == (open_id, sequence)
        sequence += 1
        if message.kind == "end":
            open_id = None
    assert open_id is None


def test_a_result_that_was_decided_by_an_earlier_rule_begins_no_alarm() -> None:
    """It was on its way to the recorder when the configuration was reloaded."""
    builder = AlarmEventBuilder("door", MODEL, threshold=1e6)
    assert builder(result(0, 5.0)) == []
    assert builder(result(1, 5.0, change="begin")) == []
    assert builder.alarms == 0
    (begin,) = builder(result(2, 2e6, change="begin", threshold=1e6))
    assert strictly(begin)["event"] == "begin"
    (end,) = builder(result(3, 5.0, alarm=False, threshold=4.0))  # an alarm that is on still ends
    assert strictly(end)["event"] == "end"


def test_what_raised_the_alarm_is_told_in_numbers_and_words() -> None:
    told = tuple(reasons(EvidenceFacts(channels=CHANNELS, windows=1000), [3.25, 11.5, 6.0]))
    first = result(10, 20.75, change="begin")
    assert first.worst is not None
    (begin,) = life()(replace(first, worst=replace(first.worst, reasons=told), unit="bits"))
    content = strictly(begin)
    words = "a posture rarer than 1 in 1\u202f000 normal windows; a movement as in 1 in 64 normal windows"
    assert (content["why"], content["peak"]["why"], content["unit"]) == (words, words, "bits")
    assert list(content["surprise"].items()) == [("shape", 11.5), ("motion", 6.0), ("flow", 3.25)]
    (plain,) = life()(first)
    assert (plain.content["why"], plain.content["surprise"], plain.content["unit"]) == (
        None,
        None,
        "bits/dim",
    )
