"""Where track files are found, and what is said of recordings of other pose estimators."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import daflow
from daflow.core.data.tracks import Clip, Track, find_tracks, read_clip, write_clips
from daflow.core.errors import InputError


def save(folder: Path, *names: str, size: tuple[int, int] = (640, 480)) -> None:
    keypoints = np.full((3, 17, 3), 99, dtype=np.float32)
    track = Track(1, np.arange(3), keypoints, np.ones(3, dtype=np.float32))
    write_clips(folder, [Clip(name, (track,), size) for name in names])


def names(*paths: Path) -> list[str]:
    return [file.clip for file in find_tracks(paths)]


def test_folders_of_folders_are_read_as_record_writes_them(tmp_path: Path) -> None:
    save(tmp_path / "202611", "hall_2", size=(320, 240))
    save(tmp_path / "202612" / "deeper", "hall_1", "hall_3")
    save(tmp_path / ".hidden", "hall_4")
    found = daflow.read_tracks(tmp_path)
    assert [clip.name for clip in found] == ["hall_1", "hall_2", "hall_3"]
    assert [clip.frame_size for clip in found] == [(640, 480), (320, 240), (640, 480)], (
        "of the table beside each"
    )


def test_several_places_are_read_as_one(tmp_path: Path) -> None:
    save(tmp_path / "a", "1", "3")
    save(tmp_path / "b", "2")
    (file,) = (tmp_path / "b").glob("*person.json")
    assert [clip.name for clip in daflow.read_tracks([tmp_path / "a", str(tmp_path / "b")])] == [
        "1",
        "2",
        "3",
    ]
    assert names(tmp_path / "a", file) == ["1", "2", "3"]
    assert names(tmp_path, tmp_path / "a", tmp_path / "b" / ".." / "b") == ["1", "2", "3"], "each file once"


def test_one_clip_in_two_places_is_an_error_that_names_both(tmp_path: Path) -> None:
    save(tmp_path / "a", "1")
    save(tmp_path / "b", "1")
    with pytest.raises(InputError, match="Two files are of a clip 1") as error:
        daflow.read_tracks([tmp_path / "a", tmp_path / "b"])
    for folder in ("a", "b"):
        assert str(tmp_path / folder / "1_alphapose_tracked_person.json") in error.value.message


def test_a_place_without_tracks_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a", "1")
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"/b holds no pose tracks"):
        names(tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match="There is no folder"):
        names(tmp_path / "a", tmp_path / "c")


def test_a_link_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    save(tmp_path / "a", "1")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    save(tmp_path.parent / f"{tmp_path.name}-elsewhere", "2")
    (tmp_path / "month").symlink_to(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    assert names(tmp_path) == ["1", "2"]


POSE = [1.0, 2.0, 0.5] * 17
OTHERS = {
    "alphapose-results.json": ([{"image_id": "0.jpg", "category_id": 1, "keypoints": POSE}], "COCO results"),
    "clip_000000000000_keypoints.json": ({"version": 1.3, "people": [{"pose_keypoints_2d": [0] * 75}]}, "OpenPose"),
    "S001C001P001R001A001.skeleton": ("103\n1\n", "NTU"),
    "person_keypoints.jsons.json": ({"annotations": [{"keypoints": POSE}], "images": []}, "COCO annotations"),
    "mmpose.json": ({"meta_info": {}, "instance_info": [{"frame_id": 1, "instances": []}]}, "MMPose"),
    "frame_0001.txt": ("0 0.5 0.5 0.1 0.1", "YOLO"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_recording_of_another_estimator_gets_the_words_how_to_convert_it(tmp_path: Path, name: str) -> None:
    content, words = OTHERS[name]
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError) as error:
        names(tmp_path)
    for word in (words, f"daflow convert {tmp_path} -o", "docs/file-formats.md"):
        assert word in error.value.message
    if not isinstance(content, str):
        path = tmp_path / "01_0001_alphapose_tracked_person.json"
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=words):
            read_clip(path)


@pytest.mark.parametrize(
    ("values", "words"), [(34, "17 joints without confidence"), (99, "MediaPipe"), (48, "MPII")]
)
def test_another_number_of_joints_gets_its_name(tmp_path: Path, values: int, words: str) -> None:
    path = tmp_path / "01_0001_alphapose_tracked_person.json"
    path.write_text(json.dumps({"1": {"0": {"keypoints": [1.0] * values}}}))
    with pytest.raises(InputError, match=words):
        read_clip(path)
