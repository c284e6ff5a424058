"""Pose tracks as JSON and as Parquet are the same to every command that reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from calibration.cli import main as calibrate_main
from daflow.cli import main
from daflow.core.data.track_names import TRACK_FORMATS, track_path
from daflow.core.data.tracks import read_clips, write_clips
from daflow.model.checkpoint import load_checkpoint
from runtime.cli import main as edge_main


@pytest.fixture
def forms(dataset: Path, tmp_path: Path) -> dict[str, Path]:
    """The data set in both forms; JSON's three digits are the poses of both."""
    for part in ("train", "test"):
        clips = read_clips(dataset / part)
        for form in TRACK_FORMATS:
            write_clips(tmp_path / form / part, clips, form)
    return {form: tmp_path / form for form in TRACK_FORMATS}


def done(*words: object, command: Callable[..., object] = main) -> str:
    result = CliRunner().invoke(command, [str(word) for word in words])  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.stdout


def test_training_gives_the_same_weights(forms: dict[str, Path], tmp_path: Path) -> None:
    weights = []
    for form, folder in forms.items():
        output = tmp_path / f"{form}.pt"
        done("train", "--poses", folder / "train", "-o", output, "--epochs", 2, "--batch-size", 64)
        found = load_checkpoint(output)
        assert found.fps == 25
        weights.append(found.model.state_dict())
    one, other = weights
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_scores_and_figures_are_the_same(
    forms: dict[str, Path], dataset: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    figures = []
    for form, folder in forms.items():
        words = ("--poses", folder / "test", "--model", checkpoint_file)
        done("score", *words, "-o", tmp_path / f"scores-{form}", "--workers", 1)
        figures.append(json.loads(done("evaluate", *words, "--masks", dataset / "masks", "--json", "-")))
    assert figures[0] == figures[1]
    for path in (tmp_path / "scores-json").iterdir():
        assert pq.read_table(path).equals(pq.read_table(tmp_path / "scores-parquet" / path.name))


def test_the_calibrated_threshold_is_the_same(forms: dict[str, Path], exported: Path, tmp_path: Path) -> None:
    found = []
    for form, folder in forms.items():
        bundle = shutil.copytree(exported, tmp_path / f"bundle-{form}")
        words = ("alarm", "--bundle", bundle, "--poses", folder / "train", "--quantile", 0.9, "--json", "-")
        found.append(json.loads(done(*words, command=calibrate_main)))
    for facts in found:
        facts.pop("created", None)
    assert found[0] == found[1]


def test_a_replay_on_the_edge_scores_the_same(forms: dict[str, Path], exported: Path, tmp_path: Path) -> None:
    for form in TRACK_FORMATS:
        path = track_path(forms[form] / "test", "01_0001", form)
        scores = tmp_path / f"{form}.csv"
        done(
            "--bundle",
            exported,
            "--source",
            f"cam=tracks:{path}",
            "--scores",
            scores,
            "--threshold",
            1000,
            command=edge_main,
        )
    assert (tmp_path / "json.csv").read_text() == (tmp_path / "parquet.csv").read_text()
    assert len((tmp_path / "json.csv").read_text().splitlines()) > 100


def test_generated_people_are_written_in_either_form(tmp_path: Path) -> None:
    for form in TRACK_FORMATS:
        done(
            "generate",
            "-o",
            tmp_path / form,
            "--format",
            form,
            "--train-clips",
            1,
            "--test-clips",
            1,
            "--frames",
            60,
        )
    (json_clip,), (parquet_clip,) = (read_clips(tmp_path / form / "train") for form in TRACK_FORMATS)
    assert [path.name for path in (tmp_path / "parquet" / "train").iterdir()] == ["01_0001.tracks.parquet"]
    assert (json_clip.rate, json_clip.frame_size, json_clip.poses) == (
        parquet_clip.rate,
        parquet_clip.frame_size,
        parquet_clip.poses,
    )


def test_poses_of_a_source_in_parquet_are_kept_by_the_next_run(tmp_path: Path) -> None:
    words = ("poses", "--source", "synthetic:frames=40,people=1,event=none", "-o", tmp_path / "out")
    assert "40 poses of 1 people" in done(*words, "--format", "parquet")
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".parquet"]
    for more in (("--format", "parquet"), ()):
        assert "1 of 1 clips are there already" in done(*words, *more)
