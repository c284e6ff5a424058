from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daflow.bundle import Bundle
from runtime import profiling


@pytest.fixture(autouse=True)
def _few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "_CALLS", 20)
    monkeypatch.setattr(profiling, "_WARM_UP", 2)


def profile(bundle: Bundle, *arguments: object) -> Result:
    return CliRunner().invoke(
        profiling.main, ["--bundle", str(bundle.folder), *map(str, arguments)], catch_exceptions=False
    )


def test_the_json_has_the_percentiles_of_every_stage(bundle: Bundle, tmp_path: Path) -> None:
    target = tmp_path / "profile.json"
    ran = profile(bundle, "--batch", "1,4", "--max-frames", 50, "--json", target)
    assert ran.exit_code == 0, ran.output
    report = json.loads(target.read_text())
    assert report["scorer"] == "onnxruntime fp32"
    assert list(report["scorer_alone"]) == ["1", "4"]
    assert list(report["stages"]) == ["capture", "window", "score", "alarm", "whole frame"]
    rows = [*report["scorer_alone"].items(), *report["stages"].items()]
    for name, row in rows:
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"], name
        assert row["count"] == (20 if name in ("1", "4") else 50)
        assert name in ran.output
    assert report["machine"]["cores"] >= 1


def test_the_whole_frame_takes_as_long_as_its_stages(bundle: Bundle) -> None:
    ran = profile(bundle, "--batch", "1", "--max-frames", 100, "--json", "-")
    stages = json.loads(ran.stdout)["stages"]  # and nothing else is printed
    whole = stages.pop("whole frame")["p50_ms"]
    assert max(row["p50_ms"] for row in stages.values()) <= whole
    assert whole <= 2 * sum(row["p50_ms"] for row in stages.values())


def test_a_video_has_the_stages_of_poses_too(bundle: Bundle, squats: Path, pose_model: Path) -> None:
    arguments = ("--batch", "1", "--source", squats, "--pose-model", pose_model, "--max-frames", 10)
    stages = json.loads(profile(bundle, *arguments, "--json", "-").stdout)["stages"]
    assert {"capture", "pose", "track"} <= set(stages)
    assert stages["pose"]["p50_ms"] > stages["track"]["p50_ms"]


@pytest.mark.parametrize("batch", ["", "0", "-1", "one", "1,,2", "1.5", "5000"])
def test_a_wrong_batch_is_refused(bundle: Bundle, batch: str) -> None:
    ran = profile(bundle, "--batch", batch)
    assert ran.exit_code == 2
    assert f"{batch!r} is not a list of numbers such as 1,8,32." in ran.output
