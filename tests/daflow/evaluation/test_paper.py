"""`daflow evaluate --paper`: the tables and figures of an evaluation, also for clips with long names."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daflow.cli import main

LONG = "camera-of-the-northern-entrance-of-the-station-" + "x" * 60


def run(*words: object) -> str:
    result = CliRunner().invoke(main, ["evaluate", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_tables_hold_what_the_json_holds(dataset: Path, exported: Path, tmp_path: Path) -> None:
    run(
        "--model", exported, "--poses", dataset / "test", "--masks", dataset / "masks",
        "--json", tmp_path / "all.json", "--paper", tmp_path / "paper",
    )  # fmt: skip
    content = json.loads((tmp_path / "all.json").read_text())
    rows = {row[0]: row for row in csv.reader((tmp_path / "paper" / "clips.csv").read_text().splitlines())}
    for clip, figures in {**content["clips"], "all frames (micro)": content}.items():
        wanted = ["-" if figures[k] is None else f"{100 * figures[k]:.2f}" for k in ("auc", "auc_pr", "eer")]
        assert rows[clip][1:] == [*wanted, str(figures["frames"]), str(figures["abnormal"])]
    baselines = list(csv.reader((tmp_path / "paper" / "baselines.csv").read_text().splitlines()))
    assert [row[0] for row in baselines[2:]] == [each["name"] for each in content["baselines"]["baselines"]]
    assert baselines[1][1] == f"{100 * content['auc']:.2f}"
    written = {path.relative_to(tmp_path / "paper").as_posix() for path in (tmp_path / "paper").rglob("*.*")}
    names = ["curves", *(f"clips/{clip}" for clip in content["clips"])]
    tables = {f"{name}.{kind}" for name in ("clips", "baselines") for kind in ("csv", "tex")}
    assert written == tables | {f"{name}.{kind}" for name in names for kind in ("svg", "pdf")}


def test_scores_of_your_own_have_them_too_in_the_formats_asked_for(tmp_path: Path) -> None:
    lines = ["clip,frame,score", *(f"../a,{frame},{frame % 7}" for frame in range(60))]
    (tmp_path / "scores.csv").write_text("\n".join(lines))
    labels = ["clip,frame,label", *(f"../a,{frame},{int(frame >= 30)}" for frame in range(60))]
    (tmp_path / "labels.csv").write_text("\n".join(labels))
    run(
        "--scores", tmp_path / "scores.csv", "--labels", tmp_path / "labels.csv",
        "--paper", tmp_path / "paper", "--figures", "png",
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "paper").rglob("*.png")} == {"curves.png", ".._a.png"}
    assert not (tmp_path / "a.png").exists()


def test_formats_without_a_paper_are_refused(dataset: Path) -> None:
    words = ["evaluate", "--model", "untrained", "--poses", dataset / "test", "--masks", dataset / "masks"]
    result = CliRunner().invoke(main, [*map(str, words), "--figures", "pdf"])
    assert (result.exit_code, "--figures is for the figures of --paper" in result.output) == (2, True)


@pytest.fixture
def long_names(dataset: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The test clips, one of which has a name of more than 100 letters."""
    poses, masks = tmp_path / "poses", tmp_path / "masks"
    shutil.copytree(dataset / "test", poses)
    shutil.copytree(dataset / "masks", masks)
    first = min(masks.glob("*.npy"))
    (track,) = poses.glob(f"{first.stem}_*.json")
    track.rename(poses / track.name.replace(first.stem, LONG))
    first.rename(masks / f"{LONG}.npy")
    return poses, masks


def test_a_long_name_keeps_the_columns_straight(exported: Path, long_names: tuple[Path, Path]) -> None:
    poses, masks = long_names
    lines = run("--model", exported, "--poses", poses, "--masks", masks).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("clip "))
    table = lines[first : first + 2 + len(list(masks.glob("*.npy")))]
    assert len({len(line) for line in table}) == 1
    assert any(re.match(r"camera-of-the-northern\.\.\.x+ ", line) for line in table)
    assert max(map(len, table)) < 110
    assert np.unique([line.rstrip()[-1].isdigit() for line in table[1:]]).tolist() == [True]
