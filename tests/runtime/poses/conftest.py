"""A real pose bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import BuildOnce


@pytest.fixture(scope="session")
def pose_bundle(build_once: BuildOnce, shared: Path) -> Path:
    """A pose bundle of MediaPipe's lite landmarks and NanoDet, exported by the command."""
    pytest.importorskip("tflite")
    pytest.importorskip("ai_edge_litert")

    def build(folder: Path) -> None:
        from export.cli import main

        words = [
            "pose", shared / "models" / "pose_landmarker_lite.task", "--detector", shared / "models" / "nanodet.json",
            "-o", folder / "pose.bundle", "--verify-on", shared / "data" / "video" / "opencv_vtest.avi", "--fp32",
            "--no-engine",
        ]  # fmt: skip
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output

    return build_once("pose-bundle", build) / "pose.bundle"
