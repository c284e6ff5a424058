"""`daflow convert`: files as the tools write them become pose tracks, and what is wrong gets one sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.skeleton import COCO_JOINTS
from daflow.core.data.tracks import read_clips

from .convert_files import converted, keypoints, person, refused, results, run, save

# AlphaPose


def test_alphapose_results_keep_their_people(tmp_path: Path) -> None:
    entries = results()
    for number, entry in enumerate(entries):
        entry |= {"idx": [[1.0], 7][number % 2], "box": [1.0, 2.0, 3.0, 4.0]}
    source = save(tmp_path / "hall" / "alphapose-results.json", entries)
    result = run(source, "-o", tmp_path / "out", "--fps", 12.5, "--frame-size", "1280x720")
    assert result.exit_code == 0, result.output
    assert "hall: AlphaPose results, COCO joints, 10 poses of 2 people, numbers of the file" in result.output
    assert "1 clip converted" in result.output
    (clip,) = read_clips(tmp_path / "out")
    assert [track.person for track in clip.tracks] == [1, 7]
    assert clip.tracks[1].frames.tolist() == [0, 1, 2, 3, 4]
    assert keypoints(clip, 1, 3) == pytest.approx(person(frame=3, at=900), abs=1e-3)
    assert clip.tracks[0].scores.tolist() == pytest.approx([2.9] * 5)
    assert clip.frame_size == (1280, 720)
    assert clip.rate == FrameRate.constant(12.5)


@pytest.mark.parametrize("fields", [{}, {"idx": 0.0}, {"idx": [0.0]}, {"track_id": -1}, {"idx": None}])
def test_people_without_numbers_are_tracked(tmp_path: Path, fields: dict[str, Any]) -> None:
    pytest.importorskip("trackers")
    source = save(tmp_path / "hall.json", results(30, **fields))
    result = run(source, "-o", tmp_path / "out", "--frame-size", "1280x720")
    assert result.exit_code == 0, result.output
    assert (
        "2 people, tracked by ByteTrack at 25 frames per second, since the file has no numbers"
        in result.output
    )
    (clip,) = read_clips(tmp_path / "out")
    assert [len(track.frames) for track in clip.tracks] == [30, 30]
    for track in clip.tracks:
        assert np.ptp(track.keypoints[:, 0, 0] - 2 * track.frames) < 1


@pytest.mark.parametrize(("people", "pose"), [("people", "pose_keypoints_2d"), ("bodies", "joints")])
def test_alphapose_results_by_image(tmp_path: Path, people: str, pose: str) -> None:
    pytest.importorskip("trackers")
    content: dict[str, Any] = {
        f"{frame}.jpg": {"version": "AlphaPose v0.3", people: [{pose: person(18, frame)}]} for frame in (3, 4)
    }
    source = save(tmp_path / "hall.json", {**content, "5.jpg": {"version": "AlphaPose v0.3", people: []}})
    clip = converted(tmp_path / "out", source)["hall"]
    assert clip.tracks[0].frames.tolist() == [3, 4]
    assert keypoints(clip, row=1) == pytest.approx(person(18, 4), abs=1e-3)


def test_tracks_without_confidences_and_with_null_joints_are_read(tmp_path: Path) -> None:
    pose = [[x, y] for x, y in np.reshape(person(width=2), (17, 2)).tolist()]
    poses = {"0000": {"keypoints": [None, *pose[1:]], "scores": None}, "0001": {"keypoints": person(width=2)}}
    poses |= {"0002": {"keypoints": [None, None, *person(width=2)[2:]], "scores": 0.5}}
    source = save(
        tmp_path / "01_0001_alphapose_tracked_person.json", {"4": poses, "5": [{"0007": poses["0001"]}]}
    )
    clip = converted(tmp_path / "out", source)["01_0001"]
    assert [track.person for track in clip.tracks] == [4, 5]
    assert clip.tracks[0].keypoints[:, 0].tolist() == [
        [0, 0, 0],
        pytest.approx([*pose[0], 1]),
        [0, 0, 0],
    ]
    assert (clip.tracks[0].keypoints[:, 1:, 2] == 1).all()
    assert clip.tracks[1].frames.tolist() == [7]


def test_tables_beside_the_tracks_are_used(tmp_path: Path) -> None:
    save(tmp_path / "in/a_alphapose_tracked_person.json", {"1": {"0": {"keypoints": person(136)}}})
    save(tmp_path / "in/frame_sizes.json", {"a": [640, 360]})
    save(tmp_path / "in/frame_rates.json", {"a": 10})
    clip = converted(tmp_path / "out", tmp_path / "in")["a"]
    assert clip.frame_size == (640, 360)
    assert clip.rate == FrameRate.constant(10)
    assert keypoints(clip) == pytest.approx(person(136)[:51], abs=1e-3)


# OpenPose


def openpose_frame(*people: list[float], ids: tuple[int, ...] = ()) -> dict[str, Any]:
    empty: dict[str, Any] = {
        name: []
        for name in (
            "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d",
            "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
        )
    }  # fmt: skip
    entries = [
        {"person_id": [ids[place] if ids else -1], "pose_keypoints_2d": pose, **empty}
        for place, pose in enumerate(people)
    ]
    return {"version": 1.3, "people": entries}


def test_openpose_frames_are_clips_by_their_names(tmp_path: Path) -> None:
    pytest.importorskip("trackers")
    for frame in range(4):
        poses = [person(25, frame, at) for at in (100, 900)]
        save(tmp_path / f"json/video_{frame:012d}_keypoints.json", openpose_frame(*poses))
        save(
            tmp_path / f"json/other_{frame:012d}_keypoints.json.gz",
            openpose_frame(person(18, frame), ids=(3,)),
        )
    save(tmp_path / "json/video_000000000004_keypoints.json", openpose_frame())
    save(tmp_path / "json/video_000000000005_keypoints.json", openpose_frame([]))
    clips = converted(tmp_path / "out", tmp_path / "json")
    assert set(clips) == {"video", "other"}
    assert [track.person for track in clips["other"].tracks] == [3]
    assert keypoints(clips["other"], row=2) == pytest.approx(person(18, 2), abs=1e-3)
    assert [len(track.frames) for track in clips["video"].tracks] == [4, 4]
    body = np.reshape(person(25, 1), (25, 3))
    assert keypoints(clips["video"], row=1) == pytest.approx(
        np.delete(body, [8, *range(19, 25)], 0).ravel(), abs=1e-3
    )


def test_frames_that_say_nothing_but_a_number_have_the_name_of_their_folder(tmp_path: Path) -> None:
    save(tmp_path / "stairs/frame_0003.json", openpose_frame(person(25), ids=(1,)))
    assert converted(tmp_path / "out", tmp_path)["stairs"].tracks[0].frames.tolist() == [3]


# COCO


def coco(frames: int = 3, folder: str = "", flags: bool = False) -> dict[str, Any]:
    pose = [value if place % 3 < 2 else (place // 3) % 3 for place, value in enumerate(person())]
    return {
        "images": [
            {"id": 10 + frame, "file_name": f"{folder}{frame:06d}.jpg", "width": 640, "height": 480}
            for frame in range(frames)
        ],
        "annotations": [
            {
                "id": frame, "image_id": 10 + frame, "category_id": 1, "track_id": 2, "iscrowd": 0, "num_keypoints": 17,
                "bbox": [1, 2, 3, 4], "area": 12, "keypoints": pose if flags else person(frame=frame),
            }
            for frame in range(frames)
        ] + [{"id": 99, "image_id": 10, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_JOINTS), "skeleton": [[16, 14]]}],
    }  # fmt: skip


def test_coco_annotations(tmp_path: Path) -> None:
    clip = converted(tmp_path / "out", save(tmp_path / "hall.json", coco()))["hall"]
    assert clip.frame_size == (640, 480)
    assert [track.person for track in clip.tracks] == [2]
    assert clip.tracks[0].frames.tolist() == [0, 1, 2]
    assert keypoints(clip, row=2) == pytest.approx(person(frame=2), abs=1e-3)


def test_visibility_is_no_confidence(tmp_path: Path) -> None:
    clip = converted(tmp_path / "out", save(tmp_path / "hall.json", coco(flags=True)))["hall"]
    assert clip.tracks[0].keypoints[0, :6, 2].tolist() == [0, 1, 1, 0, 1, 1]


def test_folders_of_images_are_clips_and_lead_nowhere(tmp_path: Path) -> None:
    one, other = coco(2, "a/b/"), coco(3, "../../c/")
    for image in other["images"]:
        image["id"] += 50
    for entry in other["annotations"]:
        entry["image_id"] += 50
    both = {**one, **{name: one[name] + other[name] for name in ("images", "annotations")}}
    clips = converted(tmp_path / "out", save(tmp_path / "x.json", both))
    assert {name: clip.poses for name, clip in clips.items()} == {"a_b": 2, "c": 3}
    assert {path.name for path in tmp_path.iterdir()} == {"x.json", "out"}


def test_names_of_joints_go_before_their_number(tmp_path: Path) -> None:
    content = coco()
    content["categories"][0]["keypoints"].reverse()
    clip = converted(tmp_path / "out", save(tmp_path / "hall.json", content))["hall"]
    assert np.allclose(clip.tracks[0].keypoints[0, ::-1].ravel(), person(), atol=1e-3)


def test_detectron_results_have_numbers_of_images(tmp_path: Path) -> None:
    entries = [
        {
            "image_id": frame,
            "category_id": 1,
            "bbox": [1.0, 2, 3, 4],
            "score": 0.9,
            "keypoints": person(frame=frame),
        }
        for frame in (5, 6)
    ]
    pytest.importorskip("trackers")
    result = run(save(tmp_path / "coco_instances_results.json", entries), "-o", tmp_path / "out")
    assert "COCO results, COCO joints, 2 poses of 1 person, tracked" in result.output


@pytest.mark.parametrize("form", ["instance_info", "list"])
def test_mmpose(tmp_path: Path, form: str) -> None:
    rows = np.reshape(person(), (17, 3))
    instance = {
        "keypoints": rows[:, :2].tolist(), "keypoint_scores": rows[:, 2].tolist(), "bbox": [[1.0, 2.0, 3.0, 4.0]],
        "bbox_score": 0.75, "track_id": 4,
    }  # fmt: skip
    frames = [{"frame_id": 1, "instances": [instance]}, {"frame_id": 2, "instances": []}]
    names = {"keypoint_id2name": {str(place): name for place, name in enumerate(COCO_JOINTS)}}
    content = {"meta_info": names, "instance_info": frames} if form == "instance_info" else frames
    clip = converted(tmp_path / "out", save(tmp_path / "results_hall.json", content))["results_hall"]
    assert clip.tracks[0].person == 4
    assert clip.tracks[0].frames.tolist() == [1]
    assert keypoints(clip) == pytest.approx(person(), abs=1e-3)


# YOLO


def yolo_line(width: int = 3, tail: str = "", at: float = 100.0) -> str:
    points = np.reshape(person(at=at), (17, 3)) / (640, 480, 1)
    values = [0, 0.5, 0.5, 0.1, 0.4, *points[:, :width].ravel()]
    return " ".join(f"{value:.6g}" for value in values) + tail


@pytest.mark.parametrize(
    ("width", "tail", "person_number"),
    [(3, "", None), (2, "", None), (3, " 0.91", None), (3, " 6", 6), (3, " 0.91 6", 6), (2, " 6", 6)],
)
def test_yolo_lines(tmp_path: Path, width: int, tail: str, person_number: int | None) -> None:
    pytest.importorskip("trackers")
    for frame in (1, 2):
        save(tmp_path / f"labels/cam_{frame}.txt", yolo_line(width, tail) + "\n")
    save(tmp_path / "labels/cam_3.txt", "")
    assert "give --frame-size" in refused(tmp_path / "out", tmp_path / "labels")
    clip = converted(tmp_path / "out", tmp_path / "labels", "--frame-size", "640x480")["cam"]
    (track,) = clip.tracks
    assert track.frames.tolist() == [1, 2]
    assert person_number in (None, track.person)
    wanted = np.reshape(person(), (17, 3))
    wanted[:, 2] = wanted[:, 2] if width == 3 else 1
    assert np.allclose(track.keypoints[0], wanted, atol=2e-3)
    if tail.startswith(" 0.91"):
        assert track.scores.tolist() == pytest.approx([0.91] * 2)


def test_a_line_of_two_meanings_needs_the_layout(tmp_path: Path) -> None:
    save(tmp_path / "cam_1.txt", yolo_line(2, " 0.91 6"))
    words = (tmp_path / "cam_1.txt", "--frame-size", "640x480")
    assert "--layout coco or --layout openpose18" in refused(tmp_path / "out", *words)
    assert converted(tmp_path / "out", *words, "--layout", "coco")["cam"].tracks[0].person == 6


# MediaPipe


@pytest.mark.parametrize("form", ["lists", "objects", "people", "frames"])
def test_mediapipe(tmp_path: Path, form: str) -> None:
    pytest.importorskip("trackers")
    points = np.reshape(person(33), (33, 3)) / (640, 480, 1)
    marks: list[Any] = [{"x": x, "y": y, "z": -0.1, "visibility": v} for x, y, v in points.tolist()]
    if form == "lists":
        marks = [[x, y, -0.1, v] for x, y, v in points.tolist()]
    frames: list[Any] = [None, marks, []]
    if form == "people":
        frames = [{"frame": 1, "pose_landmarks": [marks]}, {"frame": 2, "pose_landmarks": []}]
    content = {"frames": frames} if form == "frames" else frames
    source = save(tmp_path / "hall.json", content)
    assert "give --frame-size" in refused(tmp_path / "out", source)
    clip = converted(tmp_path / "out", source, "--frame-size", "640x480")["hall"]
    assert clip.tracks[0].frames.tolist() == [1]
    taken = np.reshape(person(33), (33, 3))[[0, 2, 5, 7, 8, *range(11, 17), *range(23, 29)]]
    assert np.allclose(clip.tracks[0].keypoints[0], taken, atol=2e-3)


# CSV


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_long_table(tmp_path: Path, names: bool, delimiter: str) -> None:
    rows = np.reshape(person(), (17, 3)).tolist()
    lines = ["frame,person,joint,x,y,confidence"]
    joints: list[object] = [*COCO_JOINTS] if names else [*range(17)]
    for frame in (0, 1):
        lines += [f"{frame},3,{joint},{x},{y},{c}" for joint, (x, y, c) in zip(joints, rows, strict=True)]
    lines[1] = f"0,3,{'nose' if names else 0},,,"
    source = save(tmp_path / "hall.csv", "\n".join(lines).replace(",", delimiter))
    clip = converted(tmp_path / "out", source)["hall"]
    assert clip.tracks[0].person == 3
    assert clip.tracks[0].keypoints[0, 0].tolist() == [0, 0, 0]
    assert keypoints(clip, row=1) == pytest.approx(person(), abs=1e-3)


@pytest.mark.parametrize("names", [True, False])
def test_wide_table(tmp_path: Path, names: bool) -> None:
    columns = [f"{COCO_JOINTS[j]}_{axis}" if names else f"{axis}{j}" for j in range(17) for axis in "xyc"]
    lines = [",".join(["frame", "person", *columns]), ",".join(map(str, [7, 2, *person()]))]
    clip = converted(tmp_path / "out", save(tmp_path / "hall.csv.gz", "\r\n".join(lines)))["hall"]
    assert clip.tracks[0].frames.tolist() == [7]
    assert keypoints(clip) == pytest.approx(person(), abs=1e-3)


# NumPy


@pytest.mark.parametrize("packed", ["npy", "npz", "fortran"])
def test_arrays(tmp_path: Path, packed: str) -> None:
    pytest.importorskip("trackers")
    array = np.array(
        [[np.reshape(person(frame=frame, at=at), (17, 3)) for frame in range(4)] for at in (100, 900)]
    )
    array[1, 2] = np.nan
    array[1, 3] = 0
    path = tmp_path / f"hall.{'npz' if packed == 'npz' else 'npy'}"
    if packed == "npz":
        np.savez_compressed(path, keypoints=array, other=np.zeros(3))
    else:
        np.save(path, np.asfortranarray(array) if packed == "fortran" else array)
    assert "give --axes ntvc or tpvc" in refused(tmp_path / "out", path)
    clip = converted(tmp_path / "out", path, "--axes", "ntvc")["hall"]
    assert [(track.person, track.frames.tolist()) for track in clip.tracks] == [
        (0, [0, 1, 2, 3]),
        (1, [0, 1]),
    ]
    assert keypoints(clip, 1, 1) == pytest.approx(person(frame=1, at=900), abs=1e-3)
    np.save(tmp_path / "turned.npy", array.swapaxes(0, 1)[..., :2])
    turned = converted(tmp_path / "turned", tmp_path / "turned.npy", "--axes", "tpvc")["turned"]
    assert [len(track.frames) for track in turned.tracks] == [4, 2]
    np.save(tmp_path / "one.npy", array[0])
    assert converted(tmp_path / "one", tmp_path / "one.npy")["one"].poses == 4


# What decides


def test_files_of_one_person_are_one_clip(tmp_path: Path) -> None:
    for number in (7, 2):
        save(tmp_path / f"in/hall_person_{number}.json", results(3)[::2])
    clip = converted(tmp_path / "out", tmp_path / "in")["hall"]
    assert [track.person for track in clip.tracks] == [2, 7]
    save(tmp_path / "in/hall_person_7.json", results(3))
    assert "holds several people" in refused(tmp_path / "other", tmp_path / "in")


def test_25_joints_need_the_layout(tmp_path: Path) -> None:
    source = save(tmp_path / "hall.json", [{"image_id": "0.jpg", "keypoints": person(25), "idx": 1}])
    assert "--layout body25 or --layout ntu" in refused(tmp_path / "out", source)
    clip = converted(tmp_path / "out", source, "--layout", "ntu")["hall"]
    assert keypoints(clip)[15:18] == pytest.approx(person(25)[12:15], abs=1e-3)


def test_fractions_in_a_form_of_pixels_need_the_units(tmp_path: Path) -> None:
    pose = (np.reshape(person(), (17, 3)) / (640, 480, 1)).ravel().tolist()
    source = save(tmp_path / "hall.json", [{"image_id": "0.jpg", "keypoints": pose, "idx": 1}])
    assert "give --units fractions and --frame-size" in refused(tmp_path / "out", source)
    assert "give --frame-size" in refused(tmp_path / "out", source, "--units", "fractions")
    clip = converted(tmp_path / "out", source, "--units", "fractions", "--frame-size", "640x480")["hall"]
    assert keypoints(clip) == pytest.approx(person(), abs=1e-2)


def test_a_person_who_is_twice_in_a_frame_is_told(tmp_path: Path) -> None:
    pytest.importorskip("trackers")
    entries = results(3, idx=1)
    entries[0]["idx"] = 2
    source = save(tmp_path / "hall.json", entries)
    assert "person 1 has two poses in frame 1; --track numbers" in refused(tmp_path / "out", source)
    assert len(converted(tmp_path / "out", source, "--track")["hall"].tracks) == 2


def test_a_broken_file_is_told_and_the_others_are_converted(tmp_path: Path) -> None:
    save(tmp_path / "in/good.json", results(2)[::2])
    save(tmp_path / "in/bad.json", "[{")
    save(tmp_path / "in/odd.json", {"hello": 1})
    save(tmp_path / "in/readme.txt", "hello")
    result = run(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 clip converted, 3 failed" in result.output
    assert "bad.json is not valid JSON" in result.output
    assert "odd.json is of no known form: give --from" in result.output


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    source = save(tmp_path / "hall.json", results(2)[::2])
    converted(tmp_path / "out", source)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    result = run(source, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "is there already: replace it with --overwrite" in result.output
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    converted(tmp_path / "out", source, "--overwrite")


def test_two_recordings_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in "ab":
        save(tmp_path / folder / "hall.json", results(2)[::2])
    assert "Two recordings are of a clip hall" in refused(tmp_path / "out", tmp_path / "a", tmp_path / "b")
    assert "--clip names a single recording" in refused(
        tmp_path / "out", tmp_path / "a", tmp_path / "b", "--clip", "x"
    )
    assert set(converted(tmp_path / "out", tmp_path / "a", "--clip", "x")) == {"x"}
    for name in ("../x", ".x", ""):
        assert run(tmp_path / "a", "-o", tmp_path / "out", "--clip", name).exit_code == 2


@pytest.mark.parametrize("form", ["alphapose", "coco", "tracks"])
def test_what_is_written_is_read_again(tmp_path: Path, dataset: Path, form: str) -> None:
    written = run(dataset / "test", "-o", tmp_path / "form", "--to", form)
    assert written.exit_code == 0, written.output
    again = converted(tmp_path / "again", tmp_path / "form", "--frame-size", "1280x720")
    for clip in read_clips(dataset / "test"):
        for track, other in zip(clip.tracks, again[clip.name].tracks, strict=True):
            assert track.person == other.person
            assert np.array_equal(track.frames, other.frames)
            assert np.allclose(track.points(), other.points(), atol=1e-3, equal_nan=True)


def test_the_output_in_the_folder_of_the_sources_is_no_source(tmp_path: Path) -> None:
    save(tmp_path / "in/hall.json", results(2)[::2])
    assert set(converted(tmp_path / "in/out", tmp_path / "in")) == {"hall"}
    assert set(converted(tmp_path / "in/out", tmp_path / "in", "--overwrite")) == {"hall"}
    again = run(tmp_path / "in/out", "-o", tmp_path / "in/out", "--overwrite")
    assert "hall: pose tracks" in again.output


def test_from_openpose_reads_frames_of_any_name(tmp_path: Path) -> None:
    for frame in (1, 2):
        content = {"canvas": [1] * 3000, **openpose_frame(person(25, frame), ids=(1,))}
        save(tmp_path / f"in/walk-{frame}.json", content)
    clip = converted(tmp_path / "out", tmp_path / "in", "--from", "openpose")["walk"]
    assert clip.tracks[0].frames.tolist() == [1, 2]


def test_names_that_do_not_say_all_need_the_layout(tmp_path: Path) -> None:
    content = coco()
    names = content["categories"][0]["keypoints"]
    content["categories"][0]["keypoints"] = [name.replace("ankle", "foot") for name in names]
    source = save(tmp_path / "hall.json", content)
    assert "which is the left_ankle: give --layout" in refused(tmp_path / "out", source)
    assert converted(tmp_path / "out", source, "--layout", "coco")["hall"].poses == 3


def test_another_order_of_17_joints_is_told(tmp_path: Path, dataset: Path) -> None:
    clip = read_clips(dataset / "train")[0]
    order = [
        (11, 12),
        (12,),
        (14,),
        (16,),
        (11,),
        (13,),
        (15,),
        (5, 6, 11, 12),
        (5, 6),
        (5, 6),
        (0,),
        (5,),
        (7,),
        (9,),
    ]
    order += [(6,), (8,), (10,)]  # Human3.6M's joints as means of COCO's
    array = np.full((len(clip.tracks), 700, 17, 3), np.nan)
    for place, track in enumerate(clip.tracks):
        array[place, track.frames] = np.stack(
            [track.keypoints[:, list(part)].mean(axis=1) for part in order], axis=1
        )
    np.save(tmp_path / "walk.npy", array)
    words = (tmp_path / "walk.npy", "--axes", "ntvc", "--frame-size", "1280x720")
    result = run(*words, "-o", tmp_path / "coco")
    assert "seem to be in another order, such as that of Human3.6M" in result.output
    result = run(*words, "-o", tmp_path / "h36m", "--layout", "h36m")
    assert "another order" not in result.output
    (found,) = read_clips(tmp_path / "h36m")
    for track, other in zip(clip.tracks, found.tracks, strict=True):
        assert np.allclose(track.keypoints[:, 5:], other.keypoints[:, 5:], atol=2e-3)


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hall.json")
    assert "is not a file" in refused(tmp_path / "out", tmp_path / "hall.json")


def test_the_output_is_no_file_and_the_form_must_fit(tmp_path: Path) -> None:
    source = save(tmp_path / "hall.json", results(2)[::2])
    assert run(source, "-o", source).exit_code == 2
    assert "--from yolo" in refused(tmp_path / "out", source, "--from", "yolo")
    assert "list of people is missing" in refused(tmp_path / "out", source, "--from", "openpose")
    assert "There is no recording" in refused(
        tmp_path / "out", (tmp_path / "none").mkdir() or tmp_path / "none"
    )
    assert (
        len(converted(tmp_path / "nobody", save(tmp_path / "x.json", []), "--from", "alphapose")["x"].tracks)
        == 0
    )
