from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daflow.commands.poses import poses
from daflow.core.data.tracks import read_clips
from runtime.models.catalogue import MODELS

from .conftest import FileServer, digest


def run(*arguments: object) -> Result:
    return CliRunner().invoke(poses, [str(argument) for argument in arguments])


@pytest.fixture
def here(server: FileServer, pose_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models; a server of this machine has the pose model."""
    content, model = pose_model.read_bytes(), MODELS["pose-lite"]
    server.files["/pose.task"] = content
    file = dataclasses.replace(
        model.files[0], url=f"{server.url}/pose.task", size=len(content), sha256=digest(content)
    )
    monkeypatch.setitem(MODELS, "pose-lite", dataclasses.replace(model, files=(file,)))
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_poses_fetches_the_model_and_says_so(
    here: Path, server: FileServer, squats: Path, tmp_path: Path
) -> None:
    words = ("--source", squats, "-o", tmp_path / "tracks", "--max-frames", 30)
    ran = run(*words)
    assert ran.exit_code == 0, ran.output
    assert f"licence Apache-2.0) into {here}" in ran.stderr
    assert len(read_clips(tmp_path / "tracks")[0].tracks) == 1
    server.asked.clear()
    again = run(*words)
    assert "1 of 1 clips are there already" in again.output
    assert server.asked == []


def test_offline_poses_names_the_command_and_writes_nothing(
    here: Path, server: FileServer, squats: Path, tmp_path: Path
) -> None:
    ran = run("--source", squats, "-o", tmp_path / "tracks", "--max-frames", 30, "--offline")
    assert ran.exit_code == 2
    assert f"{here} does not have pose-lite" in ran.output
    assert "MB, licence Apache-2.0). Fetch with 'daflow models fetch pose-lite'" in ran.output
    assert server.asked == []
    assert not (tmp_path / "tracks").exists()
    assert not here.exists()


@pytest.mark.parametrize(
    "words", [("--source", "synthetic:frames=30"), ("--source", "{video}", "--pose-model", "own.task")]
)
def test_nothing_is_fetched_where_another_model_or_none_is_used(
    words: tuple[str, ...], here: Path, server: FileServer, tmp_path: Path, record_video: Callable[..., Path]
) -> None:
    video = record_video(tmp_path / "video.mp4", frames=6)
    run(*(word.format(video=video) for word in words), "-o", tmp_path / "tracks")
    assert server.asked == []
