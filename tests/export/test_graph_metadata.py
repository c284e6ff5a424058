"""What each ONNX file says about itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from daflow.core.bundle import read_bundle
from daflow.core.version import __version__
from daflow.model.checkpoint import Checkpoint, load_checkpoint
from export.cli import main as export
from export.graph_metadata import data_name, graph_metadata

FLOW = {
    "daflow": __version__, "kind": "daflow-scorer", "window": "24", "joints": "openpose18",
    "normalising": "window-std-y", "channels": "flow", "unit": "bits/dim", "fps": "unknown",
    "created_from": "generated",
}  # fmt: skip


def metadata_of(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_every_graph_of_a_bundle_says_what_it_is(exported_int8: Path) -> None:
    bundle = read_bundle(exported_int8)
    assert [*bundle.manifest.precisions] == ["fp32", "fp16", "int8"]
    for precision in bundle.manifest.precisions:
        assert metadata_of(bundle.graph(precision)) == {**FLOW, "precision": precision}


def test_evidence_is_told_with_its_unit_and_rate(evidence_bundle: Path, evidence_file: Path) -> None:
    found = metadata_of(evidence_bundle / "scorer.fp16.onnx")
    assert found == graph_metadata(load_checkpoint(evidence_file), "fp16")
    assert (found["channels"], found["unit"], found["fps"]) == ("flow,shape,motion", "bits", "25")


def test_inspect_shows_it(exported: Path) -> None:
    result = CliRunner().invoke(export, ["inspect", str(exported / "scorer.fp16.onnx")])
    assert result.exit_code == 0, result.output
    line = next(line for line in result.output.splitlines() if line.startswith("says "))
    for words in ("kind daflow-scorer", "precision fp16", "unit bits/dim", "created_from generated"):
        assert words in line


def test_inspect_escapes_what_a_stranger_wrote(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported / "scorer.fp32.onnx")
    onnx.helper.set_model_props(model, {"a\x1b[2J": "b\nc"})
    onnx.save(model, tmp_path / "other.onnx")
    output = CliRunner().invoke(export, ["inspect", str(tmp_path / "other.onnx")]).output
    assert "a\\x1b[2J" in output
    assert "b\\nc" in output


@pytest.mark.parametrize(
    ("training", "name"),
    [
        ({}, "unknown"),
        ({"data": 7}, "unknown"),
        ({"data": "/"}, "unknown"),
        ({"data": "/home/somebody/hall"}, "hall"),
        ({"data": "C:\\videos\\hall, yard"}, "hall, yard"),
        ({"data": "a" * 500}, "a" * 120 + "..."),
    ],
)
def test_the_data_have_a_name_without_folders(
    training: dict[str, object], name: str, checkpoint: Checkpoint
) -> None:
    assert data_name(training) == name
    assert graph_metadata(replace(checkpoint, training=training), "fp32")["created_from"] == name
