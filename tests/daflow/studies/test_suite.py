"""`daflow study suite`: every set in one table, beside scores without a model, and what cannot be run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.studies.suite import (
    POSITION,
    ROWS,
    WITHOUT_MODEL,
    DataSet,
    SuiteFigure,
    SuiteTrial,
    run_suite_trial,
)
from daflow.studies.suite_report import rows_of, write_suite


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["study", "suite", *(str(word) for word in words)])


@pytest.fixture
def whole_clips(dataset: Path, tmp_path: Path) -> Path:
    """Masks of the same clips, each wholly normal or wholly abnormal."""
    folder = tmp_path / "whole"
    folder.mkdir()
    for number, path in enumerate(sorted((dataset / "masks").glob("*.npy"))):
        np.save(folder / path.name, np.full(len(np.load(path)), number % 2))
    return folder


def test_each_set_is_trained_and_judged_in_one_table(
    dataset: Path, whole_clips: Path, tmp_path: Path
) -> None:
    words = [
        "--set", "walks", dataset / "train", dataset / "test", dataset / "masks",
        "--set", "by_clip", dataset / "train", dataset / "test", whole_clips,
    ]  # fmt: skip
    result = run(*words, "--quick", "--workers", 1, "--cache", tmp_path / "cache", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = list(csv.reader((tmp_path / "out" / "suite.csv").read_text().splitlines()))
    assert table[0] == ["smoke test", "walks", "by_clip*", "generated", "mean", "worst"]
    assert [row[0] for row in table[1:]] == [*ROWS, WITHOUT_MODEL, POSITION]
    for row in table[1:]:
        values = [float(cell) for cell in row[1:]]
        assert values[3] == pytest.approx(np.mean(values[:3]), abs=0.1)
        assert values[4] == min(values[:3])
    content = json.loads((tmp_path / "out" / "suite.json").read_text())
    assert {figure["data"] for figure in content["figures"] if figure["by_clip"]} == {"by_clip"}
    assert len(content["figures"]) == 3 * (len(ROWS) + 2)
    assert r"by\_clip*" in (tmp_path / "out" / "suite.tex").read_text()
    assert (tmp_path / "out" / "suite.md").read_text() in result.output


def test_a_set_that_fails_is_told_and_the_others_stay(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ["--set", "none", dataset / "train", tmp_path / "empty", dataset / "masks"]
    result = run(*words, "--quick", "--workers", 1, "--cache", tmp_path / "cache", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 trials failed; the report lists them" in result.output
    assert "- none, seed 0: " in (tmp_path / "out" / "suite.md").read_text()
    assert "| flow | - | " in result.output


def test_two_sets_of_one_name_are_refused(dataset: Path, tmp_path: Path) -> None:
    one = ["--set", "a", dataset / "train", dataset / "test", dataset / "masks"]
    result = run(*one, *one, "--quick", "-o", tmp_path / "out")
    assert (result.exit_code, "Two data sets are called a" in result.output) == (2, True)
    assert not (tmp_path / "out" / "suite.md").exists()


def test_channels_alone_rank_as_their_surprise_and_together_as_the_sum(dataset: Path, tmp_path: Path) -> None:
    data = DataSet("walks", (dataset / "train",), (dataset / "test",), dataset / "masks")
    first, second = (run_suite_trial(SuiteTrial(data, seed, 1, cache=tmp_path)) for seed in (0, 1))
    assert [figure.row for figure in second] == [*ROWS]
    assert [figure.row for figure in first] == [*ROWS, WITHOUT_MODEL, POSITION]
    alone = {figure.row: figure.auc for figure in first}
    again = {figure.row: figure.auc for figure in second}
    for row in ("shape", "motion"):  # fitted in closed form: no seed changes them
        assert alone[row] == pytest.approx(again[row], abs=1e-6)
    assert alone["flow"] != again["flow"]
    assert alone[WITHOUT_MODEL] >= alone[POSITION] >= 0.5


def test_mean_spread_and_worst_are_of_the_seeds_and_sets(tmp_path: Path) -> None:
    figures = [
        SuiteFigure(data, "flow", seed, auc, None if data == "b" else 0.5, data == "b")
        for data, seed, auc in (("a", 0, 0.8), ("a", 1, 0.9), ("b", 0, 0.6), ("b", 1, 0.6))
    ]
    (row, *others) = rows_of(figures, ["a", "b"])
    assert row.texts() == ["flow", "85.0 ± 7.1", "60.0", "72.5", "60.0"]
    assert others[0].texts() == ["shape", "-", "-", "-", "-"]
    markdown = write_suite(tmp_path, figures, ["a", "b"], 3, 24, ["a, seed 2: it broke"])
    assert "mean and standard deviation (where they differ) of 2 seeds, 3 epochs" in markdown
    assert "| flow | 50.0 | - |" in markdown
    assert "- a, seed 2: it broke" in markdown
    alone = write_suite(tmp_path, figures[:1], ["a"], 3, 24, [])
    write_suite(tmp_path, figures[:1], ["a_1 & b#2"], 3, 24, [])
    assert r" & a\_1 \& b\#2 & mean & worst \\" in (tmp_path / "suite.tex").read_text()
    assert "one seed, which says nothing of its spread" in alone
    assert "±" not in alone
    assert "smoke test" not in alone
    assert "Failed" not in alone


def test_options_of_other_studies_are_refused(dataset: Path, tmp_path: Path) -> None:
    data = ["--poses", dataset / "train", "--test", dataset / "test", "--masks", dataset / "masks"]
    result = run(*data, "--quick", "-o", tmp_path / "out")
    assert (
        result.exit_code,
        "--poses does not go with the study suite, which takes --set" in result.output,
    ) == (2, True)
    words = ["study", "seeds", "--window", "24", "--quick", "-o", str(tmp_path / "out")]
    other = CliRunner().invoke(main, words)
    assert (other.exit_code, "--window is for the study suite alone" in other.output) == (2, True)
