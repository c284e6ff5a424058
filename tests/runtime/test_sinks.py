from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.pipeline import Result
from runtime.sinks import EventLog, ScoreLog

MakeResult = Callable[..., Result]
FIELDS = ["event", "alarm", "utc", "time", "frame", "person", "score", "threshold"]


def strictly_finite(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def events_in(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=strictly_finite) for line in lines]


def test_begin_and_end_hold_all_documented_fields(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, threshold=5.123456) as log:
        for result in (
            make_result(9, 4.0),
            make_result(10, 6.0, alarm=True, change="begin"),
            make_result(11, 8.25, alarm=True),
            make_result(15, 3.0, change="end"),
            make_result(16, 9.0),
        ):
            log(result)
    begin, end = events_in(path)
    assert list(begin) == [*FIELDS, "skeleton"]
    assert list(end) == [*FIELDS, "peak", "seconds", "skeleton"]
    assert (begin["event"], begin["alarm"], begin["frame"], begin["time"]) == ("begin", 1, 10, 0.4)
    assert (begin["person"], begin["score"], begin["threshold"]) == (7, 6.0, 5.1235)
    assert (end["event"], end["alarm"], end["frame"], end["score"]) == ("end", 1, 15, 3.0)
    assert (end["peak"], end["seconds"]) == (8.25, 0.2)
    assert np.array(begin["skeleton"]).shape == (18, 3)
    assert begin["skeleton"][0] == [80.0, 60.0, 0.9]
    age = datetime.now(timezone.utc) - datetime.fromisoformat(begin["utc"])
    assert 0 <= age.total_seconds() < 60


def test_an_end_without_anybody_has_no_person(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, threshold=5) as log:
        log(make_result(0, 6.0, alarm=True, change="begin"))
        log(make_result(9, None, change="end"))
    end = events_in(path)[-1]
    assert (end["person"], end["score"], end["skeleton"], end["peak"]) == (None, None, None, 6.0)


def test_an_alarm_that_is_still_on_is_ended(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, threshold=5) as log:
        log(make_result(3, 6.0, alarm=True, change="begin"))
        log(make_result(28, 7.0, alarm=True))
    begin, end = events_in(path)
    assert (begin["event"], end["event"]) == ("begin", "end")
    assert (end["frame"], end["peak"], end["seconds"]) == (28, 7.0, 1.0)


def test_an_alarm_is_ended_when_the_run_fails(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "events.jsonl"
    with contextlib.suppress(RuntimeError), EventLog(path, threshold=5) as log:
        log(make_result(3, 6.0, alarm=True, change="begin"))
        raise RuntimeError
    assert [event["event"] for event in events_in(path)] == ["begin", "end"]


def test_each_run_appends_and_counts_from_one(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "new" / "folder" / "events.jsonl"
    for _ in range(2):
        with EventLog(path, threshold=5) as log:
            for start in (0, 10):
                log(make_result(start, 6.0, alarm=True, change="begin"))
                log(make_result(start + 5, 1.0, change="end"))
        assert log.alarms == 2
    assert [event["alarm"] for event in events_in(path)] == [1, 1, 2, 2, 1, 1, 2, 2]


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path, make_result: MakeResult) -> None:
    with EventLog(tmp_path / "events", threshold=5) as events, ScoreLog(tmp_path / "scores") as scores:
        result = make_result(0, 6.0, alarm=True, change="begin")
        events(result)
        scores(result)
        assert [event["event"] for event in events_in(tmp_path / "events")] == ["begin"]
        assert (tmp_path / "scores").read_text().splitlines()[1:] == ["0,0.000,7,6.0000,1"]


def test_events_are_counted_without_a_file(make_result: MakeResult) -> None:
    with EventLog(None, threshold=5) as log:
        log(make_result(0, 6.0, alarm=True, change="begin"))
    assert log.alarms == 1


@pytest.mark.parametrize("confidence", [np.nan, np.inf])
def test_a_confidence_that_is_no_number_leaves_valid_json(
    tmp_path: Path, make_result: MakeResult, confidence: float
) -> None:
    result = make_result(0, 6.0, alarm=True, change="begin")
    assert result.worst is not None
    keypoints = result.worst.keypoints.copy()
    keypoints[4, 2] = confidence
    with EventLog(tmp_path / "events", threshold=5) as log:
        log(replace(result, worst=replace(result.worst, keypoints=keypoints)))
    assert events_in(tmp_path / "events")[0]["skeleton"][4][2] is None


def test_scores_are_a_table_with_one_header(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "scores.csv"
    for index in range(2):
        with ScoreLog(path) as log:
            log(make_result(index, None))
            log(make_result(index + 1, 2.5, alarm=True))
    assert path.read_text().splitlines() == [
        "frame,time,person,score,alarm",
        "0,0.000,,,0",
        "1,0.040,7,2.5000,1",
        "1,0.040,,,0",
        "2,0.080,7,2.5000,1",
    ]
