"""`daflow convert`: NTU's skeletons, MMPose's files of one picture, and pose tracks as Parquet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.skeleton import COCO_JOINTS
from daflow.core.data.tracks import find_tracks, read_clips
from daflow.formats.layouts import LAYOUTS

from .convert_files import converted, keypoints, person, refused, results, run, save

# NTU


def skeleton(frames: list[list[str]], joints: int = 25, state: float = 2) -> str:
    """A .skeleton file with the ids of the bodies of each frame; a joint is at 100 + joint, 200 + frame."""
    lines = [str(len(frames))]
    for frame, bodies in enumerate(frames):
        lines.append(str(len(bodies)))
        for body in bodies:
            lines += [f"{body} 0 1 1 0 1 0 -0.1 0.2 2", str(joints)]
            lines += [
                f"0.1 0.2 3.1 250.5 180.25 {100 + joint} {200 + frame} -0.1 0.2 0.9 0.1 {state:g}"
                for joint in range(joints)
            ]
    return "\n".join(lines) + "\n"


FIRST, SECOND = "72057594037931101", "72057594037931102"


@pytest.mark.parametrize("ending", ["skeleton", "skeleton.gz"])
def test_ntu_skeletons(tmp_path: Path, ending: str) -> None:
    source = save(tmp_path / f"S001C001P001R001A050.{ending}", skeleton([[FIRST], [], [SECOND, FIRST]]))
    result = run(source, "-o", tmp_path / "out")
    assert "NTU skeletons, NTU RGB+D joints, 3 poses of 2 people, numbers of the file" in result.output
    (clip,) = read_clips(tmp_path / "out")
    assert (clip.name, clip.frame_size, clip.rate) == (
        "S001C001P001R001A050",
        (1920, 1080),
        FrameRate.constant(30),
    )
    assert [(track.person, track.frames.tolist()) for track in clip.tracks] == [(0, [0, 2]), (1, [2])]
    assert clip.tracks[0].keypoints[1, COCO_JOINTS.index("right_wrist")].tolist() == [110, 202, 1]
    assert not clip.tracks[0].keypoints[:, COCO_JOINTS.index("left_eye")].any()


def test_ntu_joints_that_were_not_tracked(tmp_path: Path) -> None:
    text = skeleton([[FIRST]]).replace(" 104 200 -0.1 0.2 0.9 0.1 2", " 104 200 -0.1 0.2 0.9 0.1 1")
    text = text.replace(" 108 200 -0.1 0.2 0.9 0.1 2", " NaN -Infinity -0.1 0.2 0.9 0.1 0")
    clip = converted(tmp_path / "out", save(tmp_path / "a.skeleton", text))["a"]
    assert clip.tracks[0].keypoints[0, COCO_JOINTS.index("left_shoulder")].tolist() == [104, 200, 0.5]
    assert clip.tracks[0].keypoints[0, COCO_JOINTS.index("right_shoulder")].tolist() == [0, 0, 0]


WRONG = {
    "cut off": (skeleton([[FIRST]] * 2).rpartition("\n0.1")[0], "ends before its last frame"),
    "20 joints": (skeleton([[FIRST]], joints=20), "line 4 says 20 joints, and NTU's skeletons have 25"),
    "seven bodies": (skeleton([[FIRST] * 7]), "line 2: 7 is not the number of bodies"),
    "a huge number of frames": ("9" * 4000, "is not the number of frames"),
    "text": ("hello", "line 1: hello is not the number of frames"),
    "a coordinate that is text": (skeleton([[FIRST]]).replace(" 101 200 ", " x 200 "), "line 6 holds what is not"),
    "a state": (skeleton([[FIRST]], state=3), "line 5: the state of a joint is 3"),
    "a short line": ("1\n1\n5\n25\n1 2 3\n", "line 5 has 3 numbers, and 12 are needed"),
    "binary": (b"\xff\xfe\x00", "no .skeleton file"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_skeleton_file_is_told_with_its_line(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = tmp_path / "a.skeleton"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert words in refused(tmp_path / "out", path)


def test_ntu_takes_no_other_layout(tmp_path: Path) -> None:
    source = save(tmp_path / "a.skeleton", skeleton([[FIRST]]))
    assert "no other --layout" in refused(tmp_path / "out", source, "--layout", "body25")
    assert "not of the form that --from csv" in refused(tmp_path / "out", source, "--from", "csv")
    assert set(converted(tmp_path / "out", source, "--layout", "ntu", "--from", "ntu")) == {"a"}


# MMPose, a file a picture


def instance(frame: int, at: float = 100.0, joints: int = 17, **fields: Any) -> dict[str, Any]:
    rows = np.reshape(person(joints, frame=frame, at=at), (joints, 3))
    return {
        "keypoints": rows[:, :2].tolist(), "keypoint_scores": rows[:, 2].tolist(), "bbox": [[1.0, 2.0, 3.0, 4.0]],
        "bbox_score": 0.75, **fields,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["list", "instance_info"])
@pytest.mark.parametrize("joints", [17, 133])
def test_pictures_of_mmpose_are_one_clip(tmp_path: Path, form: str, joints: int) -> None:
    for frame in range(4):
        people = [instance(frame, joints=joints, track_id=4)] if frame != 2 else []
        content = {"meta_info": {}, "instance_info": people} if form == "instance_info" and people else people
        save(tmp_path / "hall" / f"{frame:06d}.json", content)
    result = run(tmp_path / "hall", "-o", tmp_path / "out", "--frame-size", "1280x720")
    assert (
        f"hall: MMPose pictures, {LAYOUTS['coco' if joints == 17 else 'wholebody'].title} joints"
        in result.output
    )
    assert "3 poses of 1 person" in result.output
    (clip,) = read_clips(tmp_path / "out")
    assert (clip.tracks[0].person, clip.tracks[0].frames.tolist()) == (4, [0, 1, 3])
    assert keypoints(clip, row=2) == pytest.approx(person(joints, frame=3)[:51], abs=1e-3)


def test_a_prefix_names_the_clip_of_pictures_and_from_reads_them_too(tmp_path: Path) -> None:
    for frame in (7, 8):
        save(tmp_path / "in" / f"door_{frame}.json", [instance(frame, track_id=1)])
    for more in ((), ("--from", "mmpose")):
        clip = converted(tmp_path / f"out{len(more)}", tmp_path / "in", *more)["door"]
        assert clip.tracks[0].frames.tolist() == [7, 8]


def test_lists_of_results_are_no_pictures(tmp_path: Path) -> None:
    entries = [{"keypoints": entry.pop("keypoints"), **entry, "idx": 1} for entry in results(3)[::2]]
    source = save(tmp_path / "cam_1.json", entries)
    assert "cam_1: AlphaPose results" in run(source, "-o", tmp_path / "out").output


def test_empty_lists_alone_do_not_say_what_they_are(tmp_path: Path) -> None:
    for frame in range(2):
        save(tmp_path / "in" / f"{frame}.json", [])
    assert "nothing says its form: give --from" in refused(tmp_path / "out", tmp_path / "in")


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    save(tmp_path / "hall" / "1.json", [instance(1, track_id=1)])
    save(tmp_path / "hall" / "2.json", [{**instance(2), "keypoint_scores": [1]}])
    error = refused(tmp_path / "out", tmp_path / "hall")
    assert str(tmp_path / "hall" / "2.json") in error
    assert "keypoint_scores must be one number for each joint" in error


# Parquet


def test_parquet_out_and_in_again(tmp_path: Path) -> None:
    source = save(tmp_path / "hall.json", results(6, idx=3)[::2])
    words = ("--fps", 12.5, "--frame-size", "640x480")
    before = converted(tmp_path / "json", source, *words)["hall"]
    after = converted(tmp_path / "parquet", source, *words, "--to", "parquet")["hall"]
    assert [path.name for path in (tmp_path / "parquet").iterdir()] == ["hall.tracks.parquet"]
    assert (
        (after.frame_size, after.rate)
        == (before.frame_size, before.rate)
        == ((640, 480), FrameRate.constant(12.5))
    )
    assert np.allclose(after.tracks[0].keypoints, before.tracks[0].keypoints, atol=6e-4)
    for form in ("tracks", "parquet", "alphapose", "coco"):
        result = run(tmp_path / "parquet", "-o", tmp_path / f"to-{form}", "--to", form)
        assert (
            "hall: pose tracks in Parquet, COCO joints, 6 poses of 1 person, numbers of the file"
            in result.output
        )
    (again,) = find_tracks(tmp_path / "to-tracks")
    assert (again.frame_size, again.rate) == ((640, 480), FrameRate.constant(12.5))


def test_tracks_become_parquet_in_their_own_folder_only_if_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "tracks"
    converted(folder, save(tmp_path / "hall.json", results(2, idx=3)[::2]), "--fps", 10)
    result = run(folder, "-o", folder, "--to", "parquet")
    assert result.exit_code == 2
    assert "hall_alphapose_tracked_person.json is there already: replace it with --overwrite" in result.output
    assert find_tracks(folder)[0].path.suffix == ".json"
    clip = converted(folder, folder, "--to", "parquet", "--overwrite")["hall"]
    assert (clip.poses, clip.rate) == (2, FrameRate.constant(10))
    assert find_tracks(folder)[0].path.name == "hall.tracks.parquet"


def test_without_pyarrow_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "hall.json", results(2, idx=3)[::2])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refused(tmp_path / "out", source, "--to", "parquet")
