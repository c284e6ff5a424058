"""`daflow evaluate --preset`: the scoring of the published protocols."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.label_table import read_labels
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import STGNF_FRAME_SIZE
from daflow.evaluation.baselines import compare_windows
from daflow.evaluation.evaluate import score_clips
from daflow.model.load import load
from daflow.model.prior_mean import with_prior_mean


def run(dataset: Path, model: object, *words: object) -> Result:
    data = ["--poses", dataset / "test", "--masks", dataset / "masks"]
    return CliRunner().invoke(main, [str(w) for w in ["evaluate", *data, "--model", model, *words]])


def figures_of(dataset: Path, model: object, *words: object) -> dict[str, Any]:
    result = run(dataset, model, *words, "--json", "-")
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


@pytest.mark.parametrize(
    ("preset", "mean", "sigma"),
    [
        ("paper-shanghaitech", 3.0, 8.0),
        ("paper-shanghaitech-hr", 3.0, 8.0),
        ("paper-ubnormal", 2.3, 12.0),
        ("paper-ubnormal-hr", 2.3, 12.0),
    ],
)
def test_it_sets_the_prior_mean_the_smoothing_and_the_window_rule(
    dataset: Path, checkpoint_file: Path, preset: str, mean: float, sigma: float
) -> None:
    before = hashlib.sha256(checkpoint_file.read_bytes()).hexdigest()
    found = figures_of(dataset, checkpoint_file, "--preset", preset)
    assert hashlib.sha256(checkpoint_file.read_bytes()).hexdigest() == before
    assert (found["preset"], found["protocol"]) == (preset, "stgnf")
    clips, labels = read_clips(dataset / "test", STGNF_FRAME_SIZE), read_labels(dataset / "masks")
    scored = score_clips(with_prior_mean(load(checkpoint_file), mean), clips, "stgnf")
    expected = scored.evaluate(labels, (sigma,))
    assert {name: found[name] for name in expected.as_dict()} == expected.as_dict()
    # The scores without a model stand beside it by the same protocol.
    comparison = compare_windows(expected, scored.nll, scored.windows, clips, labels, (sigma,))
    assert found["baselines"] == json.loads(json.dumps(comparison.as_dict()))


def test_without_it_nothing_changes_and_a_given_protocol_wins(dataset: Path, checkpoint_file: Path) -> None:
    plain = figures_of(dataset, checkpoint_file)
    assert "preset" not in plain
    assert plain["protocol"] == "daflow"
    given = figures_of(dataset, checkpoint_file, "--protocol", "daflow", "--preset", "paper-shanghaitech")
    assert given["protocol"] == "daflow"
    assert given["windows"] == plain["windows"]
    assert given["auc"] != plain["auc"]  # by the smoothing alone


def test_one_line_says_what_it_set(dataset: Path, checkpoint_file: Path) -> None:
    result = run(dataset, checkpoint_file, "--preset", "paper-ubnormal")
    line = (
        "preset paper-ubnormal sets --protocol stgnf, prior mean 2.3, smoothing by one Gaussian of sigma 12"
    )
    assert line in result.output.splitlines()
    result = run(dataset, checkpoint_file, "--preset", "paper-shanghaitech", "--protocol", "daflow")
    line = "preset paper-shanghaitech sets prior mean 3, smoothing by one Gaussian of sigma 8"
    assert f"{line}; given instead: --protocol daflow" in result.output.splitlines()


def test_a_bundle_only_takes_a_preset_of_its_own_prior_mean(dataset: Path, exported: Path) -> None:
    refused = run(dataset, exported, "--preset", "paper-ubnormal")
    assert refused.exit_code == 2
    assert "is a bundle, whose graph holds the prior mean 3.0" in refused.output
    smoothed = run(dataset, exported, "--preset", "paper-shanghaitech")
    assert smoothed.exit_code == 0, smoothed.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--poses", "p", "--masks", "m", "--model", "untrained", "--preset", "paper"], "'paper' is not one of"),
        (["--scores", "s", "--masks", "m", "--preset", "paper-ubnormal"], "--preset does not go with --scores"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(words: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["evaluate", *words])
    assert result.exit_code == 2
    assert message in result.output


def test_videos_take_no_preset(dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    words = [
        "--videos",
        tmp_path,
        "--labels",
        dataset / "masks",
        "--model",
        "untrained",
        "--preset",
        "paper-ubnormal",
    ]
    result = CliRunner().invoke(main, [str(word) for word in ["evaluate", *words]])
    assert result.exit_code == 2
    assert "--preset is for --poses and --benchmark" in result.output
