from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from daflow.core.data.skeleton import COCO_JOINTS
from daflow.core.errors import InputError
from runtime.config.schema import CameraOptions
from runtime.poses.people import MediaPipePoses, PeopleFinder, open_people
from runtime.sources.frames import Frame
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock

pytest.importorskip("mediapipe")

NOSE, SHOULDER, HIP = (COCO_JOINTS.index(name) for name in ("nose", "left_shoulder", "left_hip"))


def test_the_person_of_a_video_is_found_and_keeps_the_id(pose_model: Path, squats: Path) -> None:
    clock = StageClock()
    with (
        open_source(str(squats)) as source,
        PeopleFinder(MediaPipePoses(pose_model), source.fps) as finder,
    ):
        found = [finder.find(frame, clock) for frame in islice(source, 30)]
        width, height = 720, 1280
    assert {person for people in found for person in people} == {0}
    skeletons = np.stack([people[0] for people in found if people])
    assert len(skeletons) >= 28
    x, y, confidence = np.moveaxis(skeletons, 2, 0)
    assert (y[:, NOSE] < y[:, SHOULDER]).all()
    assert (y[:, SHOULDER] < y[:, HIP]).all()
    inside = (x > 0) & (x < width) & (y > 0) & (y < height)
    assert inside[:, : HIP + 1].mean() > 0.95
    assert (y[:, HIP] - y[:, NOSE] > 200).all()  # pixels
    assert confidence[:, :HIP].mean() > 0.5
    assert len(clock.seconds["pose"]) == len(clock.seconds["track"]) == 30


def test_nobody_is_found_in_an_empty_picture(pose_model: Path) -> None:
    black = np.zeros((120, 160, 3), dtype=np.uint8)
    with PeopleFinder(MediaPipePoses(pose_model), 25) as finder:
        found = finder.find(Frame(0, 0.0, (160, 120), black), StageClock())
    assert found == {}


def test_times_that_do_not_grow_are_no_error(pose_model: Path) -> None:
    black = np.zeros((120, 160, 3), dtype=np.uint8)
    with PeopleFinder(MediaPipePoses(pose_model), 25) as finder:
        for index, time in enumerate((0.5, 0.5, 0.5001, 0.2)):
            assert finder.find(Frame(index, time, (160, 120), black), StageClock()) == {}


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no pose model .*missing\.task; 'daflow models fetch'"):
        MediaPipePoses(tmp_path / "missing.task")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 not really a zip"])
def test_a_wrong_model_file_is_refused(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "wrong.task"
    model.write_bytes(content)
    with pytest.raises(InputError, match=r"wrong\.task is not a pose model that mediapipe can load") as error:
        MediaPipePoses(model)
    assert "\n" not in error.value.message


def test_people_that_the_source_knows_need_no_model() -> None:
    people = {4: np.ones((17, 3), dtype=np.float32)}
    with PeopleFinder(None, 25) as finder:
        assert finder.find(Frame(0, 0.0, (160, 120), people=people), StageClock()) is people


def test_pictures_without_a_model_are_an_error() -> None:
    black = np.zeros((120, 160, 3), dtype=np.uint8)
    with PeopleFinder(None, 25) as finder, pytest.raises(InputError, match="no pose model was given"):
        finder.find(Frame(0, 0.0, (160, 120), black), StageClock())


@pytest.mark.parametrize("people", ["one", "few"])
def test_a_camera_that_comes_back_with_another_size_goes_on(
    pose_model: Path, squats: Path, people: Literal["one", "few"]
) -> None:
    cv2 = pytest.importorskip("cv2")
    options = CameraOptions(people=people, max_people=2, pose_model=pose_model)
    heights = []
    with open_source(str(squats)) as source, open_people(options, source.fps, needs_poses=True) as finder:
        (first,) = islice(source, 1)
        small = cv2.resize(first.image, (360, 640))
        for index in range(20):
            picture = {} if index < 10 else {"size": (360, 640), "image": small}
            frame = replace(first, index=index, time=index / 25, **picture)
            found = finder.find(frame, StageClock())
            heights += [float(np.ptp(k[:, 1]) / frame.size[1]) for k in found.values()]
    assert len(heights) >= 16
    assert heights[-1] == pytest.approx(heights[0], rel=0.05)


@pytest.mark.parametrize(("people", "expected"), [("one", 1), ("few", 2)])
def test_few_finds_two_where_one_finds_one(
    pose_model: Path, squats: Path, people: Literal["one", "few"], expected: int
) -> None:
    options = CameraOptions(people=people, max_people=2, pose_model=pose_model)
    with open_source(str(squats)) as source, open_people(options, source.fps, needs_poses=True) as finder:
        for frame in islice(source, 8):
            assert frame.image is not None
            two = np.concatenate([frame.image, frame.image[:, ::-1]], axis=1)
            found = finder.find(replace(frame, size=(1440, 1280), image=two), StageClock())
    assert len(found) == expected
    assert len({bool(k[:, 0].mean() > 720) for k in found.values()}) == expected


@pytest.mark.parametrize("people", ["one", "few"])
def test_a_model_that_is_missing_is_named_in_every_mode(
    tmp_path: Path, people: Literal["one", "few"]
) -> None:
    options = CameraOptions(people=people, pose_model=tmp_path / "missing.task")
    with pytest.raises(InputError, match=r"There is no pose model .*missing\.task"):
        open_people(options, 25, needs_poses=True)


def test_mediapipe_says_what_finds_many(pose_model: Path) -> None:
    with pytest.raises(InputError, match=r"MediaPipe finds one person.*daflow-export pose.*--pose-bundle"):
        open_people(
            CameraOptions(people="many", estimator="mediapipe", pose_model=pose_model), 25, needs_poses=True
        )
