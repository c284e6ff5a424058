"""Graphs are compared with the published network on people: joints in percent of the body, boxes one by one."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.errors import InputError
from daflow.core.pose_bundle import PoseComparison, PoseLimits
from export.pose.int8 import tightened
from export.pose.layouts import LAYOUTS
from export.pose.verification import (
    LIMITS,
    Results,
    check_pose_limits,
    compare_detectors,
    compare_landmarks,
    mean_difference,
    parse_pose_limits,
)


def landmarks(crops: int = 4) -> Results:
    """People who are 200 pixels tall; the last crop shows nobody."""
    points = np.zeros((crops, 39, 4), np.float32)
    points[:, :33, 1] = np.linspace(20, 220, 33)
    points[:, 33:, 1] = 1000  # what places the next crop is no part of the body
    points[..., 2] = 0.75
    presence = np.full(crops, 0.9, np.float32)
    presence[-1] = 0.1
    return {"keypoints": points, "presence": presence}


def moved(results: Results, **pixels: float) -> Results:
    found = {name: value.copy() for name, value in results.items()}
    found["keypoints"][..., 0] += pixels.get("x", 0)
    found["keypoints"][..., 1] += pixels.get("y", 0)
    return found


def test_errors_are_in_percent_of_the_bodys_height() -> None:
    compared = compare_landmarks(landmarks(), moved(landmarks(), x=3, y=4), 33)
    assert (compared.pictures, compared.people, compared.agreement) == (4, 3, 1.0)
    assert compared.median_error == pytest.approx(100 * 5 / 200)
    assert compared.p99_error == pytest.approx(100 * 5 / 200)
    assert compared.visibility_error == 0


def test_crops_without_a_person_count_for_presence_alone() -> None:
    found = landmarks()
    found["keypoints"][-1] += 50
    assert compare_landmarks(landmarks(), found, 33).p99_error == 0
    found["presence"][-1] = 0.6
    assert compare_landmarks(landmarks(), found, 33).agreement == 0.75


def boxes(*rows: tuple[float, float, float, float, float]) -> Results:
    values = np.array(rows, np.float32)
    return {"scores": values[None, :, 0], "boxes": values[None, :, 1:]}


def test_boxes_of_the_same_person_are_compared_and_counted_once() -> None:
    expected = boxes((0.9, 0, 0, 100, 100), (0.8, 5, 0, 105, 100), (0.7, 200, 0, 300, 100), (0.1, 0, 0, 9, 9))
    same = compare_detectors(expected, expected)
    assert (same.people, same.agreement, same.overlap, same.score_error) == (2, 1, 1, 0)
    found = boxes(
        (0.8, 0, 0, 100, 80), (0.2, 5, 0, 105, 100), (0.3, 200, 0, 300, 100), (0.5, 400, 0, 500, 90)
    )
    compared = compare_detectors(expected, found)
    assert compared.agreement == pytest.approx(2 * 1 / (2 + 2))  # one was lost, and one was invented
    assert compared.overlap == pytest.approx(0.8)
    assert compared.score_error == pytest.approx((0.1 + 0.6 + 0.4) / 3)


def with_joints(found: Results, x: float = 0) -> Results:
    """Add joints to boxes, each body from the top of its box to the bottom."""
    boxes = found["boxes"]
    points = np.zeros((*boxes.shape[:2], 17, 3), np.float32)
    points[..., 0] = boxes[..., :1] + x
    points[..., 1] = np.linspace(boxes[..., 1], boxes[..., 3], 17, axis=-1)
    points[..., 2] = 0.5
    return {**found, "keypoints": points}


def test_joints_of_a_detector_are_compared_where_people_are() -> None:
    found = boxes((0.9, 0, 0, 50, 100), (0.1, 0, 0, 9, 9))
    expected = with_joints(found)
    moved_joints = with_joints(found, x=3)
    moved_joints["keypoints"][0, 1] += 1000  # where nobody is
    moved_joints["keypoints"][0, 0, :, 2] += 0.25
    compared = compare_detectors(expected, moved_joints)
    assert (compared.agreement, compared.overlap) == (1, 1)
    assert compared.median_error == pytest.approx(3)
    assert compared.p99_error == pytest.approx(3)
    assert compared.visibility_error == pytest.approx(0.25)
    missed = check_pose_limits(compared, LIMITS["detector"]["fp16"]).missed
    assert [words.split()[0] for words in missed] == ["median_error", "visibility_error"]
    assert mean_difference(expected, moved_joints, LAYOUTS["yolo-pose"]) == pytest.approx(3)
    assert compare_detectors(found, found).median_error is None


def test_outputs_that_are_no_numbers_miss_every_limit() -> None:
    found = landmarks()
    found["keypoints"][0, 0, 0] = np.nan
    verdict = check_pose_limits(compare_landmarks(landmarks(), found, 33), PoseLimits())
    assert verdict.missed == ("1 outputs are NaN or infinite",)
    expected = boxes((0.9, 0, 0, 100, 100))
    infinite = boxes((0.9, 0, 0, 100, np.inf))
    assert check_pose_limits(compare_detectors(expected, infinite), PoseLimits()).missed
    assert mean_difference(expected, infinite, LAYOUTS["yolo"]) == float("inf")


def test_a_limit_is_missed_on_its_own_side() -> None:
    compared = PoseComparison(pictures=1, people=1, median_error=2, agreement=0.9)
    assert not check_pose_limits(compared, PoseLimits(median_error=2, agreement=0.9, overlap=1)).missed
    assert check_pose_limits(compared, PoseLimits(median_error=1.9, agreement=0.91)).missed == (
        "median_error is 2, at most 1.9 is allowed",
        "agreement is 0.9000, at least 0.91 is required",
    )


def test_a_limit_of_a_network_and_a_precision_can_be_set() -> None:
    limits = parse_pose_limits({"landmarks.int8.median_error": 3})
    assert limits["landmarks"]["int8"].median_error == 3
    assert limits["landmarks"]["fp16"] == LIMITS["landmarks"]["fp16"]


@pytest.mark.parametrize(
    "name",
    ["overlap", "fp16.overlap", "landmarks.fp16.overlap", "detector.fp8.overlap", "detector.fp16", "a.b.c"],
)
def test_a_limit_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not a limit"):
        parse_pose_limits({name: 1})


def test_operations_are_ordered_by_how_far_people_move() -> None:
    layout = LAYOUTS["blazepose"]
    near, far = (mean_difference(landmarks(), moved(landmarks(), x=x), layout) for x in (1.0, 5.0))
    assert (near, far) == (pytest.approx(0.5), pytest.approx(2.5))
    expected = boxes((0.9, 0, 0, 100, 100), (0.1, 0, 0, 10, 10))
    found = boxes((0.8, 0, 0, 100, 104), (0.1, 0, 0, 99, 10))
    assert mean_difference(expected, found, LAYOUTS["yolo"]) == pytest.approx(10 + 1, rel=1e-5)


def test_tighter_limits_allow_less() -> None:
    limits = tightened(PoseLimits(median_error=3, agreement=0.9), 3)
    assert limits.median_error == 1
    assert limits.agreement == pytest.approx(1 - 0.1 / 3)
    assert limits.overlap is None
