"""Cameras that must keep up: what they see, and the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import paced_cameras
from benchmarks.paced_cameras import main, paced
from daflow.core.errors import InputError


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twenty pictures, 25 a second, each as light as its number."""
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((16, 16, 3), 10 * number, np.uint8))
    return tmp_path


def test_so_many_pictures_of_each_second_are_repeated(pictures: Path) -> None:
    with paced(pictures, cameras=2, fps=5, seconds=2) as folders:
        shown = [
            [int(cv2.imread(str(folder / f"{number}.jpg")).mean() / 10 + 0.5) for number in range(10)]
            for folder in folders
        ]
        assert [len(list(folder.iterdir())) for folder in folders] == [10, 10]
    assert shown == [[0, 5, 10, 15] * 2 + [0, 5], [10, 15, 0, 5] * 2 + [10, 15]]
    assert not folders[0].exists()


def test_a_video_with_fewer_frames_a_second_is_refused(pictures: Path) -> None:
    fewer = pytest.raises(InputError, match=r"has 25 frames per second, fewer than the 30 of --fps")
    with fewer, paced(pictures, 1, 30, 1):
        pass


@pytest.mark.parametrize(("slowest", "dropped", "exit_code"), [(4.95, 0.0, 0), (4.5, 0.0, 1), (5.0, 0.1, 1)])
def test_the_exit_code_says_whether_they_keep_up(
    monkeypatch: pytest.MonkeyPatch, pictures: Path, slowest: float, dropped: float, exit_code: int
) -> None:
    found = {
        "slowest_camera": slowest,
        "dropped": dropped,
        "delay_p50_ms": 5,
        "delay_p99_ms": 9,
        "cores": 1.0,
    }
    monkeypatch.setattr(paced_cameras, "keep_up", lambda *_: found)
    words = ["--bundle", pictures, "--pose-bundle", pictures, "--video", pictures / "0.png", "--seconds", 1]
    monkeypatch.setattr(paced_cameras, "paced", lambda *_: paced(pictures, 1, 5, 1))
    ran = CliRunner().invoke(main, [str(word) for word in words])
    assert ran.exit_code == exit_code, ran.output
    assert f"the slowest has {slowest:.2f}" in ran.output


@pytest.mark.everything
def test_two_cameras_with_people_run(exported: Path, pose_bundle: Path, shared: Path) -> None:
    words = [
        "--bundle", exported, "--pose-bundle", pose_bundle, "--video", shared / "data/video/felixchenfy_exercise.avi",
        "--cameras", 2, "--fps", 2, "--seconds", 4, "--json", "-",
    ]  # fmt: skip
    ran = CliRunner().invoke(main, [str(word) for word in words])
    found = json.loads(ran.stdout)
    assert found["cameras"] == 2
    assert 0 < found["slowest_camera"] <= 2.5
    assert found["cores"] > 0
    assert found["delay_p50_ms"] <= found["delay_p99_ms"]
