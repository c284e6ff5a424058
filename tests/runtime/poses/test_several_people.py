"""Finding and tracking several people on real videos, against positions that were checked by eye."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from runtime.config.schema import CameraOptions
from runtime.poses.boxes import joint_boxes
from runtime.poses.people import open_people
from runtime.sources.frames import Keypoints
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock

pytest.importorskip("mediapipe")

Found = list[dict[int, Keypoints]]

# The middles of everybody in frames 30 to 130 of opencv_vtest.avi who is 40 pixels high and less than half hidden,
# as read off the pictures; between them they walk straight.
WALKERS: dict[str, dict[int, tuple[int, int]]] = {
    "red jacket": {
        30: (645, 301), 40: (585, 283), 50: (522, 261), 60: (482, 245), 70: (458, 231), 80: (457, 213),
        90: (474, 197), 100: (506, 183), 110: (538, 172), 120: (572, 158), 130: (600, 151),
    },
    "blonde": {
        30: (681, 297), 40: (615, 281), 50: (570, 256), 60: (515, 242), 70: (491, 228), 80: (485, 212),
        90: (504, 198), 100: (527, 187), 110: (559, 175), 120: (597, 164), 130: (624, 156),
    },
    "dark coat": {
        50: (693, 314), 60: (632, 285), 70: (604, 258), 80: (583, 236), 90: (583, 215), 100: (603, 196),
        110: (630, 178), 120: (662, 167), 130: (692, 153),
    },
    "black coat": {
        40: (450, 230), 44: (457, 223), 47: (457, 220), 50: (444, 212), 62: (362, 204), 66: (332, 201),
        70: (309, 203), 80: (272, 207), 90: (303, 224), 100: (362, 237), 110: (441, 243), 120: (522, 255),
        130: (612, 266),
    },
    "brown jacket": {40: (389, 217), 60: (388, 219), 70: (386, 221), 80: (391, 220), 130: (390, 222)},
    "dark shirt": {37: (409, 221), 42: (409, 222)},
    "light blue": {118: (716, 252), 120: (700, 252), 130: (608, 250)},
}  # fmt: skip
HIDDEN = {"black coat": [*range(51, 62), *range(104, 115)], "light blue": [*range(127, 131)]}
"""Frames in which a sign or somebody else hides more than half of them."""


def watch(path: Path, options: CameraOptions, frames: int) -> Found:
    """The people of the first frames of a video."""
    with open_source(str(path)) as source, open_people(options, source.fps, needs_poses=True) as finder:
        return [dict(finder.find(frame, StageClock())) for frame in islice(source, frames)]


@pytest.fixture(scope="module")
def full_model(shared: Path) -> Path:
    return shared / "models" / "pose_landmarker_full.task"


@pytest.fixture(scope="module")
def walkers(shared: Path, full_model: Path) -> Found:
    options = CameraOptions(people="many", max_people=12, pose_model=full_model)
    return watch(shared / "data" / "video" / "opencv_vtest.avi", options, 131)


def nearest(people: dict[int, Keypoints], x: float, y: float) -> int | None:
    """Who of the found people stands there: within 16 pixels sideways and 32 up or down."""
    distances = {}
    for person, keypoints in people.items():
        (box,) = joint_boxes(keypoints[None])
        distances[person] = np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 4 - y / 2)
    person = min(distances, key=lambda p: distances[p], default=None)
    return person if person is not None and distances[person] < 16 else None


def identities(found: Found, name: str) -> Iterator[int | None]:
    """The id that a walker has in each frame in which they are seen."""
    frames = sorted(WALKERS[name])
    places = np.array([WALKERS[name][frame] for frame in frames])
    for frame in range(frames[0], frames[-1] + 1):
        if frame not in HIDDEN.get(name, ()):
            yield nearest(found[frame], *(np.interp(frame, frames, places[:, axis]) for axis in (0, 1)))


@pytest.mark.everything
def test_most_people_of_a_surveillance_view_are_found(walkers: Found) -> None:
    seen = [person is not None for name in WALKERS for person in identities(walkers, name)]
    assert len(seen) == 458
    assert np.mean(seen) >= 0.85


@pytest.mark.everything
def test_few_ids_switch_while_people_cross_and_are_hidden(walkers: Found) -> None:
    switches = {}
    for name in WALKERS:
        ids = [person for person in identities(walkers, name) if person is not None]
        switches[name] = sum(a != b for a, b in pairwise(ids))
    assert sum(switches.values()) <= 8, switches
    assert switches["red jacket"] == switches["dark coat"] == 0, switches


@pytest.mark.everything
def test_joints_that_are_not_seen_are_guessed_and_never_at_zero(walkers: Found) -> None:
    points = np.concatenate([np.stack(list(people.values())) for people in walkers if people])
    assert np.isfinite(points).all()
    assert (np.abs(points[..., :2]).max(axis=-1) > 1).all()


@pytest.mark.everything
def test_most_of_three_who_exercise_are_found(shared: Path, full_model: Path) -> None:
    """They stand where they are, so that only parts of them move, and are there from the first frame on."""
    options = CameraOptions(people="many", max_people=8, pose_model=full_model)
    found = watch(shared / "data" / "video" / "felixchenfy_exercise.avi", options, 120)
    columns = [{np.searchsorted((140, 232), k[5:13, 0].mean()) for k in people.values()} for people in found]
    assert np.mean([len(those) >= 2 for those in columns]) >= 0.9
    ids = {person for people in found for person in people}
    assert len(ids) <= 8
