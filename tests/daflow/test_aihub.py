"""On real recordings: what training reaches, and that the exported graph gives the same."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

EPOCHS = 4
"""A twelfth of the default, for time's sake; --everything trains with the defaults."""
BuildOnce = Callable[[str, Callable[[Path], None]], Path]


def command(module: str, *arguments: object) -> str:
    """Run a command of the toolkit in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Aihub:
    """The data, and models trained on them, each once for all workers."""

    def __init__(self, data: Path, folder: Path, build_once: BuildOnce) -> None:
        self.data, self.folder, self._build_once = data, folder, build_once
        self._figures: dict[tuple[int, int], dict[str, Any]] = {}

    def model(self, seed: int, epochs: int) -> Path:
        words = ("train", "--poses", self.data / "pose/train", "--seed", seed, "--epochs", epochs)

        def build(folder: Path) -> None:
            command("daflow.cli", *words, "-o", folder / "model.pt")

        return self._build_once(f"aihub-seed{seed}-epochs{epochs}", build) / "model.pt"

    def evaluate_seed(self, seed: int, epochs: int) -> dict[str, Any]:
        if (seed, epochs) not in self._figures:
            self._figures[seed, epochs] = self.evaluate(self.model(seed, epochs))
        return self._figures[seed, epochs]

    def evaluate(self, model: Path | str, *options: object) -> dict[str, Any]:
        target = self.folder / "figures.json"
        command(
            "daflow.cli", "evaluate", "--poses", self.data / "pose/test", "--masks", self.data / "gt/test_frame_mask",
            "--model", model, "--json", target, *options,
        )  # fmt: skip
        figures: dict[str, Any] = json.loads(target.read_text())
        return figures


@pytest.fixture(scope="module")
def aihub(shared: Path, tmp_path_factory: pytest.TempPathFactory, build_once: BuildOnce) -> Aihub:
    return Aihub(shared / "data/aihub", tmp_path_factory.mktemp("aihub"), build_once)


@pytest.mark.parametrize(
    ("seeds", "epochs"), [((0,), EPOCHS), pytest.param((0, 1, 2), 48, marks=pytest.mark.everything)]
)
def test_training_reaches_far_more_than_the_reference_and_random_weights(
    aihub: Aihub, seeds: tuple[int, ...], epochs: int
) -> None:
    trained = [aihub.evaluate_seed(seed, epochs)["auc"] for seed in seeds]
    untrained = [aihub.evaluate("untrained", "--seed", seed)["auc"] for seed in seeds]
    sys.stdout.write(f"micro AUC untrained {np.round(untrained, 4)}, trained {np.round(trained, 4)}\n")
    assert np.mean(trained) >= 0.85
    assert np.mean(trained) > np.mean(untrained) + 0.05


def test_evaluation_takes_little_memory(aihub: Aihub) -> None:
    figures = aihub.evaluate_seed(0, EPOCHS)
    assert (figures["frames"], figures["windows"]) == (50379, 48473)  # windows of 12 poses
    # KiB, of the largest child process so far
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1.5e6


@pytest.mark.everything
@pytest.mark.parametrize("int8", [False, True])
def test_every_precision_keeps_its_limits_on_all_test_windows(aihub: Aihub, int8: bool) -> None:
    bundle, data = aihub.folder / "bundle", aihub.data
    command(
        "export.cli", aihub.model(0, EPOCHS), "-o", bundle, "--int8" if int8 else "--fp16", "--target", "sm86,sm89",
        "--calibrate-on", data / "pose/train", "--verify-on", data / "pose/test", "--masks",
        data / "gt/test_frame_mask",
    )  # fmt: skip
    manifest = json.loads((bundle / "manifest.json").read_text())
    compared = {name: verdict["comparison"] for name, verdict in manifest["verification"].items()}
    sys.stdout.write(f"{compared}\n")
    assert all(figures["windows"] > 48_000 for figures in compared.values())
    assert compared["folded"]["max_abs"] <= 1e-5
    assert compared["fp32"]["max_abs"] <= 1e-5
    limits = {"fp16": (0.9995, 0.999, 0.05), "int8": (0.99, 0.97, 0.5)}
    assert set(compared) - {"folded", "fp32"} == ({"fp16", "int8"} if int8 else {"fp16"})
    for precision in set(compared) & set(limits):
        spearman, tail, auc = limits[precision]
        assert compared[precision]["spearman"] >= spearman
        assert compared[precision]["tail_spearman"] >= tail
        assert abs(compared[precision]["auc_delta"]) <= auc
    assert len(list((bundle / "engines").glob("*.engine"))) == 2 * (len(compared) - 2)
    # The command agrees with what the manifest says.
    precision = "int8" if int8 else "fp16"
    found = aihub.evaluate(bundle, "--precision", precision)["auc"]
    assert 100 * found == pytest.approx(100 * aihub.evaluate_seed(0, EPOCHS)["auc"], abs=limits[precision][2])
