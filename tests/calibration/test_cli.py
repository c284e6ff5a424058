from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.calibrate import calibrate_alarm, write_calibration
from calibration.cli import main
from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.p_value import p_value
from daflow.core.bundle import read_bundle, write_manifest
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip, Track, read_clips, write_clips
from daflow.core.data.windows import make_windows
from daflow.core.errors import InputError
from daflow.core.scoring.onnx import OnnxScorer


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four minutes of walkers, long enough for a high rate."""
    folder = tmp_path_factory.mktemp("recordings")
    scene = Scene(frames=2000, people=2)
    write_clips(folder, [generate_clip(f"clip_{index}", 50 + index, scene)[0] for index in range(3)])
    return folder


def run(command: str, bundle: Path, poses: Path, *options: object) -> Result:
    return CliRunner().invoke(
        main, [command, "--bundle", str(bundle), "--poses", str(poses), *map(str, options)]
    )


def calibrate(bundle: Path, poses: Path, *options: object) -> Result:
    return run("alarm", bundle, poses, *options)


def alarm_of(bundle: Path) -> AlarmCalibration:
    alarm = read_bundle(bundle).manifest.alarm
    assert alarm is not None
    return alarm


def test_the_threshold_is_the_quantile_of_what_normal_windows_score(bundle_copy: Path, dataset: Path) -> None:
    assert (
        calibrate(bundle_copy, dataset / "train", "--quantile", "0.9", "--smoothing-seconds", 0).exit_code
        == 0
    )
    poses = make_windows(read_clips(dataset / "train")).poses
    with OnnxScorer(bundle_copy / "scorer.fp32.onnx") as scorer:
        expected = np.quantile(scorer.score(poses), 0.9)
    alarm = alarm_of(bundle_copy)
    assert alarm.threshold == pytest.approx(float(expected), rel=1e-6)
    assert (alarm.method, alarm.quantile, alarm.windows) == ("quantile", 0.9, len(poses))
    assert (alarm.promised, alarm.target_per_day) == (False, None)


def test_the_json_is_what_the_manifest_holds(bundle_copy: Path, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "alarm.json"
    assert calibrate(bundle_copy, dataset / "train", "--quantile", "0.9", "--json", target).exit_code == 0
    written = json.loads(target.read_text())
    assert alarm_of(bundle_copy).model_dump(mode="json").items() <= written.items()
    assert written["choice"]["threshold"] == written["threshold"]


def test_recordings_say_which_rate_they_do_support(
    bundle_copy: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "calibration.calibrate.reason_against_rate",
        lambda choice, hours, per_day: "too short" if per_day < 300 else None,
    )
    monkeypatch.setattr("calibration.calibrate.least_hours", lambda per_day: 0.0)
    result = calibrate(bundle_copy, dataset / "train", "--false-alarms-per-day", "24")
    assert result.exit_code == 0
    assert (
        "PROVISIONAL: the recordings do not support this rate; they support --false-alarms-per-day 500"
        in result.output
    )
    alarm = alarm_of(bundle_copy)
    assert (alarm.provisional, alarm.supported_per_day, alarm.promised) == (True, 500, False)
    assert alarm.rule().provisional
    assert "which do not support 24 false alarms per day" in alarm.why_provisional
    calibrate(bundle_copy, dataset / "train", "--false-alarms-per-day", "500")
    assert not alarm_of(bundle_copy).provisional


def test_what_lasts_counts_with_evidence_and_not_with_a_flow_alone(
    bundle_copy: Path, evidence_bundle: Path, dataset: Path, tmp_path: Path
) -> None:
    calibrate(bundle_copy, dataset / "train")
    assert alarm_of(bundle_copy).lasting_seconds == 0
    refused = calibrate(bundle_copy, dataset / "train", "--lasting-seconds", "5")
    assert refused.exit_code == 2
    assert "Lasting seconds need evidence beside the flow" in refused.output
    copy = Path(shutil.copytree(evidence_bundle, tmp_path / "evidence"))
    calibrate(copy, dataset / "train")
    with_it = alarm_of(copy)
    assert (with_it.lasting_seconds, with_it.rule().lasting_seconds) == (5, 5)
    calibrate(copy, dataset / "train", "--lasting-seconds", "0")
    assert alarm_of(copy).threshold <= with_it.threshold


def test_a_short_recording_gives_a_threshold_and_supports_no_rate(
    bundle_copy: Path, dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = calibrate(bundle_copy, dataset / "train")
    assert result.exit_code == 0
    assert "too short for 1 false alarms per day" in caplog.text
    assert "at least 6 hours are needed" in caplog.text
    assert "PROVISIONAL: the recordings support no rate of false alarms" in result.output
    alarm = alarm_of(bundle_copy)
    assert (alarm.target_per_day, alarm.promised) == (1, False)
    before = (bundle_copy / "manifest.json").read_bytes()
    result = calibrate(bundle_copy, dataset / "train", "--require-promise")
    assert result.exit_code == 1
    assert "was not changed" in result.output
    assert (bundle_copy / "manifest.json").read_bytes() == before


def test_a_supported_rate_is_calibrated_and_checked(
    bundle_copy: Path, recordings: Path, tmp_path: Path
) -> None:
    options = ("--false-alarms-per-day", 4000, "--cool-down-seconds", 0, "--end-seconds", 0.1)
    result = calibrate(bundle_copy, recordings, *options, "--smoothing-seconds", 0)
    assert result.exit_code == 0, result.output
    alarm = alarm_of(bundle_copy)
    assert (alarm.method, alarm.target_per_day) == ("pot", 4000)
    assert alarm.expected_per_day == pytest.approx(4000, rel=0.01)
    assert "by a generalised Pareto tail" in result.output
    checked = run("check", bundle_copy, recordings, "--json", tmp_path / "check.json")
    content = json.loads((tmp_path / "check.json").read_text())
    assert (checked.exit_code, content["refuted"]) == (0, False)
    assert content["alarms"] == sum(clip["alarms"] for clip in content["clips"])
    assert content["hours"] == pytest.approx(4 / 60, rel=0.02)
    assert [clip["clip"] for clip in content["clips"]] == ["clip_0", "clip_1", "clip_2"]


def test_a_check_fails_when_the_rate_is_refuted(bundle_copy: Path, recordings: Path) -> None:
    calibrate(bundle_copy, recordings, "--false-alarms-per-day", 10)
    manifest = read_bundle(bundle_copy).manifest
    alarm = alarm_of(bundle_copy)
    assert alarm.normal is not None
    low = alarm.model_copy(update={"threshold": float(np.median(alarm.normal.scores))})
    write_manifest(bundle_copy, manifest.model_copy(update={"alarm": low}))
    result = run("check", bundle_copy, recordings)
    assert result.exit_code == 1
    assert ": refuted" in result.output
    assert "Calibrate again" in result.output


def test_p_values_come_from_the_calibration(bundle_copy: Path, recordings: Path) -> None:
    calibrate(bundle_copy, recordings, "--quantile", "0.9")
    alarm = alarm_of(bundle_copy)
    p = p_value(alarm, alarm.threshold)
    assert p == pytest.approx(0.1, abs=0.05)
    assert alarm.normal is not None
    assert 130 < alarm.normal.size <= 2 * 3 * 41


def test_a_camera_is_calibrated_apart(bundle_copy: Path, dataset: Path, recordings: Path) -> None:
    calibrate(bundle_copy, dataset / "train", "--quantile", "0.5")
    everywhere = alarm_of(bundle_copy)
    result = calibrate(bundle_copy, recordings, "--quantile", "0.9", "--camera", "door", "--fps", 12.5)
    assert "threshold of camera door" in result.output
    opened = read_bundle(bundle_copy)
    assert opened.manifest.alarm == everywhere == opened.alarm_for("yard")
    door = opened.alarm_for("door")
    assert door == opened.manifest.cameras["door"]
    assert (door.quantile, door.fps, door.hours) == (0.9, 12.5, pytest.approx(8 / 60, rel=0.02))
    assert run("check", bundle_copy, recordings, "--camera", "door").exit_code == 0
    result = run("check", bundle_copy, recordings, "--camera", "yard")
    assert result.exit_code == 2
    assert "no calibration of a camera yard; it has: door" in result.output


def test_calibrating_again_replaces_the_threshold(bundle_copy: Path, dataset: Path) -> None:
    calibrate(bundle_copy, dataset / "train", "--quantile", "0.5")
    lower = alarm_of(bundle_copy).threshold
    calibrate(bundle_copy, dataset / "train", "--quantile", "0.99")
    assert alarm_of(bundle_copy).threshold > lower


def test_too_few_windows_for_a_quantile_are_reported(
    bundle_copy: Path, dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert calibrate(bundle_copy, dataset / "train", "--quantile", "0.9999").exit_code == 0
    assert "about 100000 are needed" in caplog.text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--quantile", value) for value in ("0", "1", "1.5", "nan", "inf", "much")],
        *[("--false-alarms-per-day", value) for value in ("0", "-1", "nan", "inf")],
        ("--fps", "0"),
        ("--camera", "../door"),
        ("--smoothing-seconds", "-1"),
    ],
)
def test_values_out_of_range_are_refused(bundle_copy: Path, dataset: Path, option: str, value: str) -> None:
    result = calibrate(bundle_copy, dataset / "train", option, value)
    assert result.exit_code == 2
    assert option in result.output


@pytest.mark.parametrize("option", [("--false-alarms-per-day", "2"), ("--require-promise",)])
def test_a_quantile_is_no_rate(bundle_copy: Path, dataset: Path, option: tuple[str, ...]) -> None:
    result = calibrate(bundle_copy, dataset / "train", "--quantile", "0.9", *option)
    assert result.exit_code == 2
    assert option[0] in result.output


def test_the_library_takes_a_rate_or_a_quantile_too(bundle_copy: Path, dataset: Path) -> None:
    before = (bundle_copy / "manifest.json").read_bytes()
    opened, poses = read_bundle(bundle_copy), dataset / "train"
    with pytest.raises(InputError, match="a rate of false alarms or a quantile, not both"):
        calibrate_alarm(opened, poses, false_alarms_per_day=1, quantile=0.9)
    result = calibrate_alarm(opened, poses)
    assert (result.alarm.target_per_day, result.alarm.promised) == (1, False)
    assert result.alarm.threshold == result.choice.threshold
    assert "too short" in str(result.reason)
    assert (bundle_copy / "manifest.json").read_bytes() == before
    write_calibration(opened, result.alarm, camera="door")
    assert read_bundle(bundle_copy).alarm_for("door") == result.alarm
    assert read_bundle(bundle_copy).manifest.alarm is None


def test_wrong_paths_are_named(bundle_copy: Path, dataset: Path, tmp_path: Path) -> None:
    for command in ("alarm", "check"):
        for arguments in ((tmp_path, dataset / "train"), (bundle_copy, tmp_path)):
            if command == "check":
                calibrate(bundle_copy, dataset / "train", "--quantile", "0.9")
            result = run(command, *arguments)
            assert result.exit_code == 2
            assert str(tmp_path) in result.output


def test_a_check_wants_a_calibration(bundle_copy: Path, dataset: Path) -> None:
    result = run("check", bundle_copy, dataset / "train")
    assert result.exit_code == 2
    assert "is not calibrated: run 'daflow-calibrate alarm" in result.output


def test_recordings_without_a_score_say_why(bundle_copy: Path, tmp_path: Path) -> None:
    clip, _ = generate_clip("short", 1, Scene(frames=20))
    write_clips(tmp_path / "short", [clip])
    broken = np.full((40, 17, 3), np.nan, dtype=np.float32)
    track = Track(1, np.arange(40), broken, np.zeros(40, dtype=np.float32))
    write_clips(tmp_path / "nan", [Clip("nan", (track,), (640, 480))])
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "a_alphapose_tracked_person.json").write_text("{}")
    for name, reason in (("short", "too short"), ("nan", "NaN"), ("nobody", "too few poses")):
        result = calibrate(bundle_copy, tmp_path / name)
        assert result.exit_code == 2
        assert "no window that can be scored" in result.output
        assert reason in result.output


def test_a_made_up_frame_number_takes_no_memory(bundle_copy: Path, recordings: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(recordings, tmp_path / "far"))
    file = folder / "clip_0_alphapose_tracked_person.json"
    content = json.loads(file.read_text())
    person = next(iter(content.values()))
    person["999999999999"] = next(iter(person.values()))
    file.write_text(json.dumps(content))
    result = calibrate(bundle_copy, folder)
    assert result.exit_code == 2
    assert "Clip clip_0 has frame 999999999999" in result.output


def test_trained_on_some_days_calibrated_on_others_and_checked_on_the_rest(
    bundle_copy: Path, recordings: Path, tmp_path: Path
) -> None:
    for index in range(3):
        month = tmp_path / f"20261{index % 2}"
        write_clips(month, [clip for clip in read_clips(recordings) if clip.name == f"clip_{index}"])
    words = ("--clips", "clip_[01]", "--quantile", 0.9)
    assert calibrate(bundle_copy, tmp_path, *words).exit_code == 0
    some = alarm_of(bundle_copy)
    result = calibrate(bundle_copy, tmp_path / "202610", "--poses", tmp_path / "202611", "--quantile", 0.9)
    assert result.exit_code == 0, result.output
    assert alarm_of(bundle_copy).hours == pytest.approx(1.5 * some.hours, rel=0.01)
    result = run("check", bundle_copy, tmp_path, "--clips", "clip_2")
    assert result.exit_code == 0, result.output
    assert "clip_2" in result.output
    assert "clip_1" not in result.output
    result = calibrate(bundle_copy, tmp_path, "--clips", "monday*")
    assert result.exit_code == 2
    assert "--clips monday* matches the name of no clip" in result.output
