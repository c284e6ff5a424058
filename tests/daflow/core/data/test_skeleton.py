from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.skeleton import (
    COCO_JOINTS,
    OPENPOSE_BONES,
    OPENPOSE_JOINTS,
    OPENPOSE_MIRROR,
    FloatArray,
    blazepose_to_coco,
    coco_to_openpose,
    to_openpose,
)
from daflow.core.errors import InputError

# The landmarks of MediaPipe's pose landmarker, as its documentation lists them.
BLAZEPOSE_JOINTS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip


def numbered(joints: int) -> FloatArray:
    """A pose whose joint `j` lies at `(j, 100 + j)`, so that it is known again wherever it goes."""
    index = np.arange(joints, dtype=np.float32)
    return np.stack([index, 100 + index], axis=1)


def test_the_openpose_order_is_the_published_one() -> None:
    published = (
        "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle"
    )
    spelled = [*published.split(), "REye", "LEye", "REar", "LEar"]
    sides = {"R": "right_", "L": "left_"}
    assert list(OPENPOSE_JOINTS) == [
        sides[name[0]] + name[1:].lower() if name[1].isupper() else name.lower() for name in spelled
    ]


def test_every_joint_of_coco_goes_to_the_joint_of_its_name() -> None:
    pose = numbered(17)
    converted = dict(zip(OPENPOSE_JOINTS, coco_to_openpose(pose), strict=True))
    del converted["neck"]
    assert set(converted) == set(COCO_JOINTS)
    for name, point in converted.items():
        assert np.array_equal(point, pose[COCO_JOINTS.index(name)]), name


def test_the_neck_is_midway_between_the_shoulders(rng: np.random.Generator) -> None:
    pose = rng.uniform(0, 1000, (17, 2))
    shoulders = [pose[COCO_JOINTS.index(f"{side}_shoulder")] for side in ("left", "right")]
    assert np.allclose(
        coco_to_openpose(pose)[OPENPOSE_JOINTS.index("neck")], (shoulders[0] + shoulders[1]) / 2
    )


def test_every_joint_of_coco_comes_from_the_blazepose_landmark_of_its_name() -> None:
    pose = numbered(33)
    for name, point in zip(COCO_JOINTS, blazepose_to_coco(pose), strict=True):
        assert np.array_equal(point, pose[BLAZEPOSE_JOINTS.index(name)]), name


def test_the_layout_follows_from_the_number_of_joints() -> None:
    coco, blazepose, openpose = numbered(17), numbered(33), numbered(18)
    assert np.array_equal(to_openpose(coco), coco_to_openpose(coco))
    assert np.array_equal(to_openpose(blazepose), coco_to_openpose(blazepose_to_coco(blazepose)))
    assert to_openpose(openpose) is openpose


@pytest.mark.parametrize("joints", [17, 18, 33])
def test_leading_axes_and_the_type_are_kept(joints: int, rng: np.random.Generator) -> None:
    batch = rng.normal(size=(2, 5, joints, 3)).astype(np.float32)
    converted = to_openpose(batch)
    assert converted.shape == (2, 5, 18, 3)
    assert converted.dtype == np.float32
    assert np.array_equal(converted[1, 3], to_openpose(batch[1, 3]))


@pytest.mark.parametrize("joints", [0, 16, 19, 25])
def test_another_number_of_joints_is_refused(joints: int) -> None:
    with pytest.raises(InputError, match=f"{joints} joints"):
        to_openpose(numbered(joints))


def test_infinite_shoulders_give_a_neck_without_a_warning() -> None:
    pose = numbered(17)
    pose[5], pose[6] = np.inf, -np.inf
    assert not np.isfinite(coco_to_openpose(pose)[1]).any()


def test_the_mirror_swaps_left_and_right_and_undoes_itself() -> None:
    for joint, other in enumerate(OPENPOSE_MIRROR):
        name, opposite = OPENPOSE_JOINTS[joint], OPENPOSE_JOINTS[other]
        swapped = {"left": "right", "right": "left"}
        side, _, part = name.partition("_")
        assert opposite == (f"{swapped[side]}_{part}" if part else name)
        assert OPENPOSE_MIRROR[other] == joint


def test_the_bones_are_one_tree_that_looks_the_same_from_both_sides() -> None:
    bones = {frozenset(bone) for bone in OPENPOSE_BONES}
    assert len(bones) == len(OPENPOSE_JOINTS) - 1
    reached = {0}
    for _ in OPENPOSE_JOINTS:
        reached |= {joint for bone in bones if bone & reached for joint in bone}
    assert reached == set(range(18))
    assert {frozenset(OPENPOSE_MIRROR[joint] for joint in bone) for bone in bones} == bones
