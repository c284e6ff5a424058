from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cameras import main


@pytest.mark.everything
def test_sixteen_cameras_run_side_by_side(exported: Path) -> None:
    ran = CliRunner().invoke(main, ["--bundle", str(exported), "--seconds", "3", "--json", "-"])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["cameras"] == 16
    assert 0 < found["slowest_camera"] <= found["frames_per_second"] / 16
    assert found["ratio"] == pytest.approx(found["frames_per_second"] / found["alone"])
