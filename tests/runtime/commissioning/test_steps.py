"""The steps to a camera's own bundle: what each gets, and that nothing changes where one fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from daflow.core.alarms.zones import Zone
from daflow.core.bundle import read_bundle
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import write_clips
from daflow.core.errors import CheckFailed, InputError
from runtime.commissioning import steps
from runtime.commissioning.recordings import Recordings
from runtime.commissioning.steps import begin, bundle_of, is_commissioned, make_bundle, run_command
from runtime.config.drawn_zones import DrawnZones


@pytest.fixture
def camera(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A camera with six recordings and a bundle to watch with; torch counts as not installed."""
    folder = tmp_path / "camera"
    folder.mkdir()
    begin(folder, exported)
    clips = [generate_clip(f"camera_2026112{day}T080500Z", day, Scene(frames=250))[0] for day in range(6)]
    write_clips(Recordings(folder).new_run(live=True), clips)
    monkeypatch.setattr(steps, "_TRAINING", ("no_such_package",))
    return folder


def clips_of(words: Sequence[str]) -> set[str]:
    return {after for word, after in pairwise(words) if word == "--clips"}


def test_each_recording_is_for_one_thing_and_the_bundle_is_calibrated(camera: Path) -> None:
    ran: list[Sequence[str]] = []

    def run(words: Sequence[str], log: Path) -> str | None:
        ran.append(words)
        return run_command(words, log)

    assert not is_commissioned(camera)
    made = make_bundle(camera, per_day=1.0, run=run)
    assert (made.trained, made.replaced, made.promised) == (False, True, False)
    calibrated, checked = (clips_of(words) for words in ran)
    assert calibrated
    assert checked
    assert not calibrated & checked
    alarm = read_bundle(bundle_of(camera)).manifest.alarm
    assert alarm is not None
    assert (alarm.target_per_day, alarm.normal is not None) == (1.0, True)
    assert is_commissioned(camera)
    assert "daflow-calibrate" not in (camera / "commission.log").read_text()
    assert sorted(p.name for p in camera.iterdir() if p.name.startswith("bundle")) == ["bundle"]


def test_a_camera_is_calibrated_with_the_zones_that_were_drawn(camera: Path) -> None:
    half = Zone.model_validate({"kind": "watch", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]})
    DrawnZones(steps.zones_of(camera)).save("camera", {"left": half})
    made = make_bundle(camera, per_day=1.0)
    assert made.replaced
    alarm = read_bundle(bundle_of(camera)).manifest.alarm
    assert alarm is not None
    assert dict(alarm.zones) == {"left": half}
    assert alarm.misfit({"left": half}) is None


def test_a_step_that_fails_leaves_everything_as_it_was(camera: Path) -> None:
    before = (bundle_of(camera) / "manifest.json").read_bytes()
    with pytest.raises(CheckFailed, match="stopped at 'calibrate': the disk is full"):
        make_bundle(camera, 1.0, lambda words, log: "the disk is full.")
    assert (bundle_of(camera) / "manifest.json").read_bytes() == before
    assert not is_commissioned(camera)
    assert not (camera / "bundle.new").exists()


@pytest.mark.parametrize(
    ("new", "old", "replaced"), [(3, 1, False), (1, 1, True), (0, 4, True), (2, 0, True)]
)
def test_a_worse_bundle_does_not_replace_a_commissioned_one(
    camera: Path, new: int, old: int, replaced: bool
) -> None:
    make_bundle(camera, 1.0)
    before = (bundle_of(camera) / "manifest.json").read_bytes()
    counts = iter((new, old))

    def run(words: Sequence[str], log: Path) -> str | None:
        if "check" not in words:
            return run_command(words, log)
        found = {"alarms": next(counts), "hours": 24.0, "expected_per_day": 1.5}
        Path(words[words.index("--json") + 1]).write_text(json.dumps(found))
        return "refuted"

    made = make_bundle(camera, 500.0, run)
    assert (made.replaced, made.false_alarms) == (replaced, new)
    assert ((bundle_of(camera) / "manifest.json").read_bytes() != before) == replaced


def test_few_recordings_are_told(tmp_path: Path, exported: Path) -> None:
    begin(tmp_path / "camera", exported)
    with pytest.raises(InputError, match="0 recordings of at most five minutes are too few"):
        make_bundle(tmp_path / "camera", 1.0)


def test_a_name_with_brackets_matches_itself_alone() -> None:
    assert steps._as_pattern("a[1]*") == "a[[]1][*]"


def test_the_last_line_of_a_command_that_fails_says_why(tmp_path: Path) -> None:
    import sys

    log = tmp_path / "log"
    assert run_command([sys.executable, "-c", "print('fine')"], log) is None
    why = run_command([sys.executable, "-c", "print('first'); raise SystemExit('no disk')"], log)
    assert why == "no disk"
    assert log.read_text().splitlines() == ["fine", "first", "no disk"]
