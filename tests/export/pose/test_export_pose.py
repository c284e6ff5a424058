"""`daflow-export pose`: a bundle of two networks that were verified on people, or one sentence and no bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from daflow.core.gpu import load_tensorrt
from daflow.core.pose_bundle import read_pose_bundle
from export.cli import main
from export.pose import bundle as export_bundle
from export.pose.originals import Original, open_original
from export.pose.verification import GraphRunner

from .conftest import save_onnx

Export = Callable[..., Result]


@pytest.fixture
def export(detector_file: Path, landmarks_file: Path, pictures: Path, tmp_path: Path) -> Export:
    """Run the command; `*more` come behind the networks and the pictures."""

    def run(*more: object) -> Result:
        usual = {"--layout": "simcc", "--detector-layout": "yolo", "--detector": detector_file}
        chosen = [part for name, value in usual.items() if name not in more for part in (name, value)]
        arguments = [
            "pose", "--landmarks", landmarks_file, *chosen, "-o", tmp_path / "pose.bundle", "--verify-on", pictures,
            *more,
        ]  # fmt: skip
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, detector_file: Path, landmarks_file: Path, pictures: Path
) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "pose.bundle"
    arguments = [
        "pose", "--landmarks", landmarks_file, "--layout", "simcc", "--licence", "MIT", "--detector", detector_file,
        "--detector-layout", "yolo", "-o", folder, "--verify-on", pictures, "--int8", "--no-engine",
        "--limit", "landmarks.int8.median_error=20", "--limit", "landmarks.int8.p99_error=100",
    ]  # fmt: skip
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return folder


def test_a_bundle_holds_every_precision_verified(exported: Path, detector_file: Path) -> None:
    manifest = read_pose_bundle(exported).manifest
    assert list(manifest.networks) == ["detector", "landmarks"]
    detector, landmarks = manifest.networks["detector"], manifest.networks["landmarks"]
    assert (detector.width, detector.height, detector.joints, detector.layout) == (64, 64, 0, "yolo")
    assert (landmarks.width, landmarks.height, landmarks.joints, landmarks.layout) == (16, 32, 17, "simcc")
    assert (detector.source.file, landmarks.licence, detector.licence) == ("detector.onnx", "MIT", None)
    for network in (detector, landmarks):
        assert (
            list(network.precisions)
            == list(network.nodes)
            == list(network.verification)
            == ["fp32", "fp16", "int8"]
        )
        assert not any(verdict.missed for verdict in network.verification.values())
        assert network.int8 is not None
        assert network.int8.quantised
        assert all(verdict.comparison.people > 5 for verdict in network.verification.values())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_graph_keeps_the_contract(exported: Path, precision: Any) -> None:
    bundle = read_pose_bundle(exported)
    for name, size, shapes in (
        ("detector", (64, 64), {"scores": (3, 8), "boxes": (3, 8, 4)}),
        ("landmarks", (32, 16), {"keypoints": (3, 17, 4), "presence": (3,)}),
    ):
        path = bundle.graph(name, precision)  # type: ignore[arg-type]
        model = onnx.load(path)
        (images,) = model.graph.input
        assert (images.name, images.type.tensor_type.elem_type) == ("images", TensorProto.UINT8)
        assert model.opset_import[0].version == 17
        pictures = np.random.default_rng(2).integers(0, 256, (3, *size, 3), np.uint8)
        found = GraphRunner(model).run(pictures)
        assert {output: value.shape for output, value in found.items()} == shapes
        assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
        alone = GraphRunner(model).run(pictures[1:2])
        for output, value in found.items():
            np.testing.assert_allclose(value[1:2], alone[output], rtol=1e-4, atol=1e-4)


def test_the_fp16_graph_computes_the_network_in_fp16_and_pixels_in_fp32(exported: Path) -> None:
    model = onnx.load(read_pose_bundle(exported).graph("landmarks", "fp16"))
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert {kinds[n.input[1]] for n in model.graph.node if n.op_type in ("Conv", "MatMul")} == {
        TensorProto.FLOAT16
    }
    assert TensorProto.FLOAT16 not in {kinds.get(name) for n in model.graph.node if n.name.startswith("head.")
                                       for name in n.input}  # fmt: skip


def test_the_int8_graph_has_pairs_in_front_of_what_the_manifest_names(exported: Path) -> None:
    bundle = read_pose_bundle(exported)
    int8 = bundle.network("landmarks").int8
    assert int8 is not None
    nodes = {node.name: node for node in onnx.load(bundle.graph("landmarks", "int8")).graph.node}
    for name in int8.quantised:
        assert all(source.endswith(".dequantised") for source in nodes[name].input[:2])
    for name in int8.kept:
        assert not any(source.endswith(".dequantised") for source in nodes[name].input)


def test_the_report_shows_each_graph(exported: Path, read_page: Callable[[str], Any]) -> None:
    page = read_page((exported / "verification.html").read_text())
    forms = [
        f"{name}-{precision}" for name in ("detector", "landmarks") for precision in ("fp32", "fp16", "int8")
    ]
    assert [i for i in page.ids if i in forms] == forms
    assert len(page.images) == 6
    assert all(image.startswith("data:image/png") for image in page.images)


def test_inspect_shows_a_pose_bundle_on_one_screen(exported: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(exported)])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) < 20
    for words in (
        "schema 1", "landmarks.onnx (simcc), 16 x 32, 17 joints; licence: MIT", "licence: not stated",
        "detector.int8.onnx", "people in", "verified on", "each device builds its own",
    ):  # fmt: skip
        assert words in result.output
    facts = json.loads(CliRunner().invoke(main, ["inspect", str(exported), "--json", "-"]).output)
    assert (facts["kind"], facts["networks"]["detector"]["layout"]) == ("pose bundle", "yolo")


def test_engines_are_built_for_named_gpus(export: Export, tmp_path: Path) -> None:
    if load_tensorrt(("tensorrt_rtx",)) is None:
        pytest.skip("TensorRT for RTX is not installed (it has wheels for x86-64 only)")
    result = export("--target", "sm86", "--batch", "1,2,8", "--layers")
    assert result.exit_code == 0, result.output
    for name in ("detector", "landmarks"):
        folder = tmp_path / "pose.bundle" / "engines" / name
        assert (folder / "fp16.sm86.tensorrt_rtx.engine").stat().st_size > 1000
        assert (folder / "fp16.sm86.tensorrt_rtx.layers.json").is_file()
    output = CliRunner().invoke(main, ["inspect", str(tmp_path / "pose.bundle")]).output
    assert "landmarks/fp16.sm86.tensorrt_rtx.engine: sm86 (every GPU of it)" in output
    assert "STALE" not in output


def test_a_graph_that_misses_a_limit_writes_nothing(export: Export, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = export("--limit", "detector.fp16.score_error=0", "--no-engine")
    assert result.exit_code == 1, result.output
    assert "The fp16 graph of detector does not compute what detector.onnx does" in result.output
    assert "score_error is" in result.output
    assert sorted(tmp_path.iterdir()) == before


def test_a_failing_graph_can_be_kept_and_is_marked(export: Export, tmp_path: Path) -> None:
    result = export("--limit", "detector.fp16.score_error=0", "--no-engine", "--keep-failing")
    assert result.exit_code == 0, result.output
    bundle = read_pose_bundle(tmp_path / "pose.bundle")
    assert bundle.missed_limits("detector", "fp16")
    assert not bundle.missed_limits("detector", "fp32")
    assert "MISSES ITS LIMITS" in CliRunner().invoke(main, ["inspect", str(bundle.folder)]).output
    assert "miss their limits" in (bundle.folder / "verification.html").read_text()


def test_a_graph_that_is_not_the_published_network_is_found(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate compares with the file itself, not with another graph that was made from it."""

    def converted_wrongly(path: Path) -> Original:
        original = open_original(path)
        for tensor in original.network.model.graph.initializer:
            if tensor.name == "w1":
                wrong = onnx.numpy_helper.to_array(tensor)[:, ::-1]
                tensor.CopyFrom(onnx.numpy_helper.from_array(wrong, "w1"))
        return original

    monkeypatch.setattr(export_bundle, "open_original", converted_wrongly)
    result = export("--no-engine")
    assert result.exit_code == 1, result.output
    assert "The fp32 graph of landmarks does not compute what landmarks.onnx does" in result.output
    assert not (tmp_path / "pose.bundle").exists()


def test_an_older_pose_bundle_is_replaced_and_nothing_else_is(
    export: Export, exported: Path, tmp_path: Path
) -> None:
    target = tmp_path / "pose.bundle"
    shutil.copytree(exported, target)
    result = export("--fp32", "--no-engine", "--json", tmp_path / "facts.json")
    assert result.exit_code == 0, result.output
    assert list(read_pose_bundle(target).network("detector").precisions) == ["fp32"]
    assert not (target / "detector.int8.onnx").exists()
    assert json.loads((tmp_path / "facts.json").read_text())["format"] == "daflow-pose-bundle"
    shutil.rmtree(target)
    target.mkdir()
    (target / "manifest.json").write_text('{"format": "daflow-bundle"}')
    result = export("--no-engine")
    assert (result.exit_code, (target / "manifest.json").exists()) == (2, True)
    assert "is not a pose bundle, so it is not replaced" in result.output


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--layout", "blazepose"], "is not of the layout blazepose. It has the outputs simcc_x"),
        (["--detector-layout", "nanodet"], "is not of the layout nanodet. It has the outputs images"),
        (["--layout", "openpose"], "Invalid value for '--layout'"),
        (["--std", "0,1,1"], "Give numbers above 0"),
        (["--mean", "1,2"], "is not three numbers"),
        (["--limit", "landmarks.fp16.overlap=1"], "is not a limit"),
        (["--verify-on", "nowhere"], "There is no folder of pictures or video nowhere"),
        (["--on-device"], "--on-device builds the engines of a pose bundle"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(
    export: Export, tmp_path: Path, more: list[str], words: str
) -> None:
    before = sorted(tmp_path.iterdir())
    result = export(*more, "--no-engine")
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert sorted(tmp_path.iterdir()) == before


def test_a_detector_of_pictures_that_are_not_square_is_refused(export: Export, tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    wide = save_onnx(tmp_path / "wide.onnx", nodes, {}, ["batch", 3, 32, 64], ["y"])
    result = export("--detector", wide, "--no-engine")
    assert result.exit_code == 2
    assert (
        f"{wide} takes pictures of 64 x 32, and daflow-edge searches for people in squares" in result.output
    )
    assert not (tmp_path / "pose.bundle").exists()


def test_pictures_are_needed(detector_file: Path, landmarks_file: Path, tmp_path: Path) -> None:
    arguments = [
        "pose", "--landmarks", landmarks_file, "--layout", "simcc", "--detector", detector_file, "--detector-layout",
        "yolo", "-o", tmp_path / "pose.bundle",
    ]  # fmt: skip
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 2
    assert "Pictures or videos of people are needed" in result.output


def test_pictures_in_which_the_network_sees_nobody_are_refused(export: Export, tmp_path: Path) -> None:
    result = export("--detector-mean", "254,254,254", "--no-engine")  # everything is dark
    assert result.exit_code == 2
    assert "sees nobody in the pictures to verify on" in result.output
    assert not (tmp_path / "pose.bundle").exists()


def test_a_missing_network_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path))
    for arguments, words in (
        (["--offline", "--verify-on", "."], "daflow models fetch people"),
        (["a.task", "--offline", "--verify-on", "."], "daflow models fetch people"),
        (["a.task", "--detector-layout", "yolo"], "Missing option '--detector'"),
        (["--detector", "b", "--detector-layout", "yolo"], "Missing argument 'TASK'"),
        (["a.task", "--landmarks", "b"], "not both"),
        (
            ["none.task", "--detector", "b", "-o", str(tmp_path / "x"), "--verify-on", "."],
            "There is no network",
        ),
    ):
        result = CliRunner().invoke(main, ["pose", *arguments])
        assert result.exit_code == 2
        assert words in result.output


def test_on_device_needs_a_gpu(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    result = CliRunner().invoke(main, ["pose", str(exported), "--on-device"])
    assert result.exit_code == 2
    assert "needs an NVIDIA GPU, and none was found" in result.output
