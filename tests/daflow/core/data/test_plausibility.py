"""What is implausible about poses: the order of joints, fractions, turned pictures, wrong frame sizes, bad persons."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.data.plausibility import clip_facts, clip_warnings, require_pixels
from daflow.core.data.skeleton import COCO_JOINTS, coco_to_openpose
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip, Track, read_clip, read_clips, write_clips
from daflow.core.errors import InputError

Points = npt.NDArray[np.float32]

HUMAN36M = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine", "neck", "nose",
    "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
INF_3DHP = (
    "head", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "nose",
)  # fmt: skip
OPENPOSE_17 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear",
)  # fmt: skip
MPII_17 = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "neck", "head",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "nose",
)  # fmt: skip


@pytest.fixture(scope="module")
def clip() -> Clip:
    """People who walk, in COCO's order."""
    return generate_clip("walk", 3, Scene(frames=200))[0]


def changed(clip: Clip, points: object = None, order: tuple[str, ...] = ()) -> Clip:
    """Return the clip with other coordinates or in another order."""
    tracks = []
    for track in clip.tracks:
        keypoints = track.keypoints.copy()
        if callable(points):
            keypoints[..., :2] = points(keypoints[..., :2])
        if order:
            keypoints = np.stack([part(keypoints, name) for name in order], axis=1)
        tracks.append(replace(track, keypoints=keypoints))
    return replace(clip, tracks=tuple(tracks))


def part(keypoints: Points, name: str) -> Points:
    """Return a joint that COCO may not have, `(N, 3)`."""

    def mean(*names: str) -> Points:
        return np.asarray(keypoints[:, [COCO_JOINTS.index(n) for n in names]].mean(axis=1))

    shoulders, hips = mean("left_shoulder", "right_shoulder"), mean("left_hip", "right_hip")
    others = {
        "neck": shoulders, "pelvis": hips, "spine": (shoulders + hips) / 2,
        "head": mean("left_eye", "right_eye") + (mean("nose") - shoulders) / 3,
    }  # fmt: skip
    return others[name] if name in others else mean(name)


def warnings_of(*clips: Clip) -> list[str]:
    return clip_warnings([clip_facts(clip) for clip in clips])


def test_poses_as_they_should_be_are_plausible(clip: Clip) -> None:
    assert warnings_of(clip) == []
    assert warnings_of(changed(clip, order=("nose", *COCO_JOINTS[1:]))) == []
    openpose = [replace(track, keypoints=coco_to_openpose(track.keypoints)) for track in clip.tracks]
    assert warnings_of(replace(clip, tracks=tuple(openpose))) == []
    assert warnings_of(Clip("empty", (), (640, 480))) == []


@pytest.mark.parametrize("turn", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(
    ("name", "order"),
    {
        "Human3.6M": HUMAN36M, "MPI-INF-3DHP": INF_3DHP, "OpenPose-18": OPENPOSE_17, "MPII": MPII_17,
    }.items(),
)  # fmt: skip
def test_another_order_of_17_joints_is_seen_also_of_people_who_lie(
    clip: Clip, name: str, order: tuple[str, ...], turn: float
) -> None:
    turned = changed(
        clip, lambda xy: xy @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    )
    found = " ".join(warnings_of(changed(turned, order=order), replace(turned, name="right")))
    assert "joints of 1 of 2 clips seem to be in another order" in found
    assert "that of COCO is expected" in found
    assert "times as long" in found
    if name == "Human3.6M":
        assert name in found


@pytest.mark.parametrize("order", [(*COCO_JOINTS, "neck"), (*HUMAN36M, "nose")])
def test_another_order_of_18_joints_is_seen(clip: Clip, order: tuple[str, ...]) -> None:
    (found,) = [text for text in warnings_of(changed(clip, order=order)) if "order" in text]
    assert "that of OpenPose-18 is expected" in found
    assert ("COCO" if order[0] == "nose" else "Human3.6M") in found


def test_real_recordings_by_two_estimators_give_no_false_warning(shared: Path) -> None:
    pack = dict(np.load(shared / "data/shop/normal.npz"))
    poses = np.concatenate([pack["xy16"] / 16, pack["conf255"][..., None] / 255], axis=2).astype(np.float32)
    shop = []
    for index in range(0, len(pack["clips"]), 5):
        rows = np.flatnonzero(pack["clip"] == index)
        track = Track(1, np.arange(len(rows)), poses[rows], np.ones(len(rows), np.float32))
        shop.append(Clip(str(index), (track,), (1920, 1080)))
    (missing,) = warnings_of(*shop)
    assert "were not seen (0, 0" in missing, "which is true of this pack"
    test = shared / "data/aihub/pose/test"
    assert warnings_of(*(read_clip(path) for path in sorted(test.glob("*1*.json"))[:4])) == []


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (lambda xy: [0, 720] - xy * [-1, 1], "the hips are above the shoulders"),
        (lambda xy: xy[..., ::-1], "the trunk is horizontal, and people mostly stand, walk or sit: x and y"),
        (lambda xy: xy * 2.5, "99 % reach"),
        (lambda xy: xy - 2000, "outside the frame"),
        (lambda xy: np.where(np.arange(17)[:, None] == 9, 0, xy), "5.9 % of them"),
    ],
)  # fmt: skip
def test_other_meanings_are_told_with_numbers(clip: Clip, points: object, words: str) -> None:
    assert words in " ".join(warnings_of(changed(clip, points)))


def test_somebody_who_lies_in_one_clip_is_no_turned_picture(clip: Clip) -> None:
    lying = changed(clip, lambda xy: xy[..., ::-1] * [1.5, 0.5])
    assert not any("trunk" in text for text in warnings_of(lying, clip))


@pytest.mark.parametrize("scale", [[1 / 1280, 1 / 720], [2 / 1280, -1 / 720]])
def test_fractions_of_the_frame_are_refused_with_the_words_how_to_convert(
    clip: Clip, scale: list[float], tmp_path: Path
) -> None:
    fractions = changed(clip, lambda xy: xy * scale)
    with pytest.raises(InputError, match=r"fractions of the frame.*Multiply each x by the width"):
        require_pixels(fractions)
    write_clips(tmp_path, [fractions])
    (path,) = tmp_path.glob("*person.json")
    with pytest.raises(InputError, match=f"{path.name} reach"):
        read_clip(path)
    write_clips(tmp_path, [replace(clip, name="other")])
    assert [found.name for found in read_clips(tmp_path)] == ["other"], "the good clip stays"


def test_one_bad_person_costs_one_person(
    clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clips(tmp_path, [clip])
    (path,) = tmp_path.glob("*person.json")
    content = json.loads(path.read_text())
    bad = {"77": {"0": {"keypoints": [1.0] * 75}}, "x": {}, "78": {"0": {"keypoints": None}}}
    path.write_text(json.dumps({**bad, **content}))
    with caplog.at_level(logging.WARNING):
        (found,) = read_clips(tmp_path)
    assert {track.person for track in found.tracks} == {int(person) for person in content}
    assert f"3 of {len(content) + 3} persons are skipped" in caplog.text
    assert "OpenPose's BODY_25" in caplog.text
    path.write_text(json.dumps(bad))
    with pytest.raises(InputError, match="person 77, frame 0: 75 keypoint values"):
        read_clips(tmp_path)


def test_a_kind_is_told_once_however_many_clips_there_are(
    clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = changed(clip, lambda xy: xy * 3)
    write_clips(tmp_path, [replace(wide, name=f"c{index}") for index in range(3)])
    with caplog.at_level(logging.WARNING):
        read_clips(tmp_path)
    (record,) = caplog.records
    assert "the joints of 3 of 3 clips are outside the frame" in record.message
