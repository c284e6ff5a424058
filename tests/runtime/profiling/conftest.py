"""Profiles: one that an older version wrote, made-up ones, and one that is really measured, in short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import Bundle
from runtime.profiling.profile import (
    BatchTiming,
    ColdStarts,
    Profile,
    ScorerComparison,
    ScorerTiming,
    read_profile,
)
from runtime.profiling.statistics import summarize

MACHINE = {
    "board": "NVIDIA Jetson Orin NX", "processor": "ARMv8", "cores": 8, "gpu": "Orin, sm87", "power_mode": "25W",
    "governor": "performance", "clock_limits_mhz": [1984.0, 1984.0], "turbo": None, "system": "Ubuntu 22.04",
    "jetpack": "JetPack 6.2", "python": "3.10.12", "packages": {"daflow": "0.1.0"},
}  # fmt: skip


@pytest.fixture(scope="session")
def old_profile_file() -> Path:
    """A profile that version 0.1 measured and wrote, with the keys `yardstick` and `left_out`."""
    return Path(__file__).with_name("profile_written_by_0.1.json")


@pytest.fixture(scope="session")
def old_profile(old_profile_file: Path) -> Profile:
    """The same, read."""
    return read_profile(old_profile_file)


@pytest.fixture
def make_profile(old_profile: Profile) -> Callable[..., Profile]:
    """Return a function that makes a profile of one scorer from the milliseconds of its rounds."""

    def make(call: Sequence[float], reference: Sequence[float] | None = None, **machine: Any) -> Profile:
        batch = BatchTiming(
            call=summarize([[value / 1000] for value in call]), to_device=None, compute=None, to_host=None,
            windows_per_second=1.0, ratio=1.0,
        )  # fmt: skip
        scorer = ScorerTiming(open_ms=1.0, precision="fp32", batches={1: batch}, bottleneck="")
        steady = summarize([[value / 1000] for value in reference or [0.1] * len(call)])
        return old_profile.model_copy(
            update={
                "environment": {**MACHINE, **machine},
                "scorer_alone": ScorerComparison(
                    reference_workload=steady, scorers={"onnxruntime fp32": scorer}
                ),
                "stages": {},
                "cold_start": ColdStarts(without_poses=None, with_poses=None),
            }
        )

    return make


@pytest.fixture(scope="session")
def profile_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short profile as the command writes it; `profile.html` and `profile.txt` are beside it."""
    from click.testing import CliRunner

    from runtime.profiling import main

    folder = tmp_path_factory.mktemp("profile")
    words = ["--bundle", bundle.folder, "--batch", "4,1", "--seconds", "0.6", "--rounds", "4",
             "--source", "synthetic:people=2", "--json", folder / "profile.json",
             "--report", folder / "profile.html"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.profiling.run._COLD_STARTS", 1)
        patch.setattr("daflow.core.gpu.find_gpu", lambda: None)
        ran = CliRunner().invoke(
            main, [str(word) for word in words], env={"COLUMNS": "80"}, catch_exceptions=False
        )
    assert ran.exit_code == 0, ran.output
    (folder / "profile.txt").write_text(ran.stdout)
    return folder / "profile.json"
