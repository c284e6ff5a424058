"""`daflow train` as a user meets it: what it says of the data, resuming, supervised training, memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.model.checkpoint import load_checkpoint
from daflow.model.flow import ModelConfig
from daflow.training.options import WINDOW


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", *(str(argument) for argument in arguments)])


def state_of(path: Path) -> list[torch.Tensor]:
    return list(load_checkpoint(path).model.state_dict().values())


def test_a_killed_training_is_resumed_exactly(dataset: Path, tmp_path: Path) -> None:
    words = ["--poses", str(dataset / "train"), "--epochs", "12", "--batch-size", "32", "--resume"]
    assert run(*words, "-o", tmp_path / "whole.pt").exit_code == 0
    output, state = tmp_path / "killed.pt", tmp_path / "killed.pt.resume"
    command = [sys.executable, "-m", "daflow.cli", "train", *words, "-o", str(output)]
    training = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not state.exists() and training.poll() is None:
        time.sleep(0.01)
    os.kill(training.pid, signal.SIGKILL)
    training.wait()
    assert not output.exists()
    result = run(*words, "-o", output)
    assert result.exit_code == 0, result.output
    assert not state.exists()
    for one, other in zip(state_of(tmp_path / "whole.pt"), state_of(output), strict=True):
        assert torch.equal(one, other)


def test_without_resume_it_restarts_and_says_so(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "m.pt.resume").write_bytes(b"left over")
    words = ["--poses", dataset / "train", "-o", tmp_path / "m.pt", "--epochs", 1]
    refused = run(*words, "--resume")
    assert refused.exit_code == 2
    assert "delete it to restart" in refused.output
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "of an interrupted training is deleted" in result.output


def test_it_says_what_was_skipped_and_what_it_held_out(dataset: Path, tmp_path: Path) -> None:
    result = run("--poses", dataset / "train", "-o", tmp_path / "m.pt", "--epochs", 1, "--hold-out", 0.3)
    assert result.exit_code == 0, result.output
    assert "on those held out (epoch 1)" in result.output
    assert "MiB of memory" in result.output
    summary = load_checkpoint(tmp_path / "m.pt").training
    assert 0 < summary["held_out"] < summary["windows"]
    assert summary["broken_files"] == 0
    assert "WARNING: 6 people" in result.output
    held_out = summary["held_out_scores"]
    assert held_out["windows"] == summary["held_out"]
    assert 0 < held_out["people"] < 6
    assert held_out["median"] < held_out["highest"]
    whole = run("--poses", dataset / "train", "-o", tmp_path / "m.pt", "--epochs", 1, "--hold-out", 0)
    assert "held out" not in whole.output
    assert "held_out_scores" not in load_checkpoint(tmp_path / "m.pt").training


def test_abnormal_poses_are_labelled_by_their_masks(dataset: Path, tmp_path: Path) -> None:
    words = ["--poses", dataset / "train", "-o", tmp_path / "m.pt", "--epochs", 1]
    abnormal = ["--abnormal-poses", dataset / "test"]
    counts = []
    for options in (abnormal, [*abnormal, "--abnormal-masks", dataset / "masks"]):
        result = run(*words, *options, "--prior-mean", 10)
        assert result.exit_code == 0, result.output
        loaded = load_checkpoint(tmp_path / "m.pt")
        assert loaded.model.config.prior_mean == 10
        counts.append(loaded.training["abnormal"])
        assert f"{counts[-1]} windows labelled abnormal" in result.output
    assert 0 < counts[1] < counts[0]
    assert run(*words, "--abnormal-masks", dataset / "masks").exit_code == 2
    normal = tmp_path / "masks"
    normal.mkdir()
    for clip in ("01_0001", "01_0002", "01_0003"):
        np.save(normal / f"{clip}.npy", np.zeros(200))
    nothing = run(*words, *abnormal, "--abnormal-masks", normal)
    assert nothing.exit_code == 2
    assert "gives no abnormal window" in nothing.output


@pytest.mark.parametrize(
    ("preset", "epochs", "window"), [("paper-shanghaitech", 3, 24), ("paper-ubnormal-hr", 8, 16)]
)
def test_a_preset_sets_the_options_of_the_published_protocol(
    dataset: Path, tmp_path: Path, preset: str, epochs: int, window: int
) -> None:
    result = run("--poses", dataset / "train", "-o", tmp_path / "m.pt", "--preset", preset)
    assert result.exit_code == 0, result.output
    line = (
        f"preset {preset} sets --epochs {epochs}, --batch-size 256, --lr 0.0005, --window {window}, --hold-out 0, "
        "--prior-mean 3, --evidence flow, constant learning rate, weight decay 0, hops 1"
    )
    assert line in result.output.splitlines()
    found = load_checkpoint(tmp_path / "m.pt")
    assert found.evidence is None
    assert found.model.config == ModelConfig(window=window, hops=1, prior_mean=3.0)
    expected = {
        "epochs": epochs, "batch_size": 256, "lr": 5e-4, "schedule": "constant", "weight_decay": 0.0, "held_out": 0,
        "stride": 6, "seed": 0, "augment": True,
    }  # fmt: skip
    assert {name: found.training[name] for name in expected} == expected


@pytest.mark.parametrize("first", [True, False])
def test_options_that_are_given_win_over_the_preset(dataset: Path, tmp_path: Path, first: bool) -> None:
    given = ["--epochs", 1, "--hold-out", 0.1, "--window", 24, "--lr", 0.001]  # also where it is the default
    preset = ["--preset", "paper-ubnormal"]
    words = [*given, *preset] if first else [*preset, *given]
    result = run("--poses", dataset / "train", "-o", tmp_path / "m.pt", *words)
    assert result.exit_code == 0, result.output
    line = (
        "preset paper-ubnormal sets --batch-size 256, --prior-mean 3, --evidence flow, constant learning rate, weight "
        "decay 0, hops 1; given instead: --epochs 1, --lr 0.001, --window 24, --hold-out 0.1"
    )
    assert line in result.output.splitlines()
    found = load_checkpoint(tmp_path / "m.pt")
    assert found.model.config.window == 24
    assert found.training["held_out"] > 0
    assert (found.training["epochs"], found.training["lr"]) == (1, 0.001)


def test_without_a_preset_nothing_is_set_and_an_unknown_one_is_refused(dataset: Path, tmp_path: Path) -> None:
    words = ["--poses", dataset / "train", "-o", tmp_path / "m.pt"]
    result = run(*words, "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert "preset paper" not in result.output
    found = load_checkpoint(tmp_path / "m.pt")
    assert found.model.config == ModelConfig(window=WINDOW)
    assert (found.training["schedule"], found.training["weight_decay"]) == ("one-cycle", 0.01)
    refused = run(*words, "--preset", "paper-avenue")
    assert refused.exit_code == 2
    assert "'paper-avenue' is not one of 'paper-shanghaitech'" in refused.output


@pytest.mark.everything
def test_ten_times_the_data_do_not_take_ten_times_the_memory(tmp_path: Path) -> None:
    peaks = {}
    for name, clips, frames in (("small", 2, 400), ("large", 20, 800)):
        generate_dataset(tmp_path / name, 0, clips, 1, Scene(frames=frames, people=6))
        done = subprocess.run(
            [sys.executable, "-m", "daflow.cli", "train", "--poses", str(tmp_path / name / "train"), "-o",
             str(tmp_path / "m.pt"), "--epochs", "1", "--stride", "2", "--batch-size", "256"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks[name] = float(done.stdout.split("at most ")[1].split()[0])
        windows = load_checkpoint(tmp_path / "m.pt").training["windows"]
    once = windows * 2 * 24 * 18 * 4 / 2**20
    assert once > 100
    assert peaks["large"] - peaks["small"] < 1.5 * once
