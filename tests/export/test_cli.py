"""`daflow-export` as its users call it."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.cli import main as daflow
from daflow.core.alarms.provisional import SUMMARY, HeldOutScores
from daflow.core.bundle import SCHEMA, read_bundle
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import Poses, make_windows
from daflow.core.engines.file import read_engine
from daflow.core.files import sha256
from daflow.core.gpu import load_tensorrt
from daflow.model.checkpoint import Checkpoint, save_checkpoint
from export import bundle as export_bundle_module
from export import mixed_precision
from export.cli import main as export
from runtime.scorers.registry import open_scorer


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_bundle_holds_what_its_manifest_says(exported: Path) -> None:
    manifest = read_bundle(exported).manifest
    assert manifest.parameters == 488
    assert manifest.precisions == {"fp32": "scorer.fp32.onnx", "fp16": "scorer.fp16.onnx"}
    assert manifest.nodes["fp32"] < 200
    there = {str(p.relative_to(exported)) for p in exported.rglob("*") if p.is_file()}
    engines = {name for name in there if name.startswith("engines/")}
    assert len(engines) == bool(load_tensorrt())
    assert there == {"manifest.json", *engines, *manifest.files}
    assert {"scorer.fp32.onnx", "scorer.fp16.onnx", "verification.html", "MODEL_CARD.md"} == set(
        manifest.files
    )
    for engine in engines:
        assert read_engine(exported / engine)[0].key.graph == manifest.files["scorer.fp16.onnx"]


def test_the_manifest_holds_the_verification_with_its_limits(exported: Path) -> None:
    verification = json.loads((exported / "manifest.json").read_text())["verification"]
    assert list(verification) == ["folded", "fp32", "fp16"]
    for form in verification.values():
        assert form["missed"] == []
        assert form["comparison"]["windows"] > 1000
    assert verification["fp32"]["comparison"]["max_error"] <= 1e-4
    assert verification["fp16"]["limits"]["spearman"] == 0.9995
    assert verification["fp16"]["comparison"]["spearman"] >= 0.9995
    assert abs(verification["fp16"]["comparison"]["auc_delta"]) <= 0.05


@pytest.mark.usefixtures("quick_export")
def test_fp32_alone_has_no_half_precision(checkpoint_file: Path, tmp_path: Path) -> None:
    result = run(export, checkpoint_file, "-o", tmp_path / "b", "--fp32", "--no-engine")
    assert result.exit_code == 0, result.output
    manifest = read_bundle(tmp_path / "b").manifest
    assert list(manifest.precisions) == ["fp32"]
    assert list(manifest.verification) == ["folded", "fp32"]
    assert not (tmp_path / "b" / "engines").exists()


def test_int8_is_calibrated_and_mixed_and_recorded(exported_int8: Path) -> None:
    manifest = read_bundle(exported_int8).manifest
    int8 = manifest.int8
    assert int8 is not None
    assert len(int8.quantised) + len(int8.kept) == 32
    assert len(int8.quantised) > 8
    assert int8.method == "percentile"
    assert manifest.verification["int8"].comparison.spearman >= 0.99
    ranges = json.loads((exported_int8 / "int8.ranges.json").read_text())
    assert ranges["graph"] == manifest.files["scorer.fp32.onnx"]
    assert manifest.files["int8.ranges.json"]


@pytest.mark.usefixtures("quick_int8_export")
def test_calibrating_and_verifying_on_different_recordings(
    checkpoint_file: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated_on: list[Poses] = []
    calibration_windows = mixed_precision.calibration_windows

    def remember(normal: Poses) -> Poses:
        calibrated_on.append(normal)
        return calibration_windows(normal)

    monkeypatch.setattr(mixed_precision, "calibration_windows", remember)
    result = run(
        export, checkpoint_file, "-o", tmp_path / "b", "--fp32", "--int8", "--calibrate-on", dataset / "train",
        "--verify-on", dataset / "test", "--masks", dataset / "masks", "--no-engine", "--calibration", "entropy",
        "--json", tmp_path / "j",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (normal,) = calibrated_on
    np.testing.assert_array_equal(normal, make_windows(read_clips(dataset / "train")).poses)
    written = json.loads((tmp_path / "j").read_text())
    assert written["int8"]["method"] == "entropy"
    assert written["verification"]["int8"]["comparison"]["auc_delta"] is not None
    assert "windows of recordings in test" in (tmp_path / "b" / "verification.html").read_text()


@pytest.mark.usefixtures("quick_int8_export")
def test_a_calibration_cache_replaces_calibrating(
    checkpoint_file: Path, exported_int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(mixed_precision, "calibrated_ranges")
    words = ["--fp32", "--int8", "--no-engine", "--ranges", exported_int8 / "int8.ranges.json"]
    result = run(export, checkpoint_file, "-o", tmp_path / "same", *words)
    assert result.exit_code == 0, result.output
    for name in ("scorer.int8.onnx", "int8.ranges.json"):
        assert (tmp_path / "same" / name).read_bytes() == (exported_int8 / name).read_bytes()


@pytest.mark.usefixtures("quick_export")
def test_a_calibration_cache_of_another_graph_is_refused(
    checkpoint_file: Path, exported_int8: Path, tmp_path: Path
) -> None:
    cache = json.loads((exported_int8 / "int8.ranges.json").read_text())
    cache["graph"] = sha256(exported_int8 / "scorer.fp16.onnx")
    ranges = tmp_path / "other.json"
    ranges.write_text(json.dumps(cache))
    result = run(
        export, checkpoint_file, "-o", tmp_path / "b", "--fp32", "--int8", "--no-engine", "--ranges", ranges
    )
    assert result.exit_code == 2
    assert "belongs to another graph" in result.output
    assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("quick_export")
def test_a_missed_limit_writes_nothing(checkpoint_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "bundle"
    result = run(export, checkpoint_file, "-o", folder, "--no-engine", "--limit", "fp16.max_error=1e-9")
    assert result.exit_code == 1
    assert "The fp16 form does not score as the model does" in result.output
    assert "--keep-failing" in result.output
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("quick_export")
def test_what_fails_can_be_kept_and_is_marked(
    checkpoint_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["--no-engine", "--limit", "fp16.max_error=1e-9", "--keep-failing"]
    result = run(export, checkpoint_file, "-o", tmp_path / "b", *words)
    assert result.exit_code == 0, result.output
    assert "nodes, MISSES ITS LIMITS: max_error" in result.output
    bundle = read_bundle(tmp_path / "b")
    assert bundle.missed_limits("fp16")
    assert not bundle.missed_limits("fp32")
    assert "1 of 3 forms miss their limits: fp16" in (tmp_path / "b" / "verification.html").read_text()
    assert "MISSES ITS LIMITS" in run(export, "inspect", tmp_path / "b").output
    with caplog.at_level(logging.WARNING), open_scorer(bundle, "onnxruntime", "fp16"):
        assert "misses its limits" in caplog.text


@pytest.mark.usefixtures("quick_export")
def test_an_older_bundle_is_replaced_only_at_the_end(checkpoint_file: Path, bundle_copy: Path) -> None:
    before = read_bundle(bundle_copy).manifest
    missing = ["--limit", "fp32.max_error=0"]
    assert run(export, checkpoint_file, "-o", bundle_copy, "--no-engine", *missing).exit_code == 1
    assert read_bundle(bundle_copy).manifest == before
    assert run(export, checkpoint_file, "-o", bundle_copy, "--fp32", "--no-engine").exit_code == 0
    assert list(read_bundle(bundle_copy).manifest.precisions) == ["fp32"]


@pytest.mark.usefixtures("quick_export")
def test_a_failure_at_the_end_leaves_nothing_behind(
    checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "manifest.json")

    monkeypatch.setattr(export_bundle_module, "write_manifest", full)
    result = run(export, checkpoint_file, "-o", tmp_path / "out" / "b", "--fp32", "--no-engine")
    assert result.exit_code == 2
    assert "No space left on device" in result.output
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_no_bundle_is_left_alone(checkpoint_file: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    result = run(export, checkpoint_file, "-o", tmp_path, "--no-engine")
    assert result.exit_code == 2
    assert "is not a bundle" in result.output
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.usefixtures("quick_export")
def test_standard_output_is_json_alone(checkpoint_file: Path, tmp_path: Path) -> None:
    result = run(export, checkpoint_file, "-o", tmp_path / "b", "--fp32", "--no-engine", "--json", "-")
    assert json.loads(result.stdout)["schema"] == SCHEMA
    assert "verified" in result.stderr


@pytest.mark.usefixtures("quick_export")
def test_the_batch_sizes_reach_the_bundle(checkpoint_file: Path, tmp_path: Path) -> None:
    words = ["--fp32", "--no-engine", "--batch", "2, 8,64", "--workspace", "32"]
    assert run(export, checkpoint_file, "-o", tmp_path / "b", *words).exit_code == 0
    options = read_bundle(tmp_path / "b").manifest.engine_options
    assert (options.batch, options.workspace) == ((2, 8, 64), 32)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--target", "sm87"], "for sm87"),
        (["--target", "orin"], "'orin' is not a compute capability"),
        (
            ["--masks", "somewhere"],
            "Frame masks (--masks) need the recordings: --calibrate-on or --verify-on",
        ),
        (["--calibrate-on", "nowhere"], "There is no folder nowhere"),
        (["--verify-on", "nowhere"], "There is no folder nowhere"),
        (["--ranges", "r.json"], "INT8 ranges (--ranges) need --int8"),
        (["--fp8"], "No such option"),
        (["--batch", "8"], "is not MIN,OPT,MAX"),
        (["--batch", "8,4,1"], "in ascending order"),
        (["--batch", "0,1,2"], "is not MIN,OPT,MAX"),
        (["--batch", "1,2,9999"], "is not MIN,OPT,MAX"),
        (["--limit", "fp16.spearman"], "is not NAME=VALUE"),
        (["--limit", "fp16.spearman=x"], "is not NAME=VALUE"),
        (["--limit", "fp16.spearman=nan"], "must be a number of at least 0"),
        (["--limit", "fp16.speed=1"], "is not a limit. Use PRECISION.NAME=VALUE"),
        (["--workspace", "0"], "is not in the range"),
        (["--calibration", "guess"], "'guess' is not one of"),
        (["--on-device"], "--on-device builds the engines of a bundle"),
    ],
)
def test_wrong_options_are_explained(
    checkpoint_file: Path, tmp_path: Path, options: list[str], error: str
) -> None:
    result = run(export, checkpoint_file, "-o", tmp_path / "b", *options)
    assert result.exit_code == 2, result.output
    assert error in " ".join(result.output.split())
    assert not (tmp_path / "b").exists()


def test_the_bundle_must_have_a_name_and_the_model_must_be_one(checkpoint_file: Path, tmp_path: Path) -> None:
    result = run(export, checkpoint_file)
    assert result.exit_code == 2
    assert "Missing option '-o'" in result.output
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    result = run(export, tmp_path / "broken.pt", "-o", tmp_path / "b")
    assert result.exit_code == 2
    assert "is not a checkpoint of daflow" in result.output


@pytest.mark.usefixtures("quick_export")
def test_a_model_that_is_called_inspect_is_exported(
    checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(checkpoint_file, "inspect")
    result = run(export, "inspect", "-o", "bundle", "--fp32", "--no-engine")
    assert result.exit_code == 0, result.output
    assert list(read_bundle(Path("bundle")).manifest.precisions) == ["fp32"]
    result = run(export, "inspect", "bundle")
    assert result.exit_code == 0, result.output
    assert "488 parameters" in result.output


def test_every_option_is_explained() -> None:
    for parameter in export.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
    output = run(export, "--help").output
    assert "Usage: daflow-export [OPTIONS] [MODEL]" in output
    assert re.findall(r"^  (\w+)  +\S", output.partition("Commands:\n")[2], re.MULTILINE) == [
        "pose",
        "inspect",
    ]
    assert "BUNDLE|ENGINE|ONNX" in run(export, "inspect", "--help").output


def test_evaluating_the_bundle_gives_the_auc_of_the_checkpoint(
    exported_int8: Path, checkpoint_file: Path, dataset: Path
) -> None:
    figures = []
    for model, words in (
        (checkpoint_file, []),
        *[(exported_int8, ["--precision", name]) for name in ("fp32", "fp16", "int8")],
    ):
        result = run(
            daflow, "evaluate", "--poses", dataset / "test", "--masks", dataset / "masks", "--model", model, *words,
            "--json", "-",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        figures.append(json.loads(result.stdout))
    checkpoint, fp32, fp16, int8 = (f["auc"] for f in figures)
    assert fp32 == pytest.approx(checkpoint, abs=5e-5)
    assert fp16 == pytest.approx(checkpoint, abs=5e-4)
    assert int8 == pytest.approx(checkpoint, abs=1e-2)
    assert {"auc", "auc_pr", "eer", "frames", "windows", "clips"} <= set(figures[0])
    assert figures[0]["frames"] == 600


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize("held_out", [True, False])
def test_a_threshold_that_nobody_calibrated_is_provisional_and_else_there_is_none(
    checkpoint: Checkpoint, tmp_path: Path, held_out: bool
) -> None:
    scores = HeldOutScores(windows=40, people=3, median=1.0, q99=1.5, q999=2.0, highest=2.5)
    training = {SUMMARY: scores.model_dump()} if held_out else {}
    save_checkpoint(tmp_path / "m.pt", Checkpoint(checkpoint.model, training))
    result = run(export, tmp_path / "m.pt", "-o", tmp_path / "b", "--fp16", "--no-engine")
    assert result.exit_code == 0, result.output
    alarm = read_bundle(tmp_path / "b").manifest.alarm
    seen = run(export, "inspect", tmp_path / "b").output
    assert "daflow-calibrate alarm" in result.output
    if held_out:
        assert alarm is not None
        assert (alarm.threshold, alarm.provisional) == (3.0, True)
        assert "PROVISIONAL alarm threshold 3.000" in result.output
        assert "PROVISIONAL: from 40 windows" in seen
    else:
        assert alarm is None
        assert "no alarm threshold" in result.output
        assert "not calibrated" in seen
