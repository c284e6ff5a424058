"""The steps to a camera's own bundle: what each gets, and that nothing changes where one fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from daflow.core.alarms.zones import Zone
from daflow.core.bundle import read_bundle
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import write_clips
from daflow.core.errors import CheckFailed, InputError
from runtime.commissioning import bundle_maker
from runtime.commissioning.bundle_maker import CameraResult, Commissioned, make_bundle
from runtime.commissioning.commands import Runner, run_command
from runtime.commissioning.folder import begin, bundle_of, is_commissioned, zones_of
from runtime.commissioning.recordings import Recordings
from runtime.commissioning.steps import as_pattern
from runtime.config.drawn_zones import DrawnZones
from runtime.events.label_table import Label
from runtime.events.labels import AlarmLabels
from runtime.events.message import EventMessage
from runtime.events.store import EventStore
from runtime.json_values import iso


@pytest.fixture
def camera(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A camera with six recordings and a bundle to watch with; torch counts as not installed."""
    folder = tmp_path / "camera"
    folder.mkdir()
    begin(folder, exported)
    lengths = enumerate((250, 250, 250, 250, 1500, 250))
    clips = [generate_clip(f"camera_2026112{day}T080500Z", day, Scene(frames=n))[0] for day, n in lengths]
    write_clips(Recordings(folder).new_run(), clips)
    monkeypatch.setattr(bundle_maker, "_TRAINING", ("no_such_package",))
    return folder


def only(made: Commissioned) -> CameraResult:
    (result,) = made.cameras.values()
    return result


def clips_of(words: Sequence[str]) -> set[str]:
    return {after for word, after in pairwise(words) if word == "--clips"}


def test_each_recording_is_for_one_thing_and_the_bundle_is_calibrated(camera: Path) -> None:
    ran: list[Sequence[str]] = []

    def run(words: Sequence[str], log: Path) -> str | None:
        ran.append(words)
        return run_command(words, log)

    assert not is_commissioned(camera)
    made = make_bundle(camera, per_day=1.0, run=run)
    assert (made.why_not_trained, made.replaced, only(made).promised) == (
        "torch is not installed",
        True,
        False,
    )
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
    DrawnZones(zones_of(camera)).save("camera", {"left": half})
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
    assert (made.replaced, only(made).false_alarms) == (replaced, new)
    assert ((bundle_of(camera) / "manifest.json").read_bytes() != before) == replaced


def test_few_recordings_are_told(tmp_path: Path, exported: Path) -> None:
    begin(tmp_path / "camera", exported)
    with pytest.raises(InputError, match="0 recordings of at most five minutes are too few"):
        make_bundle(tmp_path / "camera", 1.0)


def test_a_name_with_brackets_matches_itself_alone() -> None:
    assert as_pattern("a[1]*") == "a[[]1][*]"


def test_the_last_line_of_a_command_that_fails_says_why(tmp_path: Path) -> None:
    import sys

    log = tmp_path / "log"
    assert run_command([sys.executable, "-c", "print('fine')"], log) is None
    why = run_command([sys.executable, "-c", "print('first'); raise SystemExit('no disk')"], log)
    assert why == "no disk"
    assert log.read_text().splitlines() == ["fine", "first", "no disk"]


def utc_of(number: int, seconds: float) -> float:
    """A time in one of the recordings, `seconds` after its first frame."""
    return datetime(2026, 11, 20 + number, 8, 5, tzinfo=timezone.utc).timestamp() + seconds


def labelled(folder: Path, **alarms: tuple[int, float, Label | None]) -> Path:
    """A store with alarms of three seconds: the number of a recording, when in it, and what was said of it."""
    path = folder / "events.sqlite"
    with EventStore(path) as store:
        for name, (number, seconds, label) in alarms.items():
            began = utc_of(number, seconds)
            content = {
                "schema": 1,
                "camera": "camera",
                "began_utc": iso(began),
                "utc": iso(began + 3),
                "peak": {},
            }
            store.append(EventMessage(name, 0, "end", "camera", began, content))
            AlarmLabels(store).set(name, label, "me")
    return path


def answers(*found: tuple[str, dict[str, Sequence[tuple[float, float]]]]) -> Runner:
    """Answer each check, after a real calibration; say which recordings it is of, and when alarms are in them."""
    left = list(found)

    def run(words: Sequence[str], log: Path) -> str | None:
        if "check" not in words:
            return run_command(words, log)
        clip, times = left.pop(0)
        assert clip == "" or clip in clips_of(words), (clip, words)
        rows = [{"clip": name, "alarms": len(each), "times": each} for name, each in times.items()]
        content = {"alarms": 0, "hours": 24.0, "expected_per_day": 1.5, "clips": rows}
        Path(words[words.index("--json") + 1]).write_text(json.dumps(content))
        return None

    return run


REAL = "camera_20261124T080500Z"


def test_real_alarms_are_no_normal_material_and_false_ones_are(camera: Path) -> None:
    write_more(camera)
    store = labelled(camera, a=(2, 5.0, "real"), b=(3, 5.0, "false"), c=(4, 5.0, "false"), d=(5, 1.0, None))
    ran: list[Sequence[str]] = []

    def run(words: Sequence[str], log: Path) -> str | None:
        ran.append(words)
        return run_command(words, log)

    made = make_bundle(camera, 500.0, run, store)
    calibrated, checked, replayed = (clips_of(words) for words in ran)
    assert replayed == {"camera_20261122T080500Z"}
    assert replayed.isdisjoint(calibrated | checked)
    assert "camera_20261123T080500Z" in calibrated, "the first with a false alarm"
    assert "camera_20261124T080500Z" not in calibrated, "of two one is calibrated on"
    assert made.labels is not None
    for words in (
        "labelled false: 2 alarms (normal, as recorded: 10 s",
        "labelled real: 1 alarm (left out)",
        "without a label: 1 alarm (counted as normal)",
        "Only alarms have labels",
    ):
        assert words.replace("10 s", "") in made.labels


def test_the_bundle_is_not_replaced_by_one_that_misses_a_real_alarm(camera: Path) -> None:
    write_more(camera)
    make_bundle(camera, 500.0)
    before = (bundle_of(camera) / "manifest.json").read_bytes()
    store = labelled(camera, a=(4, 30.0, "real"))
    there: dict[str, Sequence[tuple[float, float]]] = {REAL: [(0.0, 1.0), (29.0, 31.0)]}
    elsewhere: dict[str, Sequence[tuple[float, float]]] = {REAL: [(0.0, 1.0), (50.0, 55.0)]}
    lost = make_bundle(camera, 1440.0, answers(("", {}), (REAL, elsewhere), (REAL, there)), store)
    assert (lost.replaced, len(only(lost).lost), only(lost).silent) == (False, 1, ())
    assert (
        f"{datetime.fromtimestamp(utc_of(4, 30.0)).astimezone():%Y-%m-%d %H:%M:%S} (a)" in only(lost).lost[0]
    )
    assert (bundle_of(camera) / "manifest.json").read_bytes() == before
    neither = make_bundle(camera, 1440.0, answers(("", {}), (REAL, elsewhere), (REAL, {}), ("", {})), store)
    assert (neither.replaced, only(neither).lost, len(only(neither).silent)) == (True, (), 1)
    both = make_bundle(camera, 1440.0, answers(("", {}), (REAL, there), ("", {})), store)
    assert (both.replaced, only(both).lost, only(both).silent) == (True, (), ())


def test_too_few_recordings_without_a_real_alarm_are_told(camera: Path) -> None:
    store = labelled(camera, a=(4, 1.0, "real"))
    with pytest.raises(
        InputError, match=r"5 recordings are too few .* 1 others hold alarms that are labelled real"
    ):
        make_bundle(camera, 1.0, store=store)
    assert make_bundle(camera, 1.0, store=camera / "none.sqlite").labels is None


def write_more(camera: Path) -> None:
    clips = [generate_clip(f"camera_2026112{day}T090500Z", day, Scene(frames=250))[0] for day in range(4)]
    write_clips(Recordings(camera).new_run(), clips)
