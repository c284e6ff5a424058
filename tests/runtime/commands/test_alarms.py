"""`daflow-edge alarms`: the stored alarms, their labels, and how many were real."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.cli import main
from runtime.events.labels import AlarmLabels
from runtime.events.message import EventMessage
from runtime.events.precision import week_of, wilson_interval
from runtime.events.store import EventStore
from runtime.json_values import iso


def message(number: int, camera: str, utc: float) -> EventMessage:
    id_ = f"{number:032x}"
    peak = {"score": 24.0, "p_value": 0.001, "why": "a movement as in 1 in 1\u202f900 normal windows"}
    content = {"schema": 1, "type": "alarm", "id": id_, "sequence": 0, "event": "end", "camera": camera,
               "utc": iso(utc), "began_utc": iso(utc), "seconds": 4.25, "peak": peak}  # fmt: skip
    return EventMessage(id_, 0, "end", camera, utc, content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with three alarms at the door and one in the hall."""
    path, now = tmp_path / "events.sqlite", time.time()
    with EventStore(path) as store:
        store.append(*(message(number, "door", now + number) for number in range(3)), message(3, "hall", now))
        labels = AlarmLabels(store)
        labels.set(f"{0:032x}", "real", "me")
        labels.set(f"{1:032x}", "false", "me")
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["alarms", *map(str, words)])


def test_alarms_and_precision_are_shown(path: Path) -> None:
    result = run("--store", path)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["began", "camera", "seconds", "score", "label", "why"]
    assert [line[2:6] for line in lines[1:5] if line[2] == "door"] == [
        ["door", "4.2", "24.00", "real"],
        ["door", "4.2", "24.00", "false"],
        ["door", "4.2", "24.00", "-"],
    ]
    assert "1 in 1 900 normal windows" in result.stdout
    week = week_of(iso(time.time()))
    assert [week, "door", "3", "1", "1", "50", "%", "(9", "to", "91", "%)"] in lines
    assert [week, "hall", "1", "0", "0", "-"] in lines


def test_one_camera_as_json(path: Path, tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f'[cameras.door]\nsource = "0"\n[store]\npath = "{path}"\n')
    result = run("--config", config, "--camera", "door", "--last", 1, "--json", "-")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [alarm["label"] for alarm in found["alarms"]] == [None], "the newest"
    (week,) = found["precision"]
    assert (week["alarms"], week["real"], week["false"], week["precision"]) == (3, 1, 1, 0.5)
    assert week["interval"] == pytest.approx(wilson_interval(1, 2))
    shown = run("--store", path, "--last", 2).stdout
    assert shown.startswith("the last 2 of 4 alarms\n")


def test_what_is_missing_is_said(path: Path, tmp_path: Path) -> None:
    for words in ((), ("--store", path, "--config", path)):
        result = run(*words)
        assert result.exit_code == 2
        assert "Give --store FILE, or the --config of daflow-edge." in result.stderr
    config = tmp_path / "edge.toml"
    config.write_text('[cameras.door]\nsource = "0"\n')
    assert "has no store.path" in run("--config", config).stderr
    assert run("--store", path, "--camera", "gate").stdout == "no alarm is stored\n"
    missing = run("--store", tmp_path / "none.sqlite")
    assert missing.exit_code == 2
    assert "none.sqlite" in missing.stderr
    assert "Traceback" not in missing.output
