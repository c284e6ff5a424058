"""Profiles: made by hand, and measured in short."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import Bundle
from runtime.profiling.statistics import figure

MACHINE = {
    "board": "NVIDIA Jetson Orin NX", "processor": "ARMv8", "cores": 8, "gpu": "Orin, sm87", "power_mode": "25W",
    "governor": "performance", "clock_limits_mhz": [1984.0, 1984.0], "turbo": None, "system": "Ubuntu 22.04",
    "jetpack": "JetPack 6.2", "python": "3.10.12", "packages": {"daflow": "0.1.0"},
}  # fmt: skip


def measured(*milliseconds: float) -> dict[str, Any]:
    """A figure of one value a round."""
    return figure([[value / 1000] for value in milliseconds])


def steady(scale: float = 1.0, noise: float = 0.01, rounds: int = 10) -> list[float]:
    """Rounds of a steady machine, in milliseconds."""
    return [scale * (1 + noise * (number % 5 - 2)) for number in range(rounds)]


@pytest.fixture
def make_profile() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a profile of one scorer with one window from its rounds and the yardstick's."""

    def make(
        call: Sequence[float], yardstick: Sequence[float] | None = None, **machine: Any
    ) -> dict[str, Any]:
        row = {"call": measured(*call), "to_device": None, "compute": None, "to_host": None}
        return {
            "format": 1,
            "bundle_hash": "0",
            "source": "synthetic:",
            "environment": {**copy.deepcopy(MACHINE), **machine},
            "scorer_alone": {
                "yardstick": measured(*(yardstick or steady(0.1, rounds=len(call)))),
                "scorers": {"onnxruntime fp32": {"batches": {"1": row}}},
            },
            "stages": {},
        }

    return make


@pytest.fixture(scope="session")
def profile_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short profile with everything, as the command writes it; `profile.html` and `profile.txt` are beside it."""
    from click.testing import CliRunner

    from runtime.profiling import main

    folder = tmp_path_factory.mktemp("profile")
    words = ["--bundle", bundle.folder, "--batch", "4,1", "--seconds", "0.6", "--rounds", "4",
             "--source", "synthetic:people=2", "--json", folder / "profile.json",
             "--report", folder / "profile.html"]  # fmt: skip
    ran = CliRunner().invoke(
        main, [str(word) for word in words], env={"COLUMNS": "80"}, catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output
    (folder / "profile.txt").write_text(ran.stdout)
    return folder / "profile.json"
