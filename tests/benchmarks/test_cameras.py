from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cameras import main


@pytest.mark.slow
def test_sixteen_cameras_with_four_people_each_keep_up_with_real_time(exported: Path) -> None:
    ran = CliRunner().invoke(main, ["--bundle", str(exported), "--seconds", "3"])
    assert ran.exit_code == 0, ran.output
    print(ran.output)  # noqa: T201  the rate belongs into the log of the tests
    slowest = float(ran.output.partition(" for the slowest")[0].rpartition("(")[2])
    assert slowest > 25
