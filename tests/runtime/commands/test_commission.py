"""`daflow-edge commission`: watched, interrupted, gone on with, and made into a bundle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daflow.core.bundle import read_bundle
from daflow.core.files import locked
from runtime.cli import main
from runtime.commissioning import bundle_maker, needs
from runtime.commissioning.folder import bundle_of, is_commissioned
from runtime.commissioning.recordings import Recordings
from runtime.config.schema import Config
from runtime.service.service import Service

WALKERS = "synthetic:seed=5,people=3,frames=3750"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less is needed, nothing is trained, and recordings are of 25 seconds."""
    monkeypatch.setattr(bundle_maker, "_TRAINING", ("no_such_package",))
    monkeypatch.setattr(needs, "MIN_HOURS", 1 / 30)
    monkeypatch.setattr("runtime.outputs.track_recorder._SECONDS", 25.0)


def run(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["commission", str(folder), *map(str, words)])


def test_a_recording_is_watched_until_it_is_enough_and_becomes_a_bundle(
    quick: None, tmp_path: Path, evidence_bundle: Path
) -> None:
    camera = tmp_path / "door"
    words = ("--bundle", evidence_bundle, "--false-alarms-per-day", 1440)
    short = run(camera, "--source", "synthetic:seed=5,people=3,frames=1500", *words)
    assert short.exit_code == 1, short.output
    assert "Not commissioned yet: 1 minutes with people of 2 minutes" in short.output
    assert "missing: 1 minutes with people" in short.output
    assert not is_commissioned(camera)
    whole = run(camera, "--source", WALKERS, *words, "--json", tmp_path / "made.json")
    assert whole.exit_code == 0, whole.output
    assert (
        "calibrated (torch is not installed, so the model stayed as it was) for 1440 false alarms per day"
        in whole.stdout
    )
    made = json.loads((tmp_path / "made.json").read_text())
    assert (made["replaced"], made["trained"]) == (True, False)
    alarm = read_bundle(bundle_of(camera)).manifest.alarm
    assert alarm is not None
    assert alarm.target_per_day == 1440
    assert alarm.hours > 0.012
    before = len(Recordings(camera).files())
    refused = run(camera, "--source", WALKERS)
    assert refused.exit_code == 2
    assert "is commissioned. Watch with: daflow-edge --bundle" in refused.output
    again = run(camera, "--source", WALKERS, "--again", "--false-alarms-per-day", 1440)
    assert again.exit_code in (0, 1), again.output
    assert len(Recordings(camera).files()) > before


def test_a_camera_is_watched_on_with_its_own_bundle(
    quick: None, tmp_path: Path, evidence_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a camera, in whose place there is a long recording here, the bundle is made beside the watching."""
    monkeypatch.setattr("runtime.commissioning.commissioner.is_live", lambda uri: True)
    monkeypatch.setattr("runtime.commissioning.progress.MEASURE_SECONDS", 0.2)
    applied: list[Path] = []
    facts: list[dict[str, Any]] = []
    apply = Service._apply

    def apply_and_stop(service: Service, config: Config) -> None:
        apply(service, config)
        applied.append(service.bundle.folder)
        facts.append(service.health()["cameras"]["camera"])
        assert not service.stopped
        service.stop()

    monkeypatch.setattr(Service, "_apply", apply_and_stop)
    camera = tmp_path / "door"
    words = ("--bundle", evidence_bundle, "--false-alarms-per-day", 1440)
    result = run(camera, "--source", "synthetic:seed=5,people=3,frames=10000000", *words)
    assert result.exit_code == 0, result.output
    assert applied == [bundle_of(camera)]
    assert is_commissioned(camera)
    (said,) = facts
    # The recordings do not support the rate: half as much again is needed before it is tried again.
    assert said["provisional"]
    assert said["commissioning"]["state"] in ("reading", "recording")
    assert not said["commissioning"]["trains"]
    assert said["commissioning"]["needed_seconds"] > 1.4 * needs.MIN_HOURS * 3600


def test_more_of_a_commissioned_camera_is_more_than_was_used_before(
    quick: None, tmp_path: Path, evidence_bundle: Path
) -> None:
    camera = tmp_path / "door"
    words = ("--false-alarms-per-day", 1440)
    assert run(camera, "--source", WALKERS, "--bundle", evidence_bundle, *words).exit_code == 0
    before = (bundle_of(camera) / "manifest.json").read_bytes()
    short = run(camera, "--source", "synthetic:seed=6,people=3,frames=1500", "--again", *words)
    assert short.exit_code == 1
    assert "Not commissioned yet: 1 minutes with people of 2 minutes" in short.output
    assert (bundle_of(camera) / "manifest.json").read_bytes() == before


def test_two_cannot_commission_one_camera(tmp_path: Path, evidence_bundle: Path) -> None:
    camera = tmp_path / "door"
    with locked(camera / "recordings"):
        result = run(camera, "--source", WALKERS, "--bundle", evidence_bundle)
    assert result.exit_code == 2
    assert "is being commissioned by another process" in result.output
    assert not bundle_of(camera).exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing option '--source'"),
        (("--source", WALKERS, "--bundle", "nowhere"), "nowhere is not a bundle"),
        (("--source", WALKERS, "--record", "x"), "--record is not needed"),
        (("--now",), "Nothing is recorded"),
        (("--now", "--source", WALKERS), "Give --source to watch, or --now"),
        (("--false-alarms-per-day", "0"), "0"),
    ],
)
def test_wrong_input_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    result = run(tmp_path / "door", *words)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "door" / "bundle").exists()


@pytest.mark.slow
def test_killed_three_times_nothing_is_lost_and_nothing_is_there_twice(
    quick: None, tmp_path: Path, evidence_bundle: Path
) -> None:
    camera = tmp_path / "door"
    words = ["commission", str(camera), "--source", WALKERS, "--bundle", str(evidence_bundle)]
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "runtime.cli", *words])
        while process.poll() is None and not list(camera.glob("recordings/*/*/*.json")):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    whole = run(camera, "--source", WALKERS, "--bundle", evidence_bundle, "--false-alarms-per-day", 1440)
    assert whole.exit_code == 0, whole.output
    recorded = Recordings(camera).total()
    assert 145 <= recorded.seconds <= 151  # 3750 frames at 25 per second, once
