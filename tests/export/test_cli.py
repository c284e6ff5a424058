from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daflow.bundle import read_bundle
from daflow.cli import main as daflow
from export import bundle as export_bundle_module
from export.cli import main as export
from export.verification import Limits


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_a_bundle_holds_what_its_manifest_says(exported: Path) -> None:
    manifest = read_bundle(exported).manifest
    assert manifest.parameters == 488
    assert manifest.precisions == {"fp32": "scorer.fp32.onnx", "fp16": "scorer.fp16.onnx"}
    assert [engine.target for engine in manifest.engines] == ["sm86"]
    there = {str(p.relative_to(exported)) for p in exported.rglob("*") if p.is_file()}
    assert there == {"manifest.json", *manifest.files}


def test_the_manifest_holds_the_verification(exported: Path) -> None:
    verification = json.loads((exported / "manifest.json").read_text())["verification"]
    for precision in ("fp32", "fp16"):
        figures = verification[precision]
        assert {"max_abs", "spearman", "tail_spearman", "auc_delta", "windows"} <= set(figures)
        assert figures["windows"] > 1000
    assert verification["fp32"]["max_error"] <= 1e-4
    assert verification["fp16"]["spearman"] >= 0.999
    assert abs(verification["fp16"]["auc_delta"]) <= 0.001


def test_fp32_alone_has_no_half_precision(checkpoint_file: Path, tmp_path: Path) -> None:
    result = run(export, checkpoint_file, "-o", tmp_path / "b", "--fp32", "--no-engine")
    assert result.exit_code == 0, result.output
    manifest = read_bundle(tmp_path / "b").manifest
    assert list(manifest.precisions) == list(manifest.verification) == ["fp32"]
    assert manifest.engines == ()


def test_a_missed_limit_writes_nothing(
    checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(export_bundle_module.LIMITS, "fp16", Limits(max_abs=1e-9))
    folder = tmp_path / "out" / "bundle"
    result = run(export, checkpoint_file, "-o", folder, "--no-engine")
    assert result.exit_code == 1
    assert "The fp16 graph does not score as the model does" in result.output
    assert list((tmp_path / "out").iterdir()) == []


def test_an_older_bundle_is_replaced_only_at_the_end(
    checkpoint_file: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_bundle(bundle).manifest
    monkeypatch.setitem(export_bundle_module.LIMITS, "fp32", Limits(max_abs=-1.0))
    assert run(export, checkpoint_file, "-o", bundle, "--no-engine").exit_code == 1
    assert read_bundle(bundle).manifest == before
    monkeypatch.undo()
    assert run(export, checkpoint_file, "-o", bundle, "--fp32", "--no-engine").exit_code == 0
    assert list(read_bundle(bundle).manifest.precisions) == ["fp32"]


def test_a_folder_that_is_no_bundle_is_left_alone(checkpoint_file: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    result = run(export, checkpoint_file, "-o", tmp_path, "--no-engine")
    assert result.exit_code == 2
    assert "is not a bundle" in result.output
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--target", "sm87"], "cannot build for sm87"),
        (["--target", "orin"], "'orin' is not a compute capability"),
        (["--masks", "somewhere"], "--calibrate-on, which is missing"),
        (["--calibrate-on", "nowhere"], "There is no folder nowhere"),
        (["--fp8"], "No such option"),
    ],
)
def test_wrong_options_are_explained(
    checkpoint_file: Path, tmp_path: Path, options: list[str], complaint: str
) -> None:
    result = run(export, checkpoint_file, "-o", tmp_path / "b", *options)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
    assert not (tmp_path / "b").exists()


def test_evaluating_the_bundle_gives_the_auc_of_the_checkpoint(
    exported: Path, checkpoint_file: Path, dataset: Path, tmp_path: Path
) -> None:
    figures = []
    for name, model in (("c", checkpoint_file), ("b", exported)):
        target = tmp_path / f"{name}.json"
        result = run(
            daflow, "evaluate", "--poses", dataset / "test", "--masks", dataset / "masks", "--model", model,
            "--json", target,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        figures.append(json.loads(target.read_text()))
    assert figures[0]["auc"] == pytest.approx(figures[1]["auc"], abs=5e-4)
    assert {"auc", "auc_pr", "eer", "frames", "windows", "clips"} <= set(figures[0])
    assert figures[0]["frames"] == 600
