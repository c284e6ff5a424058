"""The studies: each runs on generated data by one command and leaves a table, figures and a picture."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from daflow.cli import main
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import Windows, make_windows
from daflow.core.parallel import run_tasks
from daflow.studies import NAMES, load_study, runner
from daflow.studies.distortion import Distortion, distort
from daflow.studies.pose_autoencoder import train_autoencoder
from daflow.studies.report import summary, write_report
from daflow.studies.runner import (
    Settings,
    Test,
    Trial,
    TrialResult,
    _contaminated,
    _test_windows,
    run_study,
    run_trial,
)
from daflow.training.trainer import Trained, fit

ROWS = {
    "untrained": 11, "ablation": 5, "attention-vs-window": 12, "noise": 11, "contamination": 5, "cross": 4,
    "autoencoder": 2, "seeds": 5, "frame-rate": 9,
}  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["study", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def settings(dataset: Path) -> Settings:
    test = Test(dataset / "test", dataset / "masks")
    return Settings(dataset / "train", test, dataset / "train", test, seeds=2, epochs=2)


@pytest.mark.parametrize("name", NAMES)
def test_each_runs_by_one_command(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_clips(folder: Path, seed: int, train: int, test: int, _: Scene) -> None:
        generate_dataset(folder, seed, train, test, Scene(frames=100))

    monkeypatch.setattr("daflow.commands.study.generate_dataset", short_clips)
    result = run(name, "-o", tmp_path, "--quick", "--workers", 1)
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(content["results"]) == ROWS[name]
    assert content["failed"] == []
    assert all(0 <= row["auc"] <= 1 and row["parameters"] < 1000 for row in content["results"])
    markdown = (tmp_path / f"{name}.md").read_text()
    assert markdown in result.output
    trials, without_model = ([line for line in part.splitlines() if line.startswith("|")] for part in
                             markdown.split("Scores without a model"))  # fmt: skip
    for table, rows in ((trials, content["rows"]), (without_model, content["without_model"])):
        assert len(table) == 2 + len(rows)
        assert len({line.count("|") for line in table}) == 1
    assert "**Figures of a smoke test on generated people, which mean nothing.**" in markdown
    table = list(csv.reader((tmp_path / f"{name}.csv").read_text().splitlines()))
    assert table[0][0] == content["data"]["smoke_test"] == "smoke test on generated people"
    assert len(table) == 1 + len(content["rows"]) + len(content["without_model"])
    assert [row[2].count("±") for row in table[1:] if row[1] == "1"] == [0] * [row[1] for row in table].count(
        "1"
    )
    tex = (tmp_path / f"{name}.tex").read_text()
    assert (tex.count(r"\\"), tex.count(r"\midrule")) == (len(table), 2)
    with Image.open(tmp_path / f"{name}.png") as picture:
        assert picture.width > 500


def test_pictures_for_papers_have_type_that_can_be_read_and_searched(
    settings: Settings, tmp_path: Path
) -> None:
    study = load_study("seeds")
    results = [TrialResult("flow", seed, 0.8 + 0.01 * seed, 0.8, 0.8, 0.2, 488, 1.0, 10) for seed in range(2)]
    markdown = write_report(tmp_path, "seeds", study, settings, results, [], {}, formats=("svg", "pdf"))
    assert "80.50 ± 0.71" in markdown
    assert "smoke test" not in markdown
    assert "![micro AUC of each seed](seeds.svg)" in markdown
    svg = (tmp_path / "seeds.svg").read_text()
    assert re.search(r"8px[^>]*>micro AUC, % \(dots: seeds; bar: mean\)</text>", svg)
    pdf = (tmp_path / "seeds.pdf").read_bytes()
    assert b"/Subtype /Type3" not in pdf
    assert b"/Subtype /Type0" in pdf


def test_the_start_of_torch_is_no_training_time(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []

    def slow_start(poses: np.ndarray, *rest: Any) -> Trained:
        trained.append(len(poses))
        if len(trained) == 1:
            clock[0] += 100
        clock[0] += 1
        return fit(poses, *rest)

    clock = [0.0]
    monkeypatch.setattr(runner, "fit", slow_start)
    monkeypatch.setattr(runner.time, "perf_counter", lambda: clock[0])
    runner._warm_up.cache_clear()
    (result,) = run_trial(Trial("flow", 0, replace(settings, epochs=1, cache=tmp_path), (settings.test,)))
    assert trained[0] < 10 < trained[1]
    assert result.seconds == 1


@pytest.mark.parametrize(
    ("words", "message"), [("gif", "'gif' is not one of png, svg, pdf"), ("", "such as svg,pdf")]
)
def test_unknown_formats_of_figures_are_refused(words: str, message: str, tmp_path: Path) -> None:
    result = run("seeds", "--quick", "-o", tmp_path / "out", "--figures", words)
    assert (result.exit_code, message in result.output) == (2, True)


def test_results_repeat_and_keep_the_order_of_the_trials(settings: Settings) -> None:
    study = load_study("ablation")
    settings = replace(settings, epochs=1)
    one, _ = run_study(study, settings, partial(run_tasks, workers=1))
    two, _ = run_study(study, settings, partial(run_tasks, workers=2))
    assert [(row.row, row.seed, row.auc) for row in one] == [(row.row, row.seed, row.auc) for row in two]
    assert {row.row: row.parameters for row in one}["dual attention"] == 488
    assert {row.row: row.parameters for row in one}["temporal convolution (STG-NF)"] == 616


def test_contamination_comes_from_clips_that_are_not_tested_on(settings: Settings) -> None:
    trials = load_study("contamination").trials(settings)
    normal = make_windows(read_clips(settings.train), stride=6).poses
    poses, held_out = _contaminated(normal, np.zeros(len(normal), np.bool_), trials[-1], None)
    assert trials[-1].contamination == 0.3
    assert 1 - len(normal) / len(poses) == pytest.approx(0.3, abs=0.01)
    assert len(held_out) == len(poses)
    tested = _test_windows(trials[-1].tests[0], 24, None, 25.0)[2].poses
    everything = make_windows(read_clips(settings.test.poses)).poses
    assert len(tested) < len(everything)
    added = {window.tobytes() for window in poses[len(normal) :]}
    assert len(added) == len(poses) - len(normal)
    assert added <= {window.tobytes() for window in everything}
    assert added.isdisjoint(window.tobytes() for window in tested)


def test_a_trial_that_fails_is_reported_and_the_rest_counts(settings: Settings, tmp_path: Path) -> None:
    study = load_study("cross")
    broken = Settings(
        settings.train, settings.test, tmp_path / "missing", settings.other_test, seeds=1, epochs=1
    )
    results, failed = run_study(study, broken, partial(run_tasks, workers=1))
    assert {row.row for row in results} == {"trained on A, tested on A", "trained on A, tested on B"}
    assert len(failed) == 1
    assert "There is no folder" in failed[0]


@pytest.mark.parametrize("words", [["--poses", "x"], ["--test", "x", "--masks", "y"]])
def test_half_of_a_data_set_is_refused(tmp_path: Path, words: list[str]) -> None:
    result = run("seeds", "-o", tmp_path, *words)
    assert result.exit_code == 2
    assert "Give the training tracks, the test tracks and their masks" in result.output


def test_mean_and_spread_are_over_the_seeds_of_a_row() -> None:
    rows = [TrialResult("a", seed, auc, None, 0.5, 0.3, 488, 1.0, 10) for seed, auc in enumerate((0.6, 0.8))]
    (found,) = summary(rows)
    assert found["auc"] == pytest.approx(0.7)
    assert found["auc_sd"] == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert found["macro_auc"] is None
    assert summary(rows[:1])[0]["auc_sd"] is None


def test_distortions_do_what_they_say(dataset: Path) -> None:
    clip = read_clips(dataset / "test")[0]
    before = np.concatenate([track.keypoints for track in clip.tracks])
    missing = np.concatenate([t.keypoints for t in distort(clip, Distortion(missing_joints=0.3), 0).tracks])
    gone = (missing == 0).all(axis=2)
    assert gone.mean() == pytest.approx(0.3, abs=0.03)
    assert np.array_equal(missing[~gone], before[~gone])
    jittered = np.concatenate([track.keypoints for track in distort(clip, Distortion(jitter=0.05), 0).tracks])
    height = np.ptp(before[..., 1], axis=1)[:, None, None]
    assert ((jittered - before)[..., :2] / height).std() == pytest.approx(0.05, rel=0.05)
    assert np.array_equal(jittered[..., 2], before[..., 2])
    dropped = distort(clip, Distortion(dropped_frames=0.2), 0)
    assert dropped.poses / clip.poses == pytest.approx(0.8, abs=0.08)
    frames = [set(track.frames.tolist()) for track in dropped.tracks]
    lost = [set(track.frames.tolist()) - kept for track, kept in zip(clip.tracks, frames, strict=True)]
    assert not (lost[0] & frames[1])
    assert not (lost[1] & frames[0])
    assert distort(clip, Distortion(jitter=0.05), 0).tracks[0].keypoints.tobytes() == (
        distort(clip, Distortion(jitter=0.05), 0).tracks[0].keypoints.tobytes()
    )


def test_the_autoencoder_learns_poses(dataset: Path) -> None:
    windows: Windows = make_windows(read_clips(dataset / "train"), stride=6)
    short, long = (train_autoencoder(windows.poses, epochs, seed=0) for epochs in (1, 20))
    assert long.score(windows.poses).mean() < short.score(windows.poses).mean() / 2
    strange = windows.poses[:, :, :, ::-1].copy()  # joints in another order
    assert long.score(strange).mean() > 3 * long.score(windows.poses).mean()
