"""STG-NF's public checkpoint exports, keeps all limits and builds, like a model of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from daflow.core.bundle import read_bundle
from daflow.model.checkpoint import Checkpoint, save_checkpoint
from daflow.model.flow import DAFlow
from export.cli import main


@pytest.mark.everything
def test_the_public_checkpoint_keeps_every_limit(shared: Path, stgnf: DAFlow, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "stgnf.pt", Checkpoint(stgnf, {}))
    data = shared / "data/aihub"
    words = [
        tmp_path / "stgnf.pt", "-o", tmp_path / "bundle", "--int8", "--target", "sm86",
        "--calibrate-on", data / "pose/train", "--verify-on", data / "pose/test", "--masks",
        data / "gt/test_frame_mask",
    ]  # fmt: skip
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    manifest = read_bundle(tmp_path / "bundle").manifest
    assert all(not verdict.missed for verdict in manifest.verification.values())
    assert manifest.verification["folded"].comparison.max_error < 1e-5
    assert manifest.int8 is not None
    assert len(manifest.int8.quantised) >= 4
