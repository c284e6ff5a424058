"""Scores of somebody's own model: every form that they come in, and the same figures as of the model itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from daflow.cli import main
from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.evaluation.score_files import read_scores

SCORES = {
    "fall 1, door": np.array([0.5, np.nan, -1e30, 2.0]),
    "Küche": np.array([np.nan, 3.25]),
    "empty": np.array([np.nan]),
}


def write_csv(path: Path, scores: dict[str, np.ndarray]) -> Path:
    lines = ["clip,frame,score"]
    for name, of_clip in scores.items():
        lines += [
            f'"{name}",{frame},{"" if np.isnan(score) else repr(float(score))}'
            for frame, score in enumerate(of_clip)
        ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_npy(folder: Path, scores: dict[str, np.ndarray]) -> Path:
    for name, of_clip in scores.items():
        np.save(folder / f"{name}.npy", of_clip)
    return folder


def write_parquet(folder: Path, scores: dict[str, np.ndarray]) -> Path:
    for name, of_clip in scores.items():
        table = pa.table(
            {"frame": np.arange(len(of_clip)), "score": pa.array(of_clip, mask=np.isnan(of_clip))}
        )
        pq.write_table(table, folder / f"{name}.frames.parquet")
    return folder


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, scores in expected.items():
        np.testing.assert_array_equal(found[name], scores)
        assert found[name].dtype == np.float64


def test_each_form_gives_what_was_written(tmp_path: Path) -> None:
    same(read_scores(write_csv(tmp_path / "scores.csv", SCORES)), SCORES)
    for write in (write_npy, write_parquet):
        (folder := tmp_path / write.__name__).mkdir()
        same(read_scores(write(folder, SCORES)), SCORES)


_numbers = st.lists(
    st.one_of(st.floats(allow_infinity=False), st.just(float("nan"))), min_size=1, max_size=20
)


@given(st.dictionaries(st.sampled_from(["a", "b c", "d,e"]), _numbers.map(np.array), min_size=1))
def test_any_scores_come_back_from_a_table(tmp_path_factory: pytest.TempPathFactory, scores: Any) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    same(read_scores(write_csv(path, scores)), scores)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header must be clip,frame,score"),
        ("clip,frame,label\na,0,1\n", "line 1: the header must be clip,frame,score"),
        ("clip,frame,score\n", "holds no score"),
        ("clip,frame,score\na,0,high\n", "line 2: score 'high' is not a number"),
        ("clip,frame,score\na,0,-inf\n", "line 2: score '-inf' is infinite"),
        ("clip,frame,score\na,0,1\na,0,1\n", "line 3: frame 0 of clip a has a score already"),
        ("clip,frame,score\na,-1,1\n", "line 2: frame '-1' is not a number"),
        ("clip,frame,score\na,0,1,2\n", "line 2: 4 values instead of clip,frame,score"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (path := tmp_path / "scores.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_scores(path)


def test_a_wrong_folder_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_scores(tmp_path / "none.csv")
    with pytest.raises(InputError, match="holds no scores"):
        read_scores(tmp_path)
    for scores, message in (
        (np.zeros((2, 2)), "a.npy does not hold one number for each frame"),
        (np.array([np.inf]), "a.npy holds an infinite score"),
        (np.array([{}], dtype=object), "a.npy is not a .npy file of plain numbers"),
    ):
        np.save(tmp_path / "a.npy", scores)
        with pytest.raises(InputError, match=message):
            read_scores(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    write_parquet(tmp_path, {"a": np.zeros(3)})
    with pytest.raises(InputError, match="two files of clip a"):
        read_scores(tmp_path)
    (tmp_path / "a.npy").unlink()
    (tmp_path / "a.frames.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"a\.frames\.parquet is not a table of scores"):
        read_scores(tmp_path)
    rows = pa.table({"frame": np.zeros(MAX_FRAMES + 1, np.int64), "score": np.zeros(MAX_FRAMES + 1)})
    pq.write_table(rows, tmp_path / "a.frames.parquet")
    with pytest.raises(InputError, match="too large for a clip"):
        read_scores(tmp_path)
    pq.write_table(pa.table({"frame": [0, 2], "score": [1.0, 2.0]}), tmp_path / "a.frames.parquet")
    with pytest.raises(InputError, match="one number for each frame, from 0 on"):
        read_scores(tmp_path)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_scores_that_a_model_wrote_have_the_figures_of_the_model(
    tmp_path: Path, dataset: Path, checkpoint_file: Path
) -> None:
    poses, masks = ("--poses", dataset / "test"), ("--masks", dataset / "masks")
    assert run("score", "--model", checkpoint_file, *poses, "-o", tmp_path / "scores").exit_code == 0
    figures = []
    for source in (("--model", checkpoint_file, *poses), ("--scores", tmp_path / "scores")):
        ran = run("evaluate", *source, *masks, "--json", "-")
        assert ran.exit_code == 0, ran.output
        figures.append(json.loads(ran.stdout))
    model, scores = figures
    for name in ("auc", "auc_pr", "eer", "macro_auc", "by_clip"):
        assert scores[name] == pytest.approx(model[name])
    position = [
        next(b for b in each["baselines"]["baselines"] if "frame of its clip" in b["name"])
        for each in figures
    ]
    assert position[0] == pytest.approx(position[1])
    ran = run("evaluate", "--scores", tmp_path / "scores", *masks)
    assert "the model's scores, shuffled" in ran.output


def test_what_does_not_go_together_is_said(tmp_path: Path, dataset: Path) -> None:
    scores = write_csv(tmp_path / "scores.csv", SCORES)
    labels = "--masks", dataset / "masks"
    for words, message in (
        (("--scores", scores), "--scores goes with --masks or --labels"),
        (
            ("--scores", scores, *labels, "--model", "untrained"),
            "--model does not go with --scores",
        ),
        (
            ("--scores", scores, *labels, "--poses", dataset),
            "--poses does not go with --scores",
        ),
        (labels, "Missing option '--model', or --scores"),
        (("--scores", scores, *labels), "No clip has a frame mask of the same name"),
    ):
        ran = run("evaluate", *words)
        assert ran.exit_code == 2, ran.output
        assert message in ran.output
