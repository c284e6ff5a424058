from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from daflow.commands.demo import demo
from daflow.core.bundle import read_bundle


@pytest.mark.slow
def test_the_demo_runs_the_whole_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daflow.cli", "demo", "-o", str(tmp_path), "--epochs", "3"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    manifest = read_bundle(tmp_path / "bundle").manifest
    assert manifest.alarm is not None
    assert manifest.verification["fp16"].comparison.spearman >= 0.9995
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "annotated.mp4").stat().st_size > 10_000
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    kinds = [event["event"] for event in events if event["event"] != "update"]
    assert kinds[:2] == ["begin", "end"]
    assert "the fall really is at" in done.stdout


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(demo, ["--video", str(tmp_path / "none.mp4"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "There is no video" in result.output
    assert not (tmp_path / "out").exists()
