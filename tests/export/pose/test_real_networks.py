"""The networks that the documentation names see the people in real pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from export.pose.assembly import Normalisation, assemble, takes_any_size
from export.pose.layouts import LAYOUTS
from export.pose.originals import open_original
from export.pose.people_pictures import distinct, fit, people_crops
from export.pose.verification import GraphRunner
from runtime.poses.boxes import matches

Image = npt.NDArray[np.uint8]


class Detector:
    def __init__(self, path: Path) -> None:
        layout = LAYOUTS["nanodet"]
        model = assemble(
            open_original(path).network, layout, Normalisation(layout.channels, layout.mean, layout.std)
        )
        self.model, self.runner = model, GraphRunner(model)

    def __call__(self, image: Image) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        fitted, scale = fit(image, 416, 416)
        found = self.runner.run(fitted[None])
        return found["scores"][0], found["boxes"][0] / scale


@pytest.fixture(scope="module")
def detector(shared: Path) -> Detector:
    return Detector(shared / "models" / "nanodet.json")


@pytest.fixture(scope="module")
def street(shared: Path) -> Image:
    video = cv2.VideoCapture(str(shared / "data" / "video" / "opencv_vtest.avi"))
    for _ in range(60):
        video.grab()
    return np.asarray(video.read()[1][..., ::-1], np.uint8)


WALKERS = [(632, 286), (484, 247), (517, 244), (410, 225), (390, 219), (373, 205)]
"""The middles of six people in frame 60 of the video, by eye."""


def test_nanodet_finds_the_people_in_a_street(detector: Detector, street: Image) -> None:
    scores, boxes = detector(street)
    found = distinct(scores, boxes)
    centres = (found[:, :2] + found[:, 2:]) / 2
    for person in WALKERS:
        assert np.abs(centres - person).max(axis=1).min() < 12, person
    assert len(found) <= 8
    heights = found[:, 3] - found[:, 1]
    assert 50 < np.median(heights) < 110


def test_nanodet_finds_them_in_a_picture_of_another_shape_as_in_a_square(
    detector: Detector, street: Image
) -> None:
    assert takes_any_size(detector.model)
    scores, boxes = detector(street)
    fitted, scale = fit(street, 416, 320)  # the picture is 768 x 576, so 8 rows of 320 are black
    found = detector.runner.run(fitted[None])
    assert found["boxes"].shape == (1, 52 * 40 + 26 * 20 + 13 * 10, 4)
    square, strip = distinct(scores, boxes), distinct(found["scores"][0], found["boxes"][0] / scale)
    assert len(matches(square, strip, 0.8)) >= min(len(square), len(strip)) - 1
    assert abs(len(square) - len(strip)) <= 1


def test_nanodet_finds_small_people_in_the_parts_of_a_picture(detector: Detector, shared: Path) -> None:
    picture = cv2.imread(str(shared / "data" / "ped2" / "testing" / "04" / "100.jpg"))[..., ::-1]
    large = cv2.resize(picture, None, fx=2, fy=2)
    height, width = large.shape[0] // 2, large.shape[1] // 2
    count = 0
    for top in (0, height):
        for left in (0, width):
            scores, boxes = detector(np.ascontiguousarray(large[top : top + height, left : left + width]))
            count += len(distinct(scores, boxes))
    assert 9 <= count <= 13  # eleven of twelve are whole in one of the parts


@pytest.mark.parametrize("name", ["lite", "full"])
def test_blazepose_sees_people_upright_and_no_people_in_grass(
    detector: Detector, street: Image, shared: Path, name: str
) -> None:
    layout = LAYOUTS["blazepose"]
    network = open_original(shared / "models" / f"pose_landmarker_{name}.task").network
    runner = GraphRunner(assemble(network, layout, Normalisation(layout.channels, layout.mean, layout.std)))
    crops = people_crops([street], detector, 256, 256)
    found = runner.run(np.concatenate([crops, street[None, 320:576, 200:456]]))
    people = found["keypoints"][found["presence"] > 0.9]
    assert len(people) >= 3
    nose, hips, ankles = people[:, 0, 1], people[:, 23:25, 1].mean(axis=1), people[:, 27:29, 1].mean(axis=1)
    assert (nose < hips).all()
    assert (hips < ankles).all()
    assert ((ankles - nose) > 100).all()
    assert found["presence"][-1] < 0.5
