"""One bundle for several cameras: one model, and an alarm for each that has enough recordings."""

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
from runtime.commissioning import bundle_maker
from runtime.commissioning.bundle_maker import make_bundle
from runtime.commissioning.commands import run_command
from runtime.commissioning.folder import (
    begin,
    bundle_of,
    calibration_of,
    is_commissioned,
    known_cameras,
    record_of,
    set_cameras,
    used_before,
    write_records,
)
from runtime.commissioning.recordings import Recordings

LEFT = Zone.model_validate({"kind": "watch", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]})


@pytest.fixture
def folder(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two cameras: door has six recordings, hall has two. Torch counts as not installed."""
    monkeypatch.setattr(bundle_maker, "_TRAINING", ("no_such_package",))
    folder = tmp_path / "house"
    folder.mkdir()
    begin(folder, exported)
    set_cameras(folder, {"door": {"left": LEFT}, "hall": {}}, several=True)
    add(folder, "door", 6)
    add(folder, "hall", 2)
    return folder


def add(folder: Path, camera: str, number: int, day: int = 20) -> None:
    names = [f"{camera}_202611{day + each}T080500Z" for each in range(number)]
    clips = [generate_clip(name, seed, Scene(frames=250))[0] for seed, name in enumerate(names)]
    write_clips(Recordings(folder).new_run(), clips)


def clips_of(words: Sequence[str]) -> set[str]:
    return {after for word, after in pairwise(words) if word == "--clips"}


class Answers:
    """Runs commands, but answers checks: how many alarms each camera has in the bundles before and after."""

    def __init__(self, **alarms: tuple[int, int]) -> None:
        self.alarms = alarms
        self.ran: list[Sequence[str]] = []

    def __call__(self, words: Sequence[str], log: Path) -> str | None:
        self.ran.append(words)
        if "check" not in words:
            return run_command(words, log)
        camera = words[words.index("--camera") + 1]
        before, after = self.alarms.get(camera, (0, 0))
        old = Path(words[words.index("--bundle") + 1]).name == "bundle"
        found = {"alarms": before if old else after, "hours": 24.0, "expected_per_day": 1.5, "clips": []}
        Path(words[words.index("--json") + 1]).write_text(json.dumps(found))
        return None


def test_each_camera_is_calibrated_on_its_own_recordings_once_they_are_enough(folder: Path) -> None:
    answers = Answers()
    made = make_bundle(folder, 500.0, answers, cameras=["door", "hall"])
    assert (made.replaced, list(made.cameras)) == (True, ["door"]), "hall has too few recordings"
    (calibrate, check) = answers.ran
    assert {name.partition("_")[0] for name in clips_of(calibrate) | clips_of(check)} == {"door"}
    manifest = read_bundle(bundle_of(folder)).manifest
    assert list(manifest.cameras) == ["door"]
    assert dict(manifest.cameras["door"].zones) == {"left": LEFT}
    assert manifest.alarm == read_bundle(bundle_of(folder)).alarm_for("hall")
    assert manifest.alarm is None or manifest.alarm.provisional
    assert is_commissioned(folder, "door")
    assert not is_commissioned(folder, "hall")
    assert used_before(folder, "door").seconds > 0
    door = calibration_of(folder, "door")
    add(folder, "hall", 5, day=10)
    again = make_bundle(folder, 500.0, Answers(), cameras=["door", "hall"])
    assert (again.replaced, again.cameras["hall"].kept, again.cameras["door"].kept) == (True, False, False)
    assert is_commissioned(folder, "hall")
    assert calibration_of(folder, "door") == door, "the same recordings and the same model"


def test_where_the_new_bundle_is_worse_for_one_it_stays_and_others_are_added(folder: Path) -> None:
    make_bundle(folder, 500.0, Answers(), cameras=["door"])
    before = read_bundle(bundle_of(folder)).manifest.cameras["door"]
    add(folder, "hall", 5, day=10)
    add(folder, "door", 5, day=10)
    made = make_bundle(folder, 400.0, Answers(door=(1, 3)), cameras=["door", "hall"])
    assert (made.replaced, made.cameras["door"].kept, made.cameras["hall"].kept) == (True, True, False)
    manifest = read_bundle(bundle_of(folder)).manifest
    assert manifest.cameras["door"] == before
    assert manifest.cameras["hall"].target_per_day == 400
    assert used_before(folder, "door").seconds == Recordings(folder).total("door").seconds
    assert record_of(folder, "door")["requested_per_day"] == 400, (
        "which is not tried again with the same recordings"
    )
    alone = make_bundle(folder, 400.0, Answers(door=(1, 3)), cameras=["door"])
    assert (alone.replaced, alone.cameras["door"].kept) == (False, True)
    assert read_bundle(bundle_of(folder)).manifest == manifest
    assert not (folder / "bundle.new").exists()


def test_a_camera_that_cannot_be_calibrated_is_left_out_where_others_can(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(folder, "hall", 5, day=10)
    answers = Answers()

    def run(words: Sequence[str], log: Path) -> str | None:
        return "its disk is full" if "check" in words and "hall" in words else answers(words, log)

    made = make_bundle(folder, 500.0, run, cameras=["door", "hall"])
    assert list(made.cameras) == ["door"]
    assert list(read_bundle(bundle_of(folder)).manifest.cameras) == ["door"]
    assert not is_commissioned(folder, "hall")
    assert "camera hall is left out: " in caplog.text
    with pytest.raises(CheckFailed, match="its disk is full"):
        make_bundle(folder, 500.0, run, cameras=["hall"])


def test_any_rate_is_asked_for_exactly(folder: Path) -> None:
    make_bundle(folder, 1234.56789012, Answers(), cameras=["door"])
    assert read_bundle(bundle_of(folder)).manifest.cameras["door"].target_per_day == 1234.56789012


def test_the_model_is_trained_on_all_unless_a_calibration_would_be_lost(
    folder: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(bundle_maker, "_TRAINING", ())
    trained: list[set[str]] = []

    def run(words: Sequence[str], log: Path) -> str | None:
        if "train" in words:
            trained.append({name.partition("_")[0] for name in clips_of(words)})
            return None
        if "calibrate" in " ".join(words) or "alarm" in words or "check" in words:
            return Answers()(words, log)
        target = Path(words[words.index("-o") + 1])
        shutil.copytree(exported, target, dirs_exist_ok=True)
        return None

    first = make_bundle(folder, 500.0, run, cameras=["door"])
    assert (first.why_not_trained, trained) == (None, [{"door", "hall"}])
    add(folder, "hall", 5, day=10)
    second = make_bundle(folder, 500.0, run, cameras=["hall"])
    assert "calibrations of cameras that cannot be made again now (door)" in str(second.why_not_trained)
    assert len(trained) == 1
    assert set(read_bundle(bundle_of(folder)).manifest.cameras) == {"door", "hall"}


def test_none_that_has_enough_is_told_of_each(folder: Path) -> None:
    with pytest.raises(InputError, match="Camera hall: 2 recordings of at most five minutes are too few"):
        make_bundle(folder, 1.0, cameras=["hall"])


def test_a_folder_of_one_camera_gives_it_its_calibration_when_others_come(
    tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_maker, "_TRAINING", ("no_such_package",))
    folder = tmp_path / "house"
    folder.mkdir()
    begin(folder, exported)
    assert known_cameras(folder) == [None]
    add(folder, "door", 6)
    make_bundle(folder, 500.0)
    alarm = read_bundle(bundle_of(folder)).manifest.alarm
    assert alarm is not None
    used = used_before(folder)
    assert not set_cameras(folder, {"door": {}}, several=False)
    assert set_cameras(folder, {"door": {}, "hall": {}}, several=True)
    assert known_cameras(folder) == ["door", "hall"]
    manifest = read_bundle(bundle_of(folder)).manifest
    assert manifest.cameras["door"] == alarm
    assert manifest.alarm is not None
    assert manifest.alarm.provisional, "hall is not calibrated"
    assert used_before(folder, "door") == used
    assert set_cameras(folder, {"door": {}}, several=False), "once several, always several"


def test_of_several_old_names_nobody_knows_whose_calibration_it_is(
    tmp_path: Path, exported: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begin(tmp_path / "house", exported)
    add(tmp_path / "house", "camera", 1)
    add(tmp_path / "house", "gate", 1)
    write_records(tmp_path / "house", {None: {"recorded_seconds": 9.0, "recorded_people": 1}}, several=False)
    assert used_before(tmp_path / "house").people == 1
    set_cameras(tmp_path / "house", {"door": {}, "hall": {}}, several=True)
    assert not is_commissioned(tmp_path / "house", "door")
    assert used_before(tmp_path / "house", "door").people == 0
