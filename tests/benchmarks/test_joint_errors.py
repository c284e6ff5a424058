"""Joints against those of a stronger estimator, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.joint_errors import compare_joints, watch_person
from runtime.poses.people import PeopleFinder
from runtime.sources.frames import Frame, Keypoints
from runtime.stage_clock import StageClock


def person(height: float, shift: float = 0.0) -> Keypoints:
    points = np.linspace((shift, 0), (30 + shift, height), 17)
    return np.column_stack([points, np.ones(17)]).astype(np.float32)


def test_errors_are_shares_of_the_height_of_the_reference() -> None:
    reference = [person(100), person(100), None, person(200)]
    found = [person(100, shift=1), person(100, shift=5), person(100), None]
    errors = compare_joints(found, reference)
    np.testing.assert_allclose(errors.frames, [0.01, 0.05, np.inf], rtol=1e-5)
    assert errors.near == pytest.approx(1 / 3)
    assert errors.median == pytest.approx(0.05)


class Scripted(PeopleFinder):
    """Finds what it is told to, frame by frame."""

    def __init__(self, *frames: Mapping[int, Keypoints]) -> None:
        super().__init__(None, 25)
        self._frames: Iterator[Mapping[int, Keypoints]] = iter(frames)

    def find(self, frame: Frame, clock: StageClock) -> Mapping[int, Keypoints]:
        return next(self._frames)


def test_the_largest_person_of_each_frame_is_taken(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    small, large = person(50), person(80)
    found = watch_person(tmp_path, Scripted({1: small, 2: large}, {}, {3: small}))
    assert found[1] is None
    np.testing.assert_array_equal([found[0], found[2]], [large, small])
