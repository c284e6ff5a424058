"""Every layout: each joint arrives where the published order says it is."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.skeleton import COCO_JOINTS, OPENPOSE_JOINTS, blazepose_to_coco
from daflow.core.errors import InputError
from daflow.formats.layouts import LAYOUTS, joint_name, layout_by_names, layout_of

SIDES = ["shoulder", "elbow", "wrist"], ["hip", "knee", "ankle"]


def pairs(parts: list[str]) -> list[str]:
    return [f"{side}_{part}" for part in parts for side in ("left", "right")]


def limb(side: str, parts: list[str]) -> list[str]:
    return [f"{side}_{part}" for part in parts]


HALPE = [*COCO_JOINTS, "head", "neck", "hip", *(f"foot{place}" for place in range(6))]
PUBLISHED = {
    "coco": [*COCO_JOINTS],
    "h36m": [
        "root", *limb("right", SIDES[1]), *limb("left", SIDES[1]), "spine", "thorax", "neck", "top",
        *limb("left", SIDES[0]), *limb("right", SIDES[0]),
    ],
    "openpose18": [*OPENPOSE_JOINTS],
    "body25": [
        "nose", "neck", *limb("right", SIDES[0]), *limb("left", SIDES[0]), "mid_hip", *limb("right", SIDES[1]),
        *limb("left", SIDES[1]), "right_eye", "left_eye", "right_ear", "left_ear", *(f"toe{n}" for n in range(6)),
    ],
    "ntu": [
        "spine_base", "spine_mid", "kinect_neck", "nose", *limb("left", SIDES[0]), "left_hand",
        *limb("right", SIDES[0]), "right_hand",
        *limb("left", SIDES[1]), "left_foot", *limb("right", SIDES[1]), "right_foot", "spine_shoulder",
        "tip1", "thumb1", "tip2", "thumb2",
    ],
    "halpe26": HALPE,
    "halpe136": [*HALPE, *(f"more{n}" for n in range(110))],
    "wholebody": [*COCO_JOINTS, *(f"more{n}" for n in range(116))],
    "mpii": [
        *reversed(limb("right", SIDES[1])), *limb("left", SIDES[1]), "pelvis", "thorax", "neck", "top",
        *reversed(limb("right", SIDES[0])), *limb("left", SIDES[0]),
    ],
    "crowdpose": [*pairs(SIDES[0]), *pairs(SIDES[1]), "top", "neck"],
    "blazepose": [
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "mouth_left", "mouth_right", *pairs(SIDES[0]), *(f"hand{n}" for n in range(6)),
        *pairs(SIDES[1]), *(f"foot{n}" for n in range(4)),
    ],
}  # fmt: skip


def pose(joints: int) -> np.ndarray:
    rng = np.random.default_rng(joints)
    return np.concatenate(
        [rng.uniform(10, 900, (2, joints, 2)), rng.uniform(0.1, 1, (2, joints, 1))], 2
    ).astype("f4")


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_joint_comes_from_its_place(name: str) -> None:
    layout, published = LAYOUTS[name], PUBLISHED[name]
    assert len(published) == layout.joints
    source = pose(layout.joints)
    found = layout.convert(source)
    wanted = OPENPOSE_JOINTS if found.shape[1] == 18 else COCO_JOINTS
    for place, joint in enumerate(wanted):
        if joint in published:
            assert np.array_equal(found[:, place], source[:, published.index(joint)]), joint
        elif joint == "nose":
            neck, top = (source[:, published.index(end)] for end in ("neck", "top"))
            assert np.allclose(found[:, place, :2], (neck + top)[:, :2] / 2)
            assert np.array_equal(found[:, place, 2], np.minimum(neck[:, 2], top[:, 2]))
        else:
            assert not found[:, place].any(), joint


def test_a_nose_between_two_joints_needs_both() -> None:
    source = pose(16)
    source[0, 9] = 0
    found = LAYOUTS["mpii"].convert(source)
    assert not found[0, 0].any()
    assert found[1, 0].all()


def test_blazepose_is_the_selection_of_the_edge() -> None:
    source = pose(33)
    assert np.array_equal(LAYOUTS["blazepose"].convert(source), blazepose_to_coco(source))


def test_the_number_of_joints_tells_the_layout() -> None:
    found = {joints: layout_of(joints).name for joints in (14, 16, 17, 18, 26, 33, 133, 136)}
    assert found == {
        14: "crowdpose", 16: "mpii", 17: "coco", 18: "openpose18", 26: "halpe26", 33: "blazepose", 133: "wholebody",
        136: "halpe136",
    }  # fmt: skip
    with pytest.raises(InputError, match="--layout body25 or --layout ntu"):
        layout_of(25)
    with pytest.raises(InputError, match="has 15 joints"):
        layout_of(15)
    with pytest.raises(InputError, match="has 17 joints, and the layout mpii has 16"):
        LAYOUTS["mpii"].convert(pose(17))


def test_names_tell_the_layout() -> None:
    names = [f"{joint.split('_')[-1]}-{joint[0].upper()}" if "_" in joint else joint for joint in COCO_JOINTS]
    layout = layout_by_names(["pelvis", *reversed(names)])
    assert layout is not None
    assert layout.take == tuple(range(17, 0, -1))
    with_neck = layout_by_names([*COCO_JOINTS, "Neck"])
    assert with_neck is not None
    assert np.array_equal(with_neck.convert(pose(18)), pose(18)[:, :17])
    assert layout_by_names(["joint0", "joint1"]) is None
    for names in (COCO_JOINTS[:10], [name.replace("ankle", "foot") for name in COCO_JOINTS]):
        with pytest.raises(InputError, match="give --layout"):
            layout_by_names(names)
    assert joint_name("left_shoulder_blade") is None


def test_names_in_the_places_of_a_known_layout_are_that_layout() -> None:
    for name in LAYOUTS:
        if name != "h36m":  # which calls ankles feet
            layout = layout_by_names(PUBLISHED[name])
            assert layout is not None
            assert layout.name == name
