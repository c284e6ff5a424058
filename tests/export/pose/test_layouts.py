"""Each layout turns the outputs of its networks into pixels and scores, on numbers that are computed by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from daflow.core.errors import InputError
from export.pose.assembly import Network, head_alone
from export.pose.layouts import LAYOUTS
from export.pose.nodes import PREFIX
from export.pose.verification import GraphRunner, Results


def decode(layout: str, width: int, height: int, outputs: dict[str, np.ndarray]) -> Results:
    empty = onnx.helper.make_model(
        onnx.helper.make_graph([], "g", [], []),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    shapes = {name: (1, *value.shape[1:]) for name, value in outputs.items()}
    model = head_alone(Network(empty, width, height, True, shapes), LAYOUTS[layout])
    return GraphRunner(model).feed({PREFIX + n: v.astype(np.float32) for n, v in outputs.items()})


@pytest.mark.parametrize(
    ("layout", "shapes", "results"),
    [
        ("blazepose", [(195,), (1,)], [(39, 4), ()]),
        ("simcc", [(17, 96), (17, 128)], [(17, 4), ()]),
        ("heatmaps", [(17, 16, 12)], [(17, 4), ()]),
        ("movenet", [(1, 17, 3)], [(17, 4), ()]),
        ("nanodet", [(48, 80), (48, 44), (12, 80), (12, 44), (4, 80), (4, 44)], [(64,), (64, 4)]),
        ("yolo", [(84, 100)], [(100,), (100, 4)]),
        ("yolo-pose", [(56, 100)], [(100,), (100, 4), (100, 17, 3)]),
    ],
)
@pytest.mark.parametrize("count", [1, 3])  # of none ONNX Runtime is never asked: the oldest ends the process
def test_any_number_of_pictures_gives_as_many_results(
    layout: str, shapes: list[tuple[int, ...]], results: list[tuple[int, ...]], count: int
) -> None:
    outputs = {f"o{number}": np.zeros((count, *shape), np.float32) for number, shape in enumerate(shapes)}
    empty = onnx.helper.make_model(
        onnx.helper.make_graph([], "g", [], []),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    network = Network(empty, 48, 64, True, {name: (1, *value.shape[1:]) for name, value in outputs.items()})
    session = onnxruntime.InferenceSession(head_alone(network, LAYOUTS[layout]).SerializeToString())
    found = session.run(None, {PREFIX + name: value for name, value in outputs.items()})
    assert [value.shape for value in found] == [(count, *shape) for shape in results]


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_blazepose_gives_pixels_and_probabilities() -> None:
    values = np.zeros((2, 39, 5))
    values[1, 4] = (100.5, 200.25, -3, logit(0.9), logit(0.2))
    found = decode("blazepose", 256, 256, {"ld": values.reshape(2, -1), "flag": np.array([[0.25], [0.75]])})
    assert found["keypoints"].shape == (2, 39, 4)
    np.testing.assert_allclose(found["keypoints"][1, 4], (100.5, 200.25, 0.9, 0.2), rtol=1e-5)
    np.testing.assert_allclose(found["keypoints"][0, 0], (0, 0, 0.5, 0.5))
    np.testing.assert_allclose(found["presence"], (0.25, 0.75))


def test_simcc_takes_the_largest_place_of_each_axis_and_the_lower_maximum() -> None:
    x, y = np.zeros((1, 17, 384)), np.zeros((1, 17, 512))
    x[0, 3, 101], y[0, 3, 400] = 0.8, 0.6
    x[0, 4, 383], y[0, 4, 0] = 7.0, 3.0
    found = decode("simcc", 192, 256, {"b_is_y": y, "a_is_x": x})
    np.testing.assert_allclose(found["keypoints"][0, 3], (50.5, 200, 0.6, 0.6), rtol=1e-6)
    np.testing.assert_allclose(found["keypoints"][0, 4], (191.5, 0, 1, 1))
    np.testing.assert_allclose(found["presence"], (1.6 / 17,), rtol=1e-6)


def test_heatmaps_move_a_quarter_towards_the_larger_neighbour_but_not_at_the_edge() -> None:
    maps = np.zeros((2, 17, 64, 48))
    maps[1, 0, 20, 10], maps[1, 0, 20, 11], maps[1, 0, 19, 10] = 0.9, 0.5, 0.4
    maps[1, 1, 0, 47], maps[1, 1, 1, 47], maps[1, 1, 0, 46] = 0.7, 0.3, 0.3
    found = decode("heatmaps", 192, 256, {"maps": maps})
    np.testing.assert_allclose(found["keypoints"][1, 0], (41, 79, 0.9, 0.9), rtol=1e-6)
    np.testing.assert_allclose(found["keypoints"][1, 1], (188, 0, 0.7, 0.7), rtol=1e-6)
    np.testing.assert_allclose(found["presence"], (0, 1.6 / 17), rtol=1e-6)


def test_movenet_has_y_before_x_as_parts_of_the_picture() -> None:
    points = np.zeros((1, 1, 17, 3))
    points[0, 0, 5] = (0.25, 0.5, 0.75)
    found = decode("movenet", 192, 256, {"out": points})
    np.testing.assert_allclose(found["keypoints"][0, 5], (96, 64, 0.75, 0.75))
    np.testing.assert_allclose(found["presence"], (0.75 / 17,), rtol=1e-6)


def test_nanodet_expects_the_distance_from_the_middle_of_a_cell() -> None:
    outputs = {}
    for stride in (8, 16, 32):
        cells = (64 // stride) * (96 // stride)
        outputs[f"s{stride}"] = np.zeros((1, cells, 80))
        outputs[f"d{stride}"] = np.zeros((1, cells, 4 * 8))
    cell = 2 * 6 + 3  # stride 16, second row from 0, third column
    outputs["s16"][0, cell, :2] = (0.6, 0.9)  # the second class is no person
    distances = np.full((4, 8), -1e4)
    for side, places in enumerate(((1,), (2,), (0, 1), (7,))):
        distances[side, list(places)] = 0
    outputs["d16"][0, cell] = distances.reshape(-1)
    found = decode("nanodet", 96, 64, outputs)
    index = 96 + cell  # behind the cells of stride 8
    assert found["scores"].shape == (1, 96 + 24 + 6)
    assert found["scores"][0, index] == pytest.approx(0.6)
    centre_x, centre_y = 3.5 * 16, 2.5 * 16
    np.testing.assert_allclose(
        found["boxes"][0, index], (centre_x - 16, centre_y - 32, centre_x + 8, centre_y + 7 * 16), rtol=1e-6
    )
    assert found["scores"].sum() == pytest.approx(0.6)


def test_yolo_has_centres_and_sizes_and_a_person_is_its_first_class() -> None:
    output = np.zeros((1, 4 + 3, 10))
    output[0, :, 6] = (50, 40, 20, 10, 0.5, 0.9, 0.1)
    found = decode("yolo", 96, 64, {"output0": output})
    assert found["scores"][0, 6] == 0.5
    np.testing.assert_allclose(found["boxes"][0, 6], (40, 35, 60, 45))


def test_yolo_pose_also_gives_joints() -> None:
    output = np.zeros((1, 56, 60))
    output[0, :5, 59] = (50, 40, 20, 10, 0.5)
    output[0, 5 + 3 * 16 :, 59] = (11, 12, 0.25)
    found = decode("yolo-pose", 96, 64, {"output0": output})
    assert found["keypoints"].shape == (1, 60, 17, 3)
    np.testing.assert_allclose(found["keypoints"][0, 59, 16], (11, 12, 0.25))
    np.testing.assert_allclose(found["boxes"][0, 59], (40, 35, 60, 45))


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_outputs_of_another_kind_of_network_are_named(layout: str) -> None:
    with pytest.raises(InputError, match=r"has the outputs odd \[batch, 5\], and not"):
        decode(layout, 64, 64, {"odd": np.zeros((1, 5))})


def test_simcc_of_another_size_of_picture_is_refused() -> None:
    with pytest.raises(InputError, match="for x and for y"):
        decode("simcc", 192, 256, {"x": np.zeros((1, 17, 384)), "y": np.zeros((1, 17, 500))})
