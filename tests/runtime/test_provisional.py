"""A threshold that nobody calibrated is marked wherever it is shown."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from daflow.core.alarms.provisional import SUMMARY, HeldOutScores, provisional_alarm
from daflow.core.bundle import Bundle, read_bundle, write_manifest
from runtime.cli import main
from runtime.config.schema import Config
from runtime.doctor.config_checks import bundle_files
from runtime.pipeline.watch import watch
from runtime.service.service import Service

FALL = "synthetic:seed=3,event=fall"


@pytest.fixture
def provisional(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle as export leaves it."""
    assert bundle.manifest.alarm is not None
    high = bundle.manifest.alarm.threshold
    scores = HeldOutScores(windows=9, people=2, median=high, q99=high, q999=high, highest=high)
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "provisional"))
    alarm = provisional_alarm({SUMMARY: scores.model_dump()})
    write_manifest(folder, bundle.manifest.model_copy(update={"alarm": alarm}))
    return folder


def test_the_edge_says_so_at_the_start_in_the_events_and_at_the_end(
    provisional: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    words = ["--bundle", str(provisional), "--source", FALL, "--events", str(events)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "camera camera: provisional threshold" in result.stderr
    assert "daflow-calibrate alarm" in result.stderr
    assert "alarms at provisional threshold" in result.stdout
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert lines
    assert all(line["provisional"] is True for line in lines)
    assert all(line["p_value"] is None for line in lines)


def test_a_threshold_of_ones_own_is_not_provisional(provisional: Path, bundle: Bundle) -> None:
    own = CliRunner().invoke(main, ["--bundle", str(provisional), "--source", FALL, "--threshold", "9"])
    calibrated = CliRunner().invoke(main, ["--bundle", str(bundle.folder), "--source", FALL])
    for result in (own, calibrated):
        assert result.exit_code == 0, result.output
        assert "provisional" not in result.output


def test_health_and_metrics_say_so(provisional: Path) -> None:
    config = {
        "bundle": provisional,
        "cameras": {"door": {"source": FALL}},
        "serve": {"address": "127.0.0.1:0"},
    }
    with Service(Config.model_validate(config)) as service:
        service.run()
        assert service.health()["cameras"]["door"]["provisional"] is True
        with urllib.request.urlopen(f"{service.url}metrics") as answer:  # noqa: S310  our own server
            assert 'daflow_threshold_provisional{camera="door"} 1.0' in answer.read().decode()


def test_the_library_and_the_doctor_say_so(provisional: Path) -> None:
    assert next(watch(FALL, provisional)).provisional
    found = bundle_files(provisional)
    assert found.state == "warning"
    assert "provisional threshold" in found.found
    alarm = read_bundle(provisional).manifest.alarm
    assert alarm is not None
    assert alarm.provisional
