"""A model with evidence beside its flow, exported: the same scores, each channel verified, and what is told of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from calibration.int8_ranges import calibration_windows
from daflow.core.bundle import read_bundle, update_manifest
from daflow.core.errors import CheckFailed, InputError
from daflow.core.evidence import CHANNELS, Scored
from daflow.core.scoring.comparison import WindowSets, compare_channels
from daflow.core.scoring.limits import LIMITS
from daflow.core.scoring.onnx import OnnxScorer, open_graph
from daflow.model.checkpoint import load_checkpoint
from daflow.model.torch_scorer import judge
from export.cli import main as export
from export.int8_graph import operations
from export.verification import VerificationSet, Verifier


def test_the_graphs_score_as_the_modules_do(
    evidence_bundle: Path, evidence_file: Path, small_set: VerificationSet
) -> None:
    checkpoint = load_checkpoint(evidence_file)
    expected = small_set.sets.judge(lambda poses: judge(checkpoint.model, checkpoint.evidence, poses))
    for precision, tolerance in (("fp32", 1e-3), ("fp16", 0.05)):
        with open_graph(read_bundle(evidence_bundle), precision) as scorer:  # type: ignore[arg-type]
            found = small_set.sets.judge(scorer.judge)
        assert found.recorded.surprise is not None
        assert expected.recorded.surprise is not None
        assert found.recorded.surprise.shape == (len(small_set.windows), 3)
        np.testing.assert_allclose(
            found.recorded.score, found.recorded.surprise.sum(axis=1), rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            found.recorded.surprise, expected.recorded.surprise, atol=tolerance, rtol=tolerance
        )
        for compared in compare_channels(expected, found, CHANNELS).values():
            assert compared.non_finite == 0
            assert compared.spearman > 0.9995


def test_the_manifest_says_what_the_scores_are_made_of(evidence_bundle: Path, exported: Path) -> None:
    manifest = read_bundle(evidence_bundle).manifest
    assert manifest.channels == ("flow", "shape", "motion")
    assert manifest.evidence is not None
    assert manifest.evidence.windows > 400
    assert {*manifest.verification["fp16"].channels} == {"flow", "shape", "motion"}
    page = (evidence_bundle / "verification.html").read_text()
    assert all(page.count(f"rank correlation of the surprise, {channel}") == 3 for channel in CHANNELS)
    assert "of the surprise" not in (exported / "verification.html").read_text()
    assert read_bundle(exported).manifest.evidence is None
    assert read_bundle(exported).manifest.verification["fp16"].channels == {}
    result = CliRunner().invoke(export, ["inspect", str(evidence_bundle)])
    assert "flow, shape, motion; surprise in bits, from" in result.output
    assert " bits, the 0.999 quantile of" in result.output
    assert "bits/dim" not in result.output
    plain = CliRunner().invoke(export, ["inspect", str(exported)]).output
    assert any(line.split() == ["evidence", "flow"] for line in plain.splitlines())


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_any_number_of_windows(evidence_bundle: Path, batch: int) -> None:
    with open_graph(read_bundle(evidence_bundle)) as scorer:
        found = scorer.judge(np.zeros((batch, 2, 24, 18), dtype=np.float32))
    assert found.score.shape == (batch,)
    assert found.surprise is not None
    assert found.surprise.shape == (batch, 3)
    assert found.score.dtype == found.surprise.dtype == np.float32


def test_the_evidence_is_single_precision_in_every_graph(evidence_bundle: Path) -> None:
    graph = onnx.load(evidence_bundle / "scorer.fp16.onnx").graph
    halves = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    of_evidence = [node for node in graph.node if node.name.startswith("evidence.")]
    assert len(of_evidence) > 10
    assert halves
    assert not any(name in halves for node in of_evidence for name in node.input)


@pytest.mark.parametrize("number", range(3))
def test_a_channel_that_ranks_otherwise_is_refused_though_the_score_does_not(
    evidence_file: Path, small_set: VerificationSet, number: int
) -> None:
    checkpoint = load_checkpoint(evidence_file)

    def swapped(poses: np.ndarray) -> Scored:
        found = judge(checkpoint.model, checkpoint.evidence, poses)
        assert found.surprise is not None
        surprise = found.surprise.copy()
        surprise[:, number] = surprise[::-1, number]
        return Scored(found.score, surprise)

    verifier = Verifier(checkpoint, small_set, LIMITS, False, lambda _: None)
    with pytest.raises(CheckFailed, match=rf"{CHANNELS[number]}: spearman is "):
        verifier.verify("fp16", swapped)
    kept = Verifier(checkpoint, small_set, LIMITS, True, lambda _: None)
    assert kept.verify("fp16", swapped)
    assert all(phrase.startswith(f"{CHANNELS[number]}: ") for phrase in kept.forms[0].verdict.missed)


def test_a_graph_of_other_channels_than_the_manifest_says_is_refused(
    evidence_bundle: Path, exported: Path, tmp_path: Path
) -> None:
    graph, plain = evidence_bundle / "scorer.fp32.onnx", exported / "scorer.fp32.onnx"
    with pytest.raises(InputError, match="it must map 'poses' to 'score' and 'surprise'"):
        OnnxScorer(plain, channels=CHANNELS)
    with pytest.raises(InputError, match="it must map 'poses' to 'score' and 'surprise'"):
        OnnxScorer(graph, channels=("flow", "motion"))
    with pytest.raises(InputError, match="it must map 'poses' to 'nll'"):
        OnnxScorer(graph, channels=("flow",))
    with OnnxScorer(graph) as scorer:  # of a file alone nothing is known
        assert scorer.score(np.zeros((1, 2, 24, 18), dtype=np.float32)).shape == (1,)


def test_a_manifest_names_the_flow_first_and_each_channel_once(evidence_bundle: Path, tmp_path: Path) -> None:
    copy = read_bundle(Path(shutil.copytree(evidence_bundle, tmp_path / "b")))
    for channels in (
        [],
        ["flow"],
        ["shape"],
        ["flow", "motion", "shape"],
        ["flow", "flow"],
        ["flow", "sound"],
    ):
        broken = {"channels": channels, "windows": 9}
        text = json.loads((copy.folder / "manifest.json").read_text())
        text["evidence"] = broken
        with pytest.raises(ValueError, match=r"evidence|channels"):
            type(copy.manifest).model_validate(text)
    update_manifest(copy, lambda _: {"alarm": None})
    assert read_bundle(copy.folder).manifest.evidence == copy.manifest.evidence


@pytest.mark.usefixtures("no_drawings")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.everything)])
def test_int8_keeps_the_channels_too(
    whole: bool,
    evidence_file: Path,
    evidence_bundle: Path,
    small_set: VerificationSet,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def copy_graph(_: nn.Module, window: int, path: Path, *more: object) -> int:
        shutil.copy(evidence_bundle / path.name, path)
        return 1

    if not whole:  # the graphs are those of the bundle, and every eighth window is measured
        monkeypatch.setattr("export.bundle.export_onnx", copy_graph)
        monkeypatch.setattr("export.bundle.generated_set", lambda *_: small_set)
        monkeypatch.setattr(
            "export.mixed_precision.calibration_windows", lambda normal: calibration_windows(normal)[::8]
        )
    words = ["--int8", "--calibrate-on", dataset / "train", "--no-engine", "-o", tmp_path / "b"]
    result = CliRunner().invoke(export, [str(word) for word in (evidence_file, *words)])
    assert result.exit_code == 0, result.output
    verdict = read_bundle(tmp_path / "b").manifest.verification["int8"]
    assert not verdict.missed
    assert min(found.spearman for found in verdict.channels.values()) > 0.99


def test_no_operation_of_the_evidence_is_for_int8(evidence_bundle: Path) -> None:
    graph = evidence_bundle / "scorer.fp32.onnx"
    products = [node.name for node in onnx.load(graph).graph.node if node.op_type in ("MatMul", "Gemm")]
    assert any(name.startswith("evidence.") for name in products)
    assert set(operations(graph)) == {name for name in products if name.startswith("flow.")}


def test_a_flow_alone_is_judged_without_channels(evidence_file: Path, rng: np.random.Generator) -> None:
    checkpoint = replace(load_checkpoint(evidence_file), evidence=None)
    poses = rng.standard_normal((6, 2, 24, 18)).astype(np.float32)
    found = judge(checkpoint.model, None, poses)
    assert found.surprise is None
    assert np.array_equal(found.score, checkpoint.model.nll(torch.from_numpy(poses)).detach().numpy())
    sets = WindowSets.of(poses).judge(lambda part: judge(checkpoint.model, None, part))
    assert compare_channels(sets, sets, ("flow",)) == {}
