"""Joint layouts of pose estimators, and how each becomes COCO-17 or OpenPose-18.

OpenPose's layouts become OpenPose-18 and keep the neck that OpenPose found. All others become COCO-17: the model takes
the mean of the shoulders for the neck of these, and the necks of other layouts are in other places.

Joints that a layout lacks (eyes and ears of MPII, CrowdPose, Human3.6M and NTU) are missing, 0, 0, 0. The nose is a
stated rule there: midway between the joint below the head and the top of the head, and NTU's head itself, which
is its middle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import COCO_JOINTS, OPENPOSE_JOINTS
from daflow.core.errors import InputError

Keypoints = npt.NDArray[np.float32]
"""Poses `(N, J, 3)`: x, y and confidence; a joint that was not seen is 0, 0, 0."""

_MISSING = -1
_NO_FACE = (_MISSING,) * 4  # eyes and ears


@dataclass(frozen=True)
class Layout:
    """An order of joints.

    Attributes:
        name: as `--layout` takes it.
        title: as people call it.
        joints: the number of joints of a pose.
        take: for each COCO-17 or OpenPose-18 joint the index of the source, -1 where the layout has none.
        head: two joints; the nose is midway between them, and missing unless both were seen. None: the nose is taken.
    """

    name: str
    title: str
    joints: int
    take: tuple[int, ...]
    head: tuple[int, int] | None = None

    def convert(self, keypoints: Keypoints) -> Keypoints:
        """Return poses `(N, J, 3)` of this layout as `(N, 17, 3)` COCO or `(N, 18, 3)` OpenPose joints.

        Raises:
            InputError: another number of joints.
        """
        if keypoints.shape[1] != self.joints:
            raise InputError(
                f"A pose has {keypoints.shape[1]} joints, and the layout {self.name} has {self.joints}. "
                "Give another --layout."
            )
        take = np.asarray(self.take)
        found = np.where((take < 0)[:, None], np.float32(0), keypoints[:, take])
        if self.head is not None:
            below, top = (keypoints[:, joint] for joint in self.head)
            both = np.asarray(np.stack([below, top])[..., :2].any(axis=2).all(axis=0))[:, None]
            middle = below / 2 + top / 2  # not the sum's half, which may be infinite
            middle[:, 2] = np.minimum(below[:, 2], top[:, 2])
            found[:, 0] = np.where(both, middle, np.float32(0))
        return np.asarray(found, dtype=np.float32)


_COCO = tuple(range(17))
LAYOUTS = {
    layout.name: layout
    for layout in (
        # cocodataset.org/#keypoints-eval: nose, left and right eye, ear, shoulder, elbow, wrist, hip, knee, ankle.
        Layout("coco", "COCO", 17, _COCO),
        # VideoPose3D (github.com/facebookresearch/VideoPose3D) and MMPose's h36m: 0 root, 1-3 right hip, knee, foot,
        # 4-6 left hip, knee, foot, 7 spine, 8 thorax, 9 neck base, 10 head, 11-13 left shoulder, elbow, wrist,
        # 14-16 right shoulder, elbow, wrist.
        Layout(
            "h36m",
            "Human3.6M",
            17,
            (_MISSING, *_NO_FACE, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3),
            head=(9, 10),
        ),
        # OpenPose's doc/02_output.md, POSE_COCO_BODY_PARTS: 0 nose, 1 neck, 2-4 right shoulder, elbow, wrist, 5-7 left,
        # 8-10 right hip, knee, ankle, 11-13 left, 14 right eye, 15 left eye, 16 right ear, 17 left ear.
        Layout("openpose18", "OpenPose COCO-18", 18, tuple(range(18))),
        # OpenPose's doc/02_output.md, POSE_BODY_25_BODY_PARTS: 0-7 as above, 8 middle of the hips, 9-11 right hip,
        # knee, ankle, 12-14 left, 15 right eye, 16 left eye, 17 right ear, 18 left ear, 19-24 toes and heels.
        Layout("body25", "OpenPose BODY_25", 25, (*range(8), *range(9, 19))),
        # Kinect v2's JointType, as in NTU RGB+D (arXiv 1604.02808): 0 base of the spine, 1 its middle, 2 neck, 3 head,
        # 4-7 left shoulder, elbow, wrist, hand, 8-11 right, 12-15 left hip, knee, ankle, foot, 16-19 right, 20 spine at
        # the shoulders, 21-24 tips of hands and thumbs.
        Layout("ntu", "NTU RGB+D", 25, (3, *_NO_FACE, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18)),
        # github.com/Fang-Haoshu/Halpe-FullBody: 0-16 as COCO, 17 head, 18 neck, 19 hip, 20-25 toes and heels; the full
        # one adds 26-93 face and 94-135 hands.
        Layout("halpe26", "Halpe", 26, _COCO),
        Layout("halpe136", "Halpe full body", 136, _COCO),
        # github.com/jin-s13/COCO-WholeBody: 0-16 as COCO, 17-22 feet, 23-90 face, 91-132 hands.
        Layout("wholebody", "COCO-WholeBody", 133, _COCO),
        # human-pose.mpi-inf.mpg.de: 0-2 right ankle, knee, hip, 3-5 left hip, knee, ankle, 6 pelvis, 7 thorax, 8 upper
        # neck, 9 top of the head, 10-12 right wrist, elbow, shoulder, 13-15 left shoulder, elbow, wrist.
        Layout(
            "mpii", "MPII", 16, (_MISSING, *_NO_FACE, 13, 12, 14, 11, 15, 10, 3, 2, 4, 1, 5, 0), head=(8, 9)
        ),
        # github.com/Jeff-sjtu/CrowdPose: left and right shoulder, elbow, wrist, hip, knee, ankle, 12 top of the head,
        # 13 neck.
        Layout("crowdpose", "CrowdPose", 14, (_MISSING, *_NO_FACE, *range(12)), head=(13, 12)),
        # MediaPipe's Pose Landmarker: 0 nose, 1-3 left eye (inner, middle, outer), 4-6 right eye, 7 left ear, 8 right
        # ear, 9-10 mouth, 11 left shoulder, 12 right, 13-14 elbows, 15-16 wrists, 17-22 hands, 23-24 hips, 25-26 knees,
        # 27-28 ankles, 29-32 feet.
        Layout(
            "blazepose",
            "MediaPipe BlazePose",
            33,
            (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28),
        ),
    )
}
"""The layouts by name, each with the published order of its joints and where it is published."""

_BY_COUNT = {17: "coco", **{layout.joints: layout.name for layout in LAYOUTS.values() if layout.joints != 17}}
_AMBIGUOUS = {25: ("body25", "ntu")}
COUNTS = frozenset(_BY_COUNT)
"""Numbers of joints that some layout has."""

_PAIRED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_NEEDED = tuple(name for name in COCO_JOINTS if name.split("_")[-1] in _PAIRED[2:])


def layout_of(joints: int) -> Layout:
    """Return the layout that has so many joints; 17 is COCO.

    Raises:
        InputError: none or several have; the message says which option decides.
    """
    if joints in _AMBIGUOUS:
        options = " or ".join(f"--layout {name}" for name in _AMBIGUOUS[joints])
        raise InputError(f"The order of {joints} joints may be that of several layouts: give {options}.")
    if joints not in _BY_COUNT:
        numbers = ", ".join(map(str, sorted(COUNTS)))
        raise InputError(f"A pose has {joints} joints, and the known layouts have {numbers}.")
    return LAYOUTS[_BY_COUNT[joints]]


def layout_by_names(names: Sequence[str]) -> Layout | None:
    """Return the layout of joints with these names: a known one where all are in its places, else COCO-17 by name.

    Returns:
        None where no name is that of a joint, as in joint0, joint1 and so on.

    Raises:
        InputError: some names are those of joints, but shoulders, elbows, wrists, hips, knees or ankles are missing.

    >>> layout_by_names(COCO_JOINTS).name, layout_by_names(OPENPOSE_JOINTS).name
    ('coco', 'openpose18')
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if known := joint_name(name):
            places.setdefault(known, place)
    if not places:
        return None
    if missing := [name for name in _NEEDED if name not in places]:
        raise InputError(f"The names of the joints do not tell which is the {missing[0]}: give --layout.")
    for layout in LAYOUTS.values():
        target = COCO_JOINTS if len(layout.take) == 17 else OPENPOSE_JOINTS
        same = (
            places.get(joint, _MISSING) == place or (joint == "nose" and joint not in places)
            for joint, place in zip(target, layout.take, strict=True)
        )
        if layout.joints == len(names) and all(same):
            return layout
    return Layout("names", "named", len(names), tuple(places.get(name, _MISSING) for name in COCO_JOINTS))


def joint_name(text: str) -> str | None:
    """Return the name of a joint as in COCO from one of its usual spellings; None if it is no COCO joint or neck.

    >>> [joint_name(text) for text in ("LShoulder", "right ankle", "wrist_l", "Nose", "pelvis")]
    ['left_shoulder', 'right_ankle', 'left_wrist', 'nose', None]
    """
    letters = re.sub(r"[^a-z]", "", text.lower())
    if letters in ("nose", "neck"):
        return letters
    for side, marks in (("left", ("left", "l")), ("right", ("right", "r"))):
        for mark in marks:
            for part in _PAIRED:
                if letters in (mark + part, part + mark):
                    return f"{side}_{part}"
    return None
