from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from daflow.errors import InputError
from daflow.skeleton import COCO_JOINTS
from runtime.clock import StageClock
from runtime.frames import Frame
from runtime.people import MediaPipePoses, PeopleFinder
from runtime.sources.uri import open_source

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
