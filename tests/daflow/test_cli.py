"""The command daflow as a user meets it: what it prints, its exit codes, and what it says of wrong input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.tracks import read_clips
from daflow.model.checkpoint import load_checkpoint

NAME = "01_0001_alphapose_tracked_person.json"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def poses_file(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def person(frames: int, joints: int = 17, value: float = 100.0) -> dict[str, object]:
    rng = np.random.default_rng(0)
    points = (value + 50 * rng.random((frames, joints * 3))).tolist()
    return {"1": {str(f): {"keypoints": points[f], "scores": 1.0} for f in range(frames)}}


def test_help_lists_the_commands_without_importing_torch() -> None:
    code = (
        "import sys, click.testing, daflow.cli as c\n"
        "r = click.testing.CliRunner().invoke(c.main, ['--help'])\n"
        "print(r.output); sys.exit(r.exit_code or 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for command in (
        "demo",
        "generate",
        "poses",
        "train",
        "import-stgnf",
        "evaluate",
        "score",
        "study",
        "models",
    ):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["generate"],
        ["poses"],
        ["train"],
        ["import-stgnf"],
        ["evaluate"],
        ["score"],
        ["study"],
        ["models", "fetch"],
    ],
)
def test_every_option_has_a_help_text(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    options = [line for line in result.output.splitlines() if line.lstrip().startswith("-")]
    assert options
    for option in options:
        assert option.rstrip().count("  ") >= 2 or len(option) > 24, option


def test_train_and_evaluate(dataset: Path, tmp_path: Path) -> None:
    model, figures = tmp_path / "model.pt", tmp_path / "figures.json"
    trained = run("train", "--poses", dataset / "train", "-o", model, "--epochs", 2, "--seed", 3)
    assert trained.exit_code == 0, trained.output
    assert "488 parameters" in trained.output
    summary = load_checkpoint(model).training
    assert (summary["epochs"], summary["seed"], summary["clips"]) == (2, 3, 3)
    evaluated = run(
        "evaluate",
        "--poses",
        dataset / "test",
        "--masks",
        dataset / "masks",
        "--model",
        model,
        "--json",
        figures,
    )
    assert evaluated.exit_code == 0, evaluated.output
    content = json.loads(figures.read_text())
    assert {"auc", "auc_pr", "eer", "frames", "windows", "clips"} <= set(content)
    assert set(content["clips"]) == {"01_0001", "01_0002", "01_0003"}
    assert 0 <= content["auc"] <= 1
    assert f"{100 * content['auc']:.2f}" in evaluated.output


def test_json_to_standard_output_is_json_alone(dataset: Path) -> None:
    result = run(
        "evaluate",
        "--poses",
        dataset / "test",
        "--masks",
        dataset / "masks",
        "--model",
        "untrained",
        "--json",
        "-",
    )
    assert json.loads(result.stdout)["windows"] > 500


def test_the_same_seed_trains_the_same_model(dataset: Path, tmp_path: Path) -> None:
    states = []
    for name in ("a.pt", "b.pt"):
        run("train", "--poses", dataset / "train", "-o", tmp_path / name, "--epochs", 1)
        states.append(load_checkpoint(tmp_path / name).model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_generated_data_follow_from_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = ["--train-clips", 1, "--test-clips", 1, "--frames", 60]
        assert run("generate", "-o", tmp_path / name, "--seed", seed, *arguments).exit_code == 0
    a, b, c = ((tmp_path / name / "train" / NAME).read_bytes() for name in "abc")
    assert a == b != c
    assert read_clips(tmp_path / "a" / "train")[0].frame_size == (1280, 720)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"1": {"0": ', "is not valid JSON"),
        ("[]", "is not a pose track file"),
        (person(30, joints=16), "person 1, frame 0: 48 keypoint values. Each pose needs 17 or 18 joints"),
        (person(10), "0 windows of 12 poses: 1 tracks are too short"),
        (person(30, value=float("nan")), "4 windows do not show the shoulders and hips"),
        (person(30, value=float("inf")), "4 windows do not show the shoulders and hips"),
    ],
)
def test_broken_tracks_are_explained(tmp_path: Path, content: object, complaint: str) -> None:
    result = run("train", "--poses", poses_file(tmp_path / "poses", content), "-o", tmp_path / "m.pt")
    assert result.exit_code == 2
    assert complaint in result.output
    assert not (tmp_path / "m.pt").exists()


def test_a_broken_file_beside_good_ones_is_skipped_and_reported(
    dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "poses"
    folder.mkdir()
    for source in (dataset / "train").iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / "99_0001_alphapose_tracked_person.json").write_text("{")
    result = run("train", "--poses", folder, "-o", tmp_path / "m.pt", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert "3 clips" in result.output
    assert "99_0001" in caplog.text


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_folders_without_tracks_are_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    result = run("train", "--poses", tmp_path / folder, "-o", tmp_path / "m.pt")
    assert result.exit_code == 2
    assert str(tmp_path / folder) in result.output


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"], ["--epochs", "many"], ["--lr", "-1"], ["--lr", "nan"], ["--block", "gru"],
        ["--frame-size", "wide"], ["--frame-size", "0x5"], ["--batch-size", "1"], ["--colour", "red"],
    ],
)  # fmt: skip
def test_unknown_values_of_options_are_refused(dataset: Path, tmp_path: Path, options: list[str]) -> None:
    result = run("train", "--poses", dataset / "train", "-o", tmp_path / "m.pt", *options)
    assert result.exit_code == 2
    assert options[0] in result.output


def test_an_unknown_device_is_refused(dataset: Path, tmp_path: Path) -> None:
    result = run("train", "--poses", dataset / "train", "-o", tmp_path / "m.pt", "--device", "gpu7")
    assert result.exit_code == 2
    assert "torch cannot use the device 'gpu7'" in result.output


def test_an_output_that_cannot_be_written_fails_before_the_training(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("train", "--poses", dataset / "train", "-o", tmp_path / "file" / "m.pt", "--epochs", 100000)
    assert result.exit_code == 2
    assert "Cannot read or write" in result.output


def test_a_full_disk_is_one_sentence_and_keeps_what_was_there(dataset: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.pt"
    model.write_text("the old one")
    limited = (
        "import resource, sys; from daflow.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"  # writing more fails as on a full disk
        "main(sys.argv[1:])"
    )
    arguments = ["train", "--poses", str(dataset / "train"), "-o", str(model), "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Cannot read or write" in done.stderr
    assert "Traceback" not in done.stderr
    assert model.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_sentence(dataset: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = run("train", "--poses", dataset / "train", "-o", tmp_path / "m.pt")
    assert result.exit_code == 2
    assert "Cannot read or write" in result.output


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("missing.pt", "There is no checkpoint missing.pt"),
        ("{folder}", "is not a bundle: it has no manifest.json"),
        ("{file}", "is not a checkpoint of daflow"),
    ],
)
def test_what_is_not_a_model_is_named(dataset: Path, tmp_path: Path, model: str, complaint: str) -> None:
    (tmp_path / "file").write_text("nothing")
    (tmp_path / "folder").mkdir()
    name = model.format(folder=tmp_path / "folder", file=tmp_path / "file")
    result = run("evaluate", "--poses", dataset / "test", "--masks", dataset / "masks", "--model", name)
    assert result.exit_code == 2
    assert complaint in result.output


def test_masks_of_one_kind_cannot_be_evaluated(dataset: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "01_0001.npy", np.zeros(200))
    result = run("evaluate", "--poses", dataset / "test", "--masks", tmp_path, "--model", "untrained")
    assert result.exit_code == 2
    assert "only one kind of frame" in result.output


def test_the_protocol_of_stgnf_skips_the_last_window_of_each_track(dataset: Path, tmp_path: Path) -> None:
    windows = {}
    for protocol in ("daflow", "stgnf"):
        target = tmp_path / f"{protocol}.json"
        result = run(
            "evaluate", "--poses", dataset / "test", "--masks", dataset / "masks", "--model", "untrained",
            "--protocol", protocol, "--json", target,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        figures = json.loads(target.read_text())
        assert figures["protocol"] == protocol
        windows[protocol] = figures["windows"]
    tracks = sum(len(track.frames) > 24 for clip in read_clips(dataset / "test") for track in clip.tracks)
    assert 0 < windows["daflow"] - windows["stgnf"] <= tracks
