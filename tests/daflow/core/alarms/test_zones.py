from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.alarms.zones import (
    CROSSING_SECONDS,
    Zone,
    ZoneWatch,
    same_zones,
    scored_poses,
    standing_points,
    watched_points,
)
from daflow.core.data.skeleton import OPENPOSE_JOINTS

SIZE = (200, 100)
LEFT, RIGHT = (
    ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),
    ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),
)


def zone(kind: Any, points: Any) -> Zone:
    return Zone(kind=kind, points=points)


def pose(**joints: tuple[float, float]) -> npt.NDArray[np.float32]:
    """A pose of which only these joints were seen, pixels."""
    keypoints = np.zeros((18, 3), np.float32)
    for name, (x, y) in joints.items():
        keypoints[OPENPOSE_JOINTS.index(name)] = x, y, 0.9
    return keypoints


def at(x: float, y: float = 0.5) -> npt.NDArray[np.float32]:
    """Somebody whose feet are at a place, fractions of the picture."""
    foot = (x * SIZE[0], y * SIZE[1])
    return pose(left_ankle=foot, right_ankle=foot, nose=(foot[0], foot[1] - 40))


TORSO = {"left_shoulder": (40, 10), "right_shoulder": (60, 10), "left_hip": (45, 30), "right_hip": (55, 30)}


@pytest.mark.parametrize(
    ("joints", "place"),
    [
        ({**TORSO, "left_ankle": (40, 60), "right_ankle": (60, 70)}, (50, 65)),
        ({**TORSO, "left_ankle": (40, 60), "right_knee": (60, 50)}, (40, 60)),
        ({**TORSO, "left_knee": (45, 45), "right_knee": (55, 43)}, (50, 58)),
        ({**TORSO, "left_knee": (45, 45)}, (45, 60)),
        (TORSO, (50, 30 + 1.4 * 20)),
        ({"left_shoulder": (40, 10), "nose": (50, 5), "left_wrist": (44, 35)}, (45, 35)),
        ({**TORSO, "left_knee": (45, 80), "right_knee": (55, 80)}, (50, 100)),  # cut off by the picture
    ],
)
def test_a_person_is_where_the_feet_are_or_would_be(joints: Any, place: tuple[float, float]) -> None:
    (found,) = standing_points(pose(**joints)[None], SIZE)
    assert found == pytest.approx(np.array(place) / SIZE)


def test_feet_that_are_guessed_do_not_count_and_nobody_is_nowhere() -> None:
    seen = pose(**TORSO, left_ankle=(180, 90), right_ankle=(180, 90))
    seen[[OPENPOSE_JOINTS.index(f"{side}_ankle") for side in ("left", "right")], 2] = 0.05
    without = pose(**TORSO)
    unknown = seen.copy()
    unknown[:, 2] = 0  # a recording without confidences
    points = standing_points(np.stack([seen, without, unknown, pose()]), SIZE)
    assert points[0].tolist() == points[1].tolist()
    assert points[2].tolist() == [0.9, 0.9]
    assert np.isnan(points[3]).all()


def test_who_is_ignored_in_a_part_of_what_is_watched_is_not_scored() -> None:
    corner = ((0.0, 0.0), (0.2, 0.0), (0.2, 0.2), (0.0, 0.2))
    points = np.array([[0.1, 0.1], [0.4, 0.5], [0.6, 0.5], [np.nan, np.nan]])
    cases: list[tuple[dict[str, Zone], list[bool]]] = [
        ({}, [True, True, True, False]),
        ({"a": zone("ignore", corner)}, [False, True, True, False]),
        ({"a": zone("watch", LEFT)}, [True, True, False, False]),
        ({"a": zone("watch", LEFT), "b": zone("ignore", corner)}, [False, True, False, False]),
        ({"a": zone("watch", LEFT), "b": zone("watch", RIGHT)}, [True, True, True, False]),
        ({"a": zone("ignore", LEFT), "b": zone("ignore", RIGHT)}, [False, False, False, False]),
    ]
    for zones, expected in cases:
        assert watched_points(zones, points).tolist() == expected


def expected_states(times: list[float], sides: list[bool]) -> list[bool]:
    """Somebody changes sides when all their poses since the last gap, over half a second or more, were on the other."""
    states: list[bool] = []
    for now, time in enumerate(times):
        if now == 0 or time - times[now - 1] > 1:
            states.append(sides[now])
            begin = now
            continue
        before = states[-1]
        run = 0
        while now - run > begin and sides[now - run] != before:
            run += 1
        long_enough = run > 0 and time - times[now - run + 1] >= CROSSING_SECONDS - 1e-9
        states.append(sides[now] if long_enough else before)
    return states


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 1, 1, 2, 3, 9, 12, 25]), st.sampled_from([False, False, True, True])),
        min_size=1,
        max_size=60,
    )
)
def test_a_border_is_crossed_after_half_a_second_on_the_other_side(steps: list[tuple[int, bool]]) -> None:
    ticks = np.cumsum([step for step, _ in steps]).tolist()
    times = [tick / 10 for tick in ticks]
    sides = [side for _, side in steps]
    zones = {"left": zone("watch", LEFT)}
    poses = [at(0.2 if side else 0.8) for side in sides]
    watch = ZoneWatch(zones)
    frame_by_frame = [
        bool(watch.update(time, {5: seen}, SIZE)) for time, seen in zip(times, poses, strict=True)
    ]
    assert frame_by_frame == expected_states(times, sides)
    assert scored_poses(zones, np.array(times), np.stack(poses), SIZE).tolist() == frame_by_frame


def test_noise_at_a_border_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    watch = ZoneWatch({"left": zone("watch", LEFT)})
    states = [
        bool(watch.update(index / 25, {1: at(0.5 + rng.normal(0, 0.01))}, SIZE)) for index in range(500)
    ]
    assert len(set(states)) == 1


def test_each_person_has_a_state_of_their_own_and_is_forgotten_after_a_second() -> None:
    watch = ZoneWatch({"left": zone("watch", LEFT)})
    assert watch.update(0.0, {1: at(0.2), 2: at(0.8)}, SIZE) == {1}
    assert watch.update(0.4, {1: at(0.8), 2: at(0.2)}, SIZE) == {1}
    assert watch.update(0.9, {1: at(0.8), 2: at(0.2)}, SIZE) == {2}
    assert watch.update(1.4, {2: pose()}, SIZE) == {2}, "nobody knows where, so nothing changes"
    assert watch.update(2.0, {1: at(0.2)}, SIZE) == {1}, "unseen for more than a second, so new"
    for index in range(100):
        watch.update(3 + index / 10, {100 + index: at(0.2)}, SIZE)
    assert len(watch._people) < 15
    assert watch.update(0.0, {1: at(0.8)}, SIZE) == set(), "the stream began anew"


def test_zones_are_the_same_by_what_they_cover() -> None:
    one = {"a": zone("ignore", LEFT), "b": zone("watch", RIGHT)}
    assert same_zones(one, {"other": zone("watch", RIGHT), "name": zone("ignore", LEFT)})
    assert not same_zones(one, {"a": zone("watch", LEFT), "b": zone("watch", RIGHT)})
    assert not same_zones(one, {})
