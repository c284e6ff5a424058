"""The benchmark of the forms of pose tracks measures the same poses in both, and its ratios are of one round each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.track_files import FormComparison, main
from daflow.core.data.tracks import read_clips


def test_ratios_are_taken_within_a_round() -> None:
    seconds = {"json": [10.0, 40.0, 30.0], "parquet": [1.0, 2.0, 1.0]}
    found = FormComparison(1, 5, {"json": 400, "parquet": 100}, seconds, seconds)  # type: ignore[arg-type]
    assert found.smaller == 0.25
    assert found.faster(seconds).median == pytest.approx(20)  # type: ignore[arg-type]


def test_the_command_reports_every_folder(dataset: Path) -> None:
    words = [
        "--poses",
        str(dataset / "train"),
        "--poses",
        str(dataset / "test"),
        "--rounds",
        "1",
        "--json",
        "-",
    ]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    for part in ("train", "test"):
        clips = read_clips(dataset / part)
        found = figures[str(dataset / part)]
        assert (found["clips"], found["poses"]) == (len(clips), sum(clip.poses for clip in clips))
        assert 0 < found["bytes"]["parquet"] < found["bytes"]["json"] / 3
        assert found["faster"]["readers"] > 0
