"""A network is known by its content, and what is wrong with it is one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from daflow.core.errors import InputError
from export.pose import originals
from export.pose.assembly import Normalisation, assemble
from export.pose.layouts import LAYOUTS
from export.pose.originals import open_original
from export.pose.verification import GraphRunner


def test_a_network_that_was_exported_for_one_picture_takes_several(detector_file: Path) -> None:
    original = open_original(detector_file)
    network = original.network
    assert (network.width, network.height, network.channels_first) == (64, 64, True)
    assert network.outputs == {"images": (1, 5, 8)}
    pictures = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    together = original.run(pictures)["images"]
    singly = np.concatenate([original.run(pictures[i : i + 1])["images"] for i in range(3)])
    np.testing.assert_allclose(together, singly, rtol=1e-6)


def test_a_network_that_can_take_only_one_picture_is_refused(tmp_path: Path, detector_file: Path) -> None:
    model = onnx.load(detector_file)
    for tensor in model.graph.initializer:
        if tensor.name == "flat":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 1, 8]), "flat"))
    path = tmp_path / "single.onnx"
    onnx.save(model, path)
    with pytest.raises(InputError, match="does not take several pictures at once"):
        open_original(path)


def test_a_network_of_no_pictures_is_refused(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 10])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 10])
    path = tmp_path / "row.onnx"
    onnx.save(
        helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])), path
    )
    with pytest.raises(InputError, match="does not take one RGB picture of a fixed size"):
        open_original(path)


def test_a_network_with_weights_in_another_file_is_refused(tmp_path: Path, landmarks_file: Path) -> None:
    path = tmp_path / "two-files.onnx"
    model = onnx.load(landmarks_file)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(InputError) as error:
        open_original(path)
    assert error.value.message == (
        f"{path} has weights in another file. Save it with all of its weights in the one file."
    )


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_networks_of_every_opset_get_the_same_outputs(
    tmp_path: Path, landmarks_file: Path, opset: int
) -> None:
    model = onnx.load(landmarks_file)
    model.opset_import[0].version = opset
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 16, 3), np.uint8)
    normalisation = Normalisation("rgb", (0, 0, 0), (255, 255, 255))
    found, wanted = (
        GraphRunner(assemble(open_original(p).network, LAYOUTS["simcc"], normalisation)).run(pictures)
        for p in (path, landmarks_file)
    )
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5)


def test_a_network_of_an_old_opset_is_refused(tmp_path: Path, landmarks_file: Path) -> None:
    model = onnx.load(landmarks_file)
    model.opset_import[0].version = 11
    path = tmp_path / "old.onnx"
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"has opset 11\. Export it with opset 13 or later"):
        open_original(path)


def test_a_graph_that_cannot_be_computed_is_one_sentence(landmarks_file: Path) -> None:
    with pytest.raises(InputError, match="ONNX Runtime cannot compute the graph"):
        GraphRunner(b"no graph")
    runner = GraphRunner(landmarks_file.read_bytes())
    with pytest.raises(InputError, match="ONNX Runtime cannot compute the graph"):
        runner.feed({"x": np.zeros((1, 3, 5, 5), np.float32)})


@pytest.mark.parametrize("content", [b"", b"no network at all", b"\x00" * 100, bytes(range(256))])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is no MediaPipe task, TFLite network, .* or ONNX file"):
        open_original(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no network .*none\.task"):
        open_original(tmp_path / "none.task")


def test_a_task_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hands.task"
    with zipfile.ZipFile(path, "w") as task:
        task.writestr("hand_detector.tflite", b"")
    with pytest.raises(
        InputError, match=r"is no MediaPipe pose task: it holds no pose_landmarks_detector\.tflite"
    ):
        open_original(path)


def test_a_task_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.task"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as task:
        task.writestr("pose_landmarks_detector.tflite", bytes(2**20))
    monkeypatch.setattr(originals, "MAX_BYTES", 2**19)
    assert path.stat().st_size < 2**19
    with pytest.raises(InputError, match="its network has more than"):
        open_original(path)


def test_a_task_that_breaks_off_is_one_sentence(tmp_path: Path, shared: Path) -> None:
    content = (shared / "models" / "pose_landmarker_lite.task").read_bytes()
    path = tmp_path / "half.task"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged"):
        open_original(path)


@pytest.mark.parametrize("name", ["lite", "full"])
def test_mediapipes_networks_equal_litert(shared: Path, name: str) -> None:
    pytest.importorskip("ai_edge_litert")
    original = open_original(shared / "models" / f"pose_landmarker_{name}.task")
    network = original.network
    picture = np.random.default_rng(1).random((1, 256, 256, 3), np.float32)
    session = onnxruntime.InferenceSession(network.model.SerializeToString())
    found = session.run(list(network.outputs), {network.picture.name: picture.transpose(0, 3, 1, 2)})
    wanted = original.run(picture)
    assert list(wanted) == [f"output.Identity{n}" for n in ("", "_1", "_2", "_3", "_4")]
    for value, reference in zip(found[:2], list(wanted.values())[:2], strict=True):  # landmarks and presence
        np.testing.assert_allclose(value, reference, atol=0.02)  # of 256 pixels
