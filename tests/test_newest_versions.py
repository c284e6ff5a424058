"""The edge with the newest versions of all that it needs, on the newest Python of this machine.

This is what `pip install 'daflow[edge]'` gives a user today; the other tests run with the versions of
`constraints.txt`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]

DRIVER = r"""
import sys, warnings
warnings.filterwarnings("error", module=r"(daflow|runtime)\b")
from runtime.cli import main
main(sys.argv[1:])
"""
"""`daflow-edge`, which fails where the toolkit itself uses what is about to go."""


def newest_python() -> str:
    """Return the newest Python on the path or beside this one, as pyenv and uv install them; it may be this one."""
    beside = Path(sys.base_prefix).parent.glob("*/bin/python3")
    named = [found for minor in range(20, 9, -1) if (found := shutil.which(f"python3.{minor}"))]
    told = "import sys, venv, ensurepip; print(sys.version_info[:3])"
    versions = {}
    for python in dict.fromkeys([sys.executable, *named, *map(str, beside)]):
        ran = subprocess.run([python, "-c", told], capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            versions[tuple(json.loads(f"[{ran.stdout.strip()[1:-1]}]"))] = python
    return versions[max(versions)]


def run(*command: str | Path, folder: Path) -> str:
    ran = subprocess.run(
        [str(word) for word in command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
    return ran.stdout


@pytest.mark.everything
def test_the_edge_runs_with_the_newest_versions(tmp_path: Path, shared: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run(newest_python(), "-m", "venv", tmp_path / "venv", folder=tmp_path)
    python = tmp_path / "venv/bin/python"
    needs = [*project["dependencies"], *project["optional-dependencies"]["edge"]]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *needs], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"the packages cannot be installed here: {installed.stderr[-300:]}")
    edge = [python, "-c", DRIVER]
    events, video = tmp_path / "events.jsonl", tmp_path / "watched.mp4"
    run(*edge, "--source", "synthetic:seed=3,event=fall", "--events", events, folder=tmp_path)
    assert json.loads(events.read_text().splitlines()[0])["event"] == "begin"
    said = run(
        *edge, "--source", shared / "data/video/tfjs_pose_squats.mp4", "--estimator", "mediapipe", "--pose-model",
        shared / "models/pose_landmarker_lite.task", "--video", video, "--scores", tmp_path / "scores.csv",
        folder=tmp_path,
    )  # fmt: skip
    assert "65 frames" in said
    assert video.stat().st_size > 10_000
    assert len((tmp_path / "scores.csv").read_text().splitlines()) > 30
