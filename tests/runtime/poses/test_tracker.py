from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from daflow.core.data.synthetic import Scene, generate_clip
from runtime.poses.tracker import SkeletonTracker
from runtime.sources.frames import Keypoints

pytest.importorskip("trackers")

NOBODY = np.zeros((0, 17, 3), dtype=np.float32)
Walk = Callable[[int], Keypoints]


def walker(x: float, y: float, speed: float) -> Walk:
    """Someone 40 by 100 pixels who moves sideways, as a function of the frame."""
    body = np.random.default_rng(0).uniform((0, 0, 1), (40, 100, 1), (17, 3))
    body[:2, :2] = (0, 0), (40, 100)
    return lambda frame: (body + np.array([x + speed * frame, y, 0])).astype(np.float32)


def ids_over_time(walks: dict[str, Walk], frames: int = 100) -> dict[str, set[int]]:
    """The ids that each person gets when the detections come in random order."""
    tracker, rng = SkeletonTracker(25), np.random.default_rng(0)
    ids: defaultdict[str, set[int]] = defaultdict(set)
    for frame in range(frames):
        order = rng.permutation(list(walks)).tolist()
        found = tracker.update(np.stack([walks[name](frame) for name in order]))
        for name, person in zip(order, found.tolist(), strict=True):
            ids[name].add(person)
    return {name: of_person - {-1} for name, of_person in ids.items()}


def test_the_order_of_the_detections_does_not_matter() -> None:
    walks = {"left": walker(50, 100, 3), "middle": walker(600, 100, 0), "right": walker(1100, 90, -3)}
    ids = ids_over_time(walks)
    assert all(len(of_person) == 1 for of_person in ids.values())
    assert len(set.union(*ids.values())) == 3


def test_people_who_cross_keep_their_ids() -> None:
    ids = ids_over_time({"there": walker(100, 100, 4), "back": walker(500, 190, -4)})
    assert all(len(of_person) == 1 for of_person in ids.values())
    assert ids["there"] != ids["back"]


def test_where_one_frame_is_enough_everybody_has_an_id_at_once_and_keeps_it() -> None:
    tracker, there = SkeletonTracker(10, min_frames=1), walker(100, 100, 4)
    first = tracker.update(there(0)[None])
    later = walker(500, 100, 0)
    second = tracker.update(np.stack([later(1), there(1)]))
    third = tracker.update(np.stack([there(2), later(2)]))
    assert len({*second.tolist(), -1}) == 3
    assert second.tolist() == [second[0], first[0]]
    assert third.tolist() == [first[0], second[0]]


def test_generated_walkers_keep_their_ids() -> None:
    clip, _ = generate_clip("clip", 3, Scene(frames=150, missed_poses=0))
    walks: dict[str, Walk] = {str(t.person): t.keypoints.__getitem__ for t in clip.tracks}
    frames = min(len(track.frames) for track in clip.tracks)
    ids = ids_over_time(walks, frames)
    assert [len(of_person) for of_person in ids.values()] == [1, 1]


@pytest.mark.parametrize(("lost", "kept"), [(1, True), (10, True), (60, False)])
def test_a_short_loss_keeps_the_id_and_a_long_one_does_not(lost: int, kept: bool) -> None:
    tracker, walk = SkeletonTracker(25), walker(100, 100, 3)
    ids: list[list[int]] = []
    for frame in range(130):
        found = NOBODY if 30 <= frame < 30 + lost else walk(frame)[None]
        ids.append(tracker.update(found).tolist())
    assert (ids[29] == ids[-1]) == kept
    assert ids[-1] != [-1]


def test_frames_without_anybody_give_no_ids() -> None:
    tracker = SkeletonTracker(25)
    assert [tracker.update(NOBODY).shape for _ in range(3)] == [(0,)] * 3
    tracker.update(walker(0, 0, 0)(0)[None])
    assert tracker.update(NOBODY).shape == (0,)


def test_two_detections_never_share_an_id() -> None:
    tracker = SkeletonTracker(25)
    same = np.stack([walker(100, 100, 0)(0)] * 2)
    for _ in range(10):
        ids = tracker.update(same)
        known = ids[ids >= 0]
        assert len(known) == len(set(known.tolist()))


def test_what_was_seen_twice_only_has_no_id() -> None:
    tracker, walk = SkeletonTracker(25), walker(100, 100, 3)
    ids = [tracker.update(walk(frame)[None] if frame in {3, 4} else NOBODY).tolist() for frame in range(10)]
    assert ids[3:5] == [[-1], [-1]]


@pytest.mark.parametrize(("seconds", "kept"), [(0.9, True), (2.5, False)])
def test_frames_that_were_left_out_count_by_their_time(seconds: float, kept: bool) -> None:
    """A live camera drops frames: what is forgotten is a matter of seconds, not of frames."""
    tracker, still = SkeletonTracker(25), walker(100, 100, 0)
    before = [tracker.update(still(0)[None], frame / 25).tolist() for frame in range(10)][-1]
    tracker.update(NOBODY, 0.4)
    later = 0.4 + seconds
    after = [tracker.update(still(0)[None], later + frame / 25).tolist() for frame in range(5)][-1]
    assert min(before + after) >= 0
    assert (before == after) == kept


def test_somebody_who_walks_on_while_frames_are_left_out_keeps_the_id() -> None:
    tracker, walk = SkeletonTracker(25), walker(100, 100, 6)
    frames = [*range(10), *range(10, 100, 8)]
    ids = [tracker.update(walk(frame)[None], frame / 25).tolist() for frame in frames]
    assert {person for (person,) in ids[2:]} == {0}


def test_times_that_stand_still_or_go_back_are_no_error() -> None:
    tracker, still = SkeletonTracker(25), walker(100, 100, 0)
    ids = [tracker.update(still(0)[None], time).tolist() for time in (5.0, 5.0, 5.0, 4.0, 5.2, 0.0)]
    assert ids[2:] == [[0]] * 4
