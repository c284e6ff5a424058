"""The people in pictures are cut out with a margin, whole and upright, and places without people go with them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from daflow.core.errors import InputError
from export.pose.people_pictures import _spread, distinct, fit, people_crops, read_frames


def test_frames_are_spread_evenly_over_recordings(tmp_path: Path) -> None:
    for folder, count in (("a", 20), ("b", 3)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            cv2.imwrite(str(tmp_path / folder / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    frames = read_frames([tmp_path / "a", tmp_path / "b"], 10)
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 4, 8, 12, 16, 0, 1, 2]


@pytest.mark.parametrize("length", [1, 9, 10, 19, 20, 999, 1000])
def test_frames_of_a_recording_of_any_length_are_far_apart_alike(length: int) -> None:
    places = [int(image[0]) for image in _spread((np.array([n]) for n in range(length)), 10)]
    assert len(places) == min(length, 10)
    steps = np.diff(places)
    assert places[0] == 0
    assert all(steps > 0)
    assert max(steps, default=1) <= 2 * min(steps, default=1)
    assert length - places[-1] <= max(steps, default=1)


def test_a_long_recording_is_never_held_whole() -> None:
    held: list[weakref.ref[np.ndarray]] = []
    most = 0

    def images() -> Iterator[np.ndarray]:
        nonlocal most
        for number in range(1000):
            image = np.array([number])
            held.append(weakref.ref(image))
            most = max(most, sum(each() is not None for each in held))
            yield image

    _spread(images(), 10)
    assert most <= 2 * 10 + 2  # and the one that comes, and the one before it


def test_frames_are_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.full((8, 8, 3), (10, 20, 30), np.uint8))  # blue, green, red
    assert read_frames([tmp_path], 1)[0][0, 0].tolist() == [30, 20, 10]


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder of pictures or video .*none\.mp4"):
        read_frames([tmp_path / "none.mp4"], 1)


def test_a_picture_keeps_its_proportions() -> None:
    fitted, scale = fit(np.full((100, 200, 3), 7, np.uint8), 64, 64)
    assert (scale, fitted.shape) == (0.32, (64, 64, 3))
    assert (fitted[:32] == 7).all()
    assert (fitted[32:] == 0).all()


def test_the_best_box_of_each_person_stays() -> None:
    scores = np.array([0.5, 0.9, 0.3, 0.6], np.float32)
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [20, 0, 30, 10]], np.float32)
    np.testing.assert_array_equal(distinct(scores, boxes), boxes[[1, 3]])


def test_a_crop_holds_the_person_in_its_middle() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[60:140, 100:140] = 255
    box = np.array([[100, 60, 140, 140]], np.float32)
    crops = people_crops([frame], lambda _: (np.array([0.9], np.float32), box), 48, 64)
    person, *empty = crops
    rows, columns = np.nonzero(person[..., 0] > 128)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(32, abs=1)
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(24, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(64 / 1.25, abs=2)
    assert np.ptp(columns) + 1 == pytest.approx(64 / 1.25 / 2, abs=2)  # not stretched
    assert all(not crop.any() for crop in empty)


def test_pictures_without_people_are_refused() -> None:
    nobody = np.array([0.1], np.float32), np.zeros((1, 4), np.float32)
    with pytest.raises(InputError, match="The detector finds nobody"):
        people_crops([np.zeros((64, 64, 3), np.uint8)], lambda _: nobody, 48, 64)
