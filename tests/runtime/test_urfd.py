"""From the camera to the alarm, on real falls, by the commands of the README."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest


def daflow(*arguments: object) -> str:
    words = [sys.executable, "-m", "daflow.cli", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.everything
def test_falls_are_told_from_upright_people_whom_the_model_has_not_seen(shared: Path, tmp_path: Path) -> None:
    urfd, pose_model = shared / "data" / "urfd", shared / "models" / "pose_landmarker_full.task"
    if not pose_model.is_file() or not urfd.is_dir():
        pytest.skip("the videos or the pose model are not here")
    tracks, model, target = tmp_path / "tracks", tmp_path / "model.pt", tmp_path / "figures.json"
    sources = [word for clip in range(1, 8) for word in ("--source", urfd / f"fall-0{clip}.mp4")]
    daflow("poses", *sources, "-o", tracks, "--pose-model", pose_model)
    trained = daflow(
        "train", "--poses", tracks, "--clips", "fall-0[1-7]", "--normal-only", urfd / "labels.csv",
        "--stride", 1, "--hold-out", 0, "-o", model,
    )  # fmt: skip
    assert re.search(r"\d+ windows are normal throughout; \d+ others are skipped", trained)
    highest = re.search(r"all below (\d+\.\d+)", trained)
    assert highest
    printed = daflow(
        "evaluate", "--videos", urfd, "--labels", urfd / "labels.csv", "--clips", "fall-0[89]", "--clips", "fall-1*",
        "--tracks", tracks, "--pose-model", pose_model, "--model", model, "--threshold", highest[1], "--json", target,
    )  # fmt: skip
    figures = json.loads(target.read_text())
    assert set(figures["clips"]) == {f"fall-{clip:02d}" for clip in range(8, 16)}
    assert figures["auc"] >= 0.8
    causal = figures["causal"]
    assert causal["scored"]["auc"] >= 0.8
    assert causal["alarms"]["events_with_alarm"] == causal["alarms"]["events"] == 8
    assert 0 < causal["alarms"]["median_delay_seconds"] < 1.5
    assert causal["alarms"]["false_alarms"] <= 5
    assert "median delay" in printed
