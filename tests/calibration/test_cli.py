from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.cli import main
from daflow.bundle import Alarm, read_bundle
from daflow.onnx_scorer import OnnxScorer
from daflow.tracks import read_clips
from daflow.windows import make_windows


def calibrate(bundle: Path, poses: Path, *options: object) -> Result:
    return CliRunner().invoke(
        main, ["alarm", "--bundle", str(bundle), "--poses", str(poses), *map(str, options)]
    )


def alarm_of(bundle: Path) -> Alarm:
    alarm = read_bundle(bundle).manifest.alarm
    assert alarm is not None
    return alarm


def test_the_threshold_is_the_quantile_of_what_normal_windows_score(bundle: Path, dataset: Path) -> None:
    assert calibrate(bundle, dataset / "train", "--quantile", "0.9").exit_code == 0
    poses = make_windows(read_clips(dataset / "train")).poses
    with OnnxScorer(bundle / "scorer.fp32.onnx") as scorer:
        expected = np.quantile(scorer.score(poses), 0.9)
    alarm = alarm_of(bundle)
    assert alarm.threshold == pytest.approx(float(expected), rel=1e-6)
    assert (alarm.quantile, alarm.windows) == (0.9, len(poses))


def test_the_json_is_what_the_manifest_holds(bundle: Path, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "alarm.json"
    assert calibrate(bundle, dataset / "train", "--json", target).exit_code == 0
    assert json.loads(target.read_text()) == alarm_of(bundle).model_dump()


def test_calibrating_again_replaces_the_threshold(bundle: Path, dataset: Path) -> None:
    calibrate(bundle, dataset / "train", "--quantile", "0.5")
    lower = alarm_of(bundle).threshold
    calibrate(bundle, dataset / "train", "--quantile", "0.99")
    assert alarm_of(bundle).threshold > lower


def test_too_few_windows_for_a_quantile_are_said(
    bundle: Path, dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert calibrate(bundle, dataset / "train", "--quantile", "0.9999").exit_code == 0
    assert "about 100000 are wanted" in caplog.text


@pytest.mark.parametrize("quantile", ["0", "1", "1.5", "nan", "inf", "much"])
def test_a_quantile_outside_of_0_to_1_is_refused(bundle: Path, dataset: Path, quantile: str) -> None:
    result = calibrate(bundle, dataset / "train", "--quantile", quantile)
    assert result.exit_code == 2
    assert "--quantile" in result.output


def test_wrong_paths_are_named(bundle: Path, dataset: Path, tmp_path: Path) -> None:
    for arguments in ((tmp_path, dataset / "train"), (bundle, tmp_path)):
        result = calibrate(*arguments)
        assert result.exit_code == 2
        assert str(tmp_path) in result.output
