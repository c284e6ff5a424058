"""One network that finds boxes and joints at once: in numbers, and exported and run as a user would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from runtime.config.schema import CameraOptions
from runtime.poses.people import open_people
from runtime.poses.whole_pictures import WholePictures
from runtime.sources.frames import Frame
from runtime.stage_clock import StageClock

onnx = pytest.importorskip("onnx")
cv2 = pytest.importorskip("cv2")

WIDTH, HEIGHT = 64, 32  # of the network's input


class Fixed:
    """A network that always sees the same, and notes what it was shown."""

    name, row = "fake fp32", (HEIGHT, WIDTH, 3)

    def __init__(self, *people: tuple[float, float]) -> None:
        """Sees people at the middle of the picture, with a score and a place along x."""
        self.seen: list[np.ndarray[Any, Any]] = []
        self.scores = np.array([[score for score, _ in people]], np.float32)
        x = np.array([[x for _, x in people]], np.float32)
        self.boxes = np.stack([x - 4, x * 0 + 4, x + 4, x * 0 + 28], axis=2)
        self.keypoints = np.repeat(np.stack([x, x * 0 + 16, x * 0 + 0.5], axis=2)[:, :, None], 17, axis=2)

    def run(self, batch: np.ndarray[Any, Any]) -> Mapping[str, np.ndarray[Any, Any]]:
        self.seen.append(batch)
        return {"scores": self.scores, "boxes": self.boxes, "keypoints": self.keypoints}

    def close(self) -> None:
        pass


def look(network: Fixed, size: tuple[int, int], most: int = 9) -> np.ndarray[Any, Any]:
    picture = np.full((size[1], size[0], 3), 255, np.uint8)
    return WholePictures(network, most).estimate(Frame(0, 0.0, size, picture))


@pytest.mark.parametrize(
    ("size", "x", "y"),
    [
        ((64, 32), 16, 16),
        ((640, 320), 160, 160),
        ((64, 64), 0, 32),  # high: 32 pixels of the network are 64, and 32 more are black at each side
        ((64, 16), 16, 8),  # wide: black above and below
    ],
)
def test_joints_are_in_pixels_of_the_picture(size: tuple[int, int], x: float, y: float) -> None:
    network = Fixed((0.9, 16.0))
    found = look(network, size)
    assert found.shape == (1, 17, 3)
    np.testing.assert_allclose(found, np.broadcast_to([x, y, 0.5], found.shape), atol=1e-4)
    shown = network.seen[0][0, ..., 0] > 128
    part = min(size[0] / size[1] / (WIDTH / HEIGHT), WIDTH / HEIGHT / (size[0] / size[1]))
    assert shown.mean() == pytest.approx(part, abs=0.05)


def test_the_surest_stay_and_nobody_twice() -> None:
    network = Fixed((0.4, 10.0), (0.9, 30.0), (0.8, 30.5), (0.29, 50.0), (0.6, 50.0))
    assert look(network, (WIDTH, HEIGHT))[:, 0, 0].tolist() == [30, 50, 10]
    assert look(network, (WIDTH, HEIGHT), most=2)[:, 0, 0].tolist() == [30, 50]
    assert look(Fixed((0.1, 10.0)), (WIDTH, HEIGHT)).shape == (0, 17, 3)


def test_such_a_network_is_exported_and_finds_people_with_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export.cli import main

    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "models"))
    (bright := tmp_path / "pictures").mkdir()
    for number in range(4):
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[:32, 16 * number : 16 * number + 16] = 200
        cv2.imwrite(str(bright / f"{number}.png"), picture)
    words = [
        "pose", "--detector", yolo_pose(tmp_path / "yolo.onnx"), "--detector-layout", "yolo-pose", "--fp32",
        "--verify-on", bright, "--no-engine",
    ]  # fmt: skip
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    everybody = []
    with open_people(
        CameraOptions(), 25, needs_poses=True
    ) as finder:  # where the edge looks when nothing is named
        for index in range(6):
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[32:, 16:32] = picture[:32, 48:] = 255
            everybody.append(finder.find(Frame(index, index / 25, (64, 64), picture), StageClock()))
    assert [len(people) for people in everybody[-3:]] == [2, 2, 2]
    assert len({person for people in everybody for person in people}) == 2
    middles = sorted(tuple(k[:, :2].mean(axis=0).round().tolist()) for k in everybody[-1].values())
    assert middles == [(24, 48), (56, 16)]


def yolo_pose(path: Path) -> Path:
    """Write a network for pictures of 64 x 64: somebody of 16 x 32 in each cell of that size that is bright."""
    from tests.export.pose.conftest import save_onnx

    rows, columns = np.mgrid[:2, :4].reshape(2, -1).astype(np.float32)
    x, y = columns * 16 + 8, rows * 32 + 16
    boxes = np.stack([x, y, np.full(8, 16), np.full(8, 32)]).astype(np.float32)[None]
    across = np.linspace(-5, 5, 17, dtype=np.float32)[:, None]
    joints = (
        np.stack([x + across, y + 2 * across, np.ones((17, 8))], axis=1).reshape(1, 51, 8).astype(np.float32)
    )
    constants = {
        "grey": np.full((1, 3, 1, 1), 1 / 3, np.float32), "flat": np.array([0, 1, -1]), "boxes": boxes,
        "joints": joints, "none": np.array(0, np.float32),
    }  # fmt: skip
    nodes = [
        onnx.helper.make_node("Conv", ["x", "grey"], ["bright"], "grey"),
        onnx.helper.make_node(
            "AveragePool", ["bright"], ["cells"], "cells", kernel_shape=[32, 16], strides=[32, 16]
        ),
        onnx.helper.make_node("Reshape", ["cells", "flat"], ["scores"], "scores"),
        onnx.helper.make_node("Mul", ["scores", "none"], ["zeros"], "zeros"),
        onnx.helper.make_node("Add", ["zeros", "boxes"], ["places"], "places"),
        onnx.helper.make_node("Add", ["zeros", "joints"], ["bodies"], "bodies"),
        onnx.helper.make_node("Concat", ["places", "scores", "bodies"], ["found"], "all", axis=1),
    ]
    return save_onnx(path, nodes, constants, ["batch", 3, 64, 64], ["found"])
