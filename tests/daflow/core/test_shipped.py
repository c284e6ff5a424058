"""The model of the package: what is shipped, and that the commands use it without changing it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from calibration.cli import main as calibrate
from daflow.core.bundle import Bundle, read_bundle
from daflow.core.data.generator.everyday import everyday_clips
from daflow.core.data.synthetic import Scene, SceneEvent, generate_clip
from daflow.core.data.tracks import write_clips
from daflow.core.data.windows import make_windows
from daflow.core.engines.cache import engine_folder
from daflow.core.files import sha256
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.onnx import open_graph
from daflow.core.shipped import (
    default_bundle,
    make_own_copy,
    own_copy,
    shipped_bundle,
    shipped_checkpoint,
    shipped_folder,
)
from daflow.core.version import __version__
from runtime.cli import main as edge
from runtime.profiling import main as profile


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def shipped() -> Bundle:
    return read_bundle(shipped_bundle())


def files() -> dict[str, str]:
    """The hash of everything in the folder of the package."""
    found = (path for path in shipped_folder().rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(shipped_folder())): sha256(path) for path in found}


def run(command: object, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])  # type: ignore[arg-type]


# What is shipped


def test_the_bundle_is_whole_small_and_of_this_version(shipped: Bundle) -> None:
    manifest = shipped.manifest
    assert set(manifest.precisions) == {"fp32", "fp16", "int8"}
    assert (manifest.window, manifest.fps, manifest.channels) == (12, 25.0, ("flow", "shape", "motion"))
    assert manifest.daflow == __version__
    inside = {path.name for path in shipped.folder.iterdir()}
    assert inside == {*manifest.files, "manifest.json"}, "every file of the folder has its hash"
    assert sum(path.stat().st_size for path in shipped.folder.iterdir()) < 600_000
    assert not any(verdict.missed for verdict in manifest.verification.values())
    assert manifest.alarm is not None
    assert manifest.alarm.provisional


def test_the_model_card_says_that_the_people_are_generated_and_the_threshold_provisional(
    shipped: Bundle,
) -> None:
    card = (shipped.folder / "MODEL_CARD.md").read_text()
    assert "everyday life of generated people with seed 0" in card
    assert "provisional threshold" in card
    assert f"threshold, {shipped.manifest.alarm.threshold:.3f} bits" in card  # type: ignore[union-attr]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_its_graphs_score_walkers_low_and_falls_high(shipped: Bundle, precision: Precision) -> None:
    assert shipped.manifest.alarm is not None
    threshold = shipped.manifest.alarm.threshold

    def highest(event: SceneEvent | None, seed: int) -> float:
        clip, _ = generate_clip("clip", seed, Scene(frames=300, event=event))
        with open_graph(shipped, precision) as scorer:
            return float(np.max(scorer.judge(make_windows([clip], 12, fps=25).poses).score))

    walkers = [highest(None, seed) for seed in range(5)]
    falls = [
        highest("fall", seed) for seed in range(5)
    ]  # some fall towards the camera, and are short in the picture
    assert max(walkers) < threshold / 2
    assert np.median(falls) > threshold
    assert np.mean(np.array(falls) > max(walkers)) >= 0.8


def test_somebody_in_front_of_it_all_day_is_below_its_threshold(shipped: Bundle) -> None:
    assert shipped.manifest.alarm is not None
    poses = make_windows(everyday_clips(10, seed=77), 12, fps=25).poses
    with open_graph(shipped) as scorer:
        scores = scorer.judge(poses).score
    assert (scores < shipped.manifest.alarm.threshold).mean() > 0.998
    assert 1 < np.median(scores) < 6


def test_finding_it_needs_no_torch() -> None:
    code = (
        "import sys; from daflow.core.shipped import default_bundle; from daflow.core.bundle import read_bundle\n"
        "read_bundle(default_bundle()); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# The user's copy, and the caches


def test_a_copy_counts_from_then_on_and_is_made_once() -> None:
    assert default_bundle() == shipped_bundle()
    copy = make_own_copy()
    assert copy == own_copy() == default_bundle()
    assert read_bundle(copy).manifest == read_bundle(shipped_bundle()).manifest
    (copy / "note").write_text("mine")
    assert make_own_copy() == copy
    assert (copy / "note").exists()
    shutil.rmtree(copy)
    assert default_bundle() == shipped_bundle()


def test_engines_of_the_package_are_in_the_users_cache_and_those_of_the_copy_in_it(tmp_path: Path) -> None:
    assert tmp_path / "cache" in engine_folder(shipped_bundle()).parents
    assert not (shipped_bundle() / "engines").exists()
    copy = make_own_copy()
    assert engine_folder(copy) == copy / "engines"


# The commands, typed with nothing else


def test_the_edge_raises_the_alarm_of_a_fall(tmp_path: Path) -> None:
    before = files()
    events = tmp_path / "events.jsonl"
    ran = run(edge, "--source", "synthetic:seed=3,event=fall", "--events", events)
    assert ran.exit_code == 0, ran.output
    assert "trained on generated people" in ran.output
    begins = [line for line in map(json.loads, events.read_text().splitlines()) if line["event"] == "begin"]
    _, mask = generate_clip("synthetic", 3, Scene(event="fall"))
    assert len(begins) == 1
    assert begins[0]["time"] > np.flatnonzero(mask)[0] / 25
    assert files() == before


def test_the_profile_says_which_model_it_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.profiling.run._COLD_STARTS", 1)
    ran = run(profile, "--batch", "1", "--seconds", "0.2", "--rounds", "4", "--precision", "fp32")
    assert ran.exit_code == 0, ran.output
    assert "trained on generated people" in ran.output
    assert "Profile of generated-people" in ran.output


def test_a_calibration_changes_a_copy_and_not_the_package(tmp_path: Path) -> None:
    before = files()
    write_clips(tmp_path / "tracks", everyday_clips(2, seed=5))
    ran = run(calibrate, "alarm", "--poses", tmp_path / "tracks", "--false-alarms-per-day", "1000")
    assert ran.exit_code == 0, ran.output
    assert f"commands without --bundle use {own_copy()} from now on" in ran.output
    assert files() == before
    calibrated = read_bundle(default_bundle()).manifest.alarm
    assert calibrated is not None
    assert calibrated.target_per_day == 1000
    checked = run(calibrate, "check", "--poses", tmp_path / "tracks")
    assert "your copy of the model of the package" in checked.output
    assert f"{calibrated.threshold:.3f}" in checked.output


def test_a_calibration_that_was_refused_leaves_no_copy(tmp_path: Path) -> None:
    write_clips(tmp_path / "tracks", everyday_clips(1, seed=5, frames=200))
    ran = run(calibrate, "alarm", "--poses", tmp_path / "tracks", "--require-promise")
    assert ran.exit_code == 1, ran.output
    assert not own_copy().exists()


@pytest.mark.parametrize("traced", [False, pytest.param(True, marks=pytest.mark.everything)])
@pytest.mark.usefixtures("no_drawings")
def test_an_export_without_a_model_writes_a_verified_bundle(
    traced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from export.cli import main as export

    def copy_graph(_: object, window: int, path: Path, *more: object) -> int:
        shutil.copy(shipped_bundle() / path.name, path)
        return 1

    if not traced:  # the graphs of the package are verified as if they had just been traced
        monkeypatch.setattr("export.bundle.export_onnx", copy_graph)
    monkeypatch.chdir(tmp_path)
    before = files()
    ran = run(export, "--fp16", "--no-engine")
    assert ran.exit_code == 0, ran.output
    assert "trained on generated people" in ran.output
    bundle = read_bundle(tmp_path / "generated-people")
    assert set(bundle.manifest.precisions) == {"fp32", "fp16"}
    assert bundle.manifest.alarm == read_bundle(shipped_bundle()).manifest.alarm
    assert not bundle.missed_limits("fp16")
    assert files() == before
    again = run(export, "--fp16", "--no-engine")
    assert again.exit_code == 2
    assert "generated-people is there already" in again.output


# The recipe


def test_the_graphs_are_those_of_the_checkpoint(shipped: Bundle) -> None:
    pytest.importorskip("torch")
    from daflow.model.checkpoint import load_checkpoint
    from daflow.model.torch_scorer import judge

    checkpoint = load_checkpoint(shipped_checkpoint())
    poses = make_windows(everyday_clips(2, seed=78), 12, fps=25).poses
    with open_graph(shipped) as scorer:
        assert np.allclose(
            scorer.judge(poses).score, judge(checkpoint.model, checkpoint.evidence, poses).score, atol=0.01
        )
    assert shipped.manifest.training == checkpoint.training


@pytest.mark.slow
@pytest.mark.everything
def test_the_recipe_gives_the_model_of_the_package_again(shipped: Bundle) -> None:
    """Rounding differs between processors, so the scores are compared, and not the bytes."""
    pytest.importorskip("torch")
    from daflow.core.alarms.provisional import provisional_alarm
    from daflow.model.torch_scorer import judge
    from daflow.training.generated_people import train_on_generated_people

    assert shipped.manifest.alarm is not None
    again = train_on_generated_people()
    alarm = provisional_alarm(again.training, again.fps)
    assert alarm is not None
    assert alarm.threshold == pytest.approx(shipped.manifest.alarm.threshold, rel=0.1)
    poses = make_windows(everyday_clips(10, seed=79), 12, fps=25).poses
    with open_graph(shipped) as scorer:
        before = scorer.judge(poses).score
    ranks = [
        np.argsort(np.argsort(scores)) for scores in (before, judge(again.model, again.evidence, poses).score)
    ]
    assert np.corrcoef(*ranks)[0, 1] > 0.98
