"""People are found once, followed by their joints, lost and found again; the detector runs when it is needed."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.poses.boxes import Boxes
from runtime.poses.follower import PeopleFollower
from runtime.poses.people import PeopleFinder
from runtime.poses.pose_networks import Bodies
from runtime.poses.regions import Regions
from runtime.sources.frames import Image, Keypoints
from runtime.stage_clock import StageClock

from .people_world import SIZE, Walker, World


def standing(x: float, y: float = 240.0, **more: float) -> Walker:
    return Walker(lambda time: (x, y), **more)


def walking(
    speed: float, begin: float = 100.0, y: float = 240.0, since: float = 0.0, **more: float
) -> Walker:
    """Walks to the right, pixels per second."""
    return Walker(lambda time: (begin + speed * (time - since), y) if time >= since else None, **more)


def follow(
    world: World, seconds: float, follower: PeopleFollower | None = None, **more: float
) -> list[Keypoints]:
    follower = follower or PeopleFollower(world, max_people=20)
    return [follower.estimate(frame) for frame in world.frames(seconds, **more)]


def middles(found: Keypoints) -> list[float]:
    return sorted(found[..., 0].mean(axis=1).round().tolist())


def test_everybody_is_found_in_the_first_picture_and_followed() -> None:
    world = World([standing(100), standing(300), walking(60, begin=400)])
    for index, found in enumerate(follow(world, 3.0)):
        assert middles(found) == [100, 300, 400 + 6 * index]
        assert found.shape == (3, 17, 3)
        assert (found[..., 2] == np.float32(0.8)).all()


def test_one_person_who_is_alone_costs_one_crop_a_picture_and_hardly_any_search() -> None:
    world = World([walking(30)])
    follow(world, 10.0)
    assert world.crops <= 100 + 2
    assert len(world.searches) <= 5  # three at once, to choose the tiles


def test_nobody_costs_nothing_but_a_search_now_and_then() -> None:
    world = World([])
    follow(world, 20.0)
    assert world.crops == 0
    assert len(world.searches) <= 7  # three at once, with tiles of three sizes


def test_who_walks_in_is_found_within_half_a_second() -> None:
    world = World([standing(100), walking(60, begin=0.0, y=400, since=2.05)])
    counts = [len(found) for found in follow(world, 5.0)]
    assert counts[:20] == [1] * 20
    assert 2 in counts[21:26]
    assert counts[27:] == [2] * 23


def test_who_is_hidden_for_a_moment_is_found_where_they_were_going() -> None:
    def behind_a_pillar(time: float) -> tuple[float, float] | None:
        return None if 1.0 <= time < 1.4 else (100 + 80 * time, 240)

    found = follow(World([Walker(behind_a_pillar)]), 3.0)
    assert [len(people) for people in found] == [1] * 10 + [0] * 4 + [1] * 16


def test_ids_stay_with_people_and_are_nobody_else_s_after_them() -> None:
    behind = Walker(lambda time: (300.0, 240.0) if not 1.0 <= time < 1.4 else None)
    back = Walker(lambda time: (500.0, 240.0) if not 1.0 <= time < 2.5 else None)
    world = World([standing(100), behind, back])
    follower = PeopleFollower(world, max_people=20)
    ids: dict[int, set[int]] = {100: set(), 300: set(), 500: set()}
    for frame in world.frames(4.0):
        found = follower.estimate(frame)
        assert len(follower.ids) == len(found) == len(set(follower.ids))
        for number, person in zip(follower.ids, found, strict=True):
            ids[round(float(person[:, 0].mean()))].add(number)
    assert [len(numbers) for numbers in ids.values()] == [1, 1, 2], "the third was away for too long"
    assert len(set().union(*ids.values())) == 4


def test_the_finder_takes_the_ids_of_who_follows() -> None:
    world = World([standing(100), walking(60, begin=300)])
    with PeopleFinder(PeopleFollower(world, max_people=20), fps=10) as finder:
        found = [finder.find(frame, StageClock()) for frame in world.frames(3.0)]
    assert {tuple(sorted(people)) for people in found} == {(0, 1)}
    assert found[-1][0][:, 0].mean() == pytest.approx(100, abs=1)


def test_who_has_left_is_not_seen_and_forgotten() -> None:
    world = World([Walker(lambda time: (300, 240) if time < 1.0 else None)])
    follower = PeopleFollower(world, max_people=20)
    found = follow(world, 3.0, follower)
    assert [len(people) for people in found] == [1] * 10 + [0] * 20
    before = world.crops
    follow(world, 1.0, follower, begin=3.0)
    assert world.crops == before


def test_two_who_pass_each_other_stay_two_people() -> None:
    world = World([walking(80, begin=100), walking(-80, begin=400, y=248)])
    counts = [len(found) for found in follow(world, 4.0)]
    assert counts.count(2) >= 34
    assert counts[-5:] == [2] * 5


def test_a_post_that_the_detector_takes_for_somebody_is_nobody() -> None:
    world = World([standing(100)], clutter=[(400, 200, 430, 300)])
    assert {len(found) for found in follow(world, 5.0)} == {1}


def test_a_post_is_looked_at_again_after_two_seconds_and_at_once_when_the_detector_is_sure() -> None:
    post = (400.0, 200.0, 430.0, 300.0)
    world = World([standing(100), standing(200), standing(300)], clutter=[post])
    follower = PeopleFollower(world, max_people=20)
    follow(world, 10.0, follower)
    in_vain = world.crops - 3 * 99 - 3 * 2  # one for each person and picture, and two when they are found
    assert len(world.searches) >= 8
    assert 2 * 3 <= in_vain <= 2 * 5  # its two sizes of crop, every two seconds at most
    world.clutter, before = [], world.crops
    world.walkers.append(standing(415, y=250))
    found = follow(world, 2.0, follower, begin=10.0)
    assert middles(found[-1]) == [100, 200, 300, 415]
    assert world.crops > before


def test_what_only_the_landmarks_believe_in_ends() -> None:
    walker = standing(100)
    world = World([walker, standing(300), standing(500)])
    follower = PeopleFollower(world, max_people=20)
    follow(world, 1.0, follower)
    walker.detected = False
    found = follow(world, 9.0, follower, begin=1.0)
    assert middles(found[-1]) == [300, 500]


def test_a_skeleton_that_shrinks_away_from_what_the_detector_saw_is_nobody() -> None:
    shrinking = Walker(lambda time: (100.0, 240.0), height=120.0)
    world = World([shrinking, standing(300)])
    follower = PeopleFollower(world, max_people=20)
    follow(world, 0.5, follower)
    shrinking.detected = False
    counts = []
    for step in range(20):
        shrinking.height = 120.0 * 0.93**step
        counts += [len(found) for found in follow(world, 0.1, follower, begin=0.5 + step / 10)]
    assert counts[:5] == [2] * 5
    assert counts[-5:] == [1] * 5


def test_who_is_before_somebody_else_and_not_detected_apart_is_nobody() -> None:
    shadow = standing(320, height=80)
    world = World([shadow, standing(300, height=180)])
    follower = PeopleFollower(world, max_people=20)
    assert len(follow(world, 0.3, follower)[-1]) == 2
    shadow.detected = False
    assert len(follow(world, 2.0, follower, begin=0.3)[-1]) == 1  # after one search


def test_whom_the_landmarks_see_in_a_larger_crop_only_is_found_and_followed() -> None:
    found = follow(World([walking(30, wants=1.5)]), 3.0)
    assert [middles(people) for people in found] == [[100 + 3 * index] for index in range(30)]


def test_of_two_looks_at_somebody_new_the_one_that_fits_what_the_detector_sees_is_taken() -> None:
    class Misled(World):
        """Of whom is cut out again the landmarks see less."""

        looks = 0

        def joints(self, image: Image, places: Regions, people: Boxes) -> Bodies:
            bodies = super().joints(image, places, people)
            self.looks += 1
            if self.looks == 2:
                bodies.keypoints[..., 1] = 240 + 0.6 * (bodies.keypoints[..., 1] - 240)
            return bodies

    (found,) = follow(Misled([standing(100)]), 0.1)
    assert np.ptp(found[0, :, 1]) == pytest.approx(94, abs=1)


def test_a_skeleton_that_has_left_its_person_is_put_back_where_the_detector_sees_them() -> None:
    class Clinging(World):
        """Who is not in the middle of a crop is taken for what is."""

        def joints(self, image: Image, places: Regions, people: Boxes) -> Bodies:
            bodies = super().joints(image, places, people)
            off = places[:, :2] - bodies.keypoints[..., :2].mean(axis=1)
            bodies.keypoints[..., :2] += np.where(np.abs(off).max(axis=1) > 10, off.T, 0).T[:, None]
            bodies.following[:, :2] = places[:, :2]
            return bodies

    steps_aside = Walker(lambda time: (300 if time < 1.0 else 320, 240))
    found = follow(Clinging([steps_aside]), 6.0)
    assert middles(found[9]) == middles(found[11]) == [300]
    assert middles(found[-1]) == [320]


def test_who_comes_near_is_found_although_the_joints_of_the_first_reach_over_both() -> None:
    first = standing(300, reach=1.7)
    second = Walker(lambda time: (326, 240) if time >= 1.0 else None)
    found = follow(World([first, second]), 6.0)
    assert middles(found[9]) == [300]
    assert [middles(people) for people in found[-10:]] == [[300, 326]] * 10


def test_of_whom_the_detector_is_not_sure_must_move() -> None:
    """An office chair that looks like somebody to both networks."""
    chair, walker = standing(100, score=0.5), walking(20, begin=300, score=0.5)
    world = World([chair, walker])
    found = follow(world, 5.0)
    assert len(found[0]) == 2
    assert all(middles(each) == [300 + 2 * index] for index, each in enumerate(found) if index > 10)
    assert world.crops <= 2 * 50 + 4  # the chair is followed, and so not looked for again and again


def test_who_stands_and_moves_their_arms_is_no_furniture() -> None:
    world = World(
        [
            standing(100, score=0.45),
            standing(300, score=0.45, waves=0.4),
            standing(500, score=0.45, waves=0.1),
        ]
    )
    found = follow(world, 4.0)
    assert middles(found[-1]) == [300]


def test_furniture_takes_nobody_s_place() -> None:
    chair, walker = standing(100, score=0.5), walking(60, begin=200, since=2.0)
    world = World([chair, walker])
    found = follow(world, 8.0, PeopleFollower(world, max_people=1))
    assert [len(each) for each in found[:10]] == [1] * 10
    assert all(middles(each) == [200 + 6 * (index - 20)] for index, each in enumerate(found) if index >= 60)


def test_small_people_are_found_with_smaller_tiles_which_large_ones_do_not_need() -> None:
    small = [standing(60 + 90 * number, y=200, height=32) for number in range(6)]
    world = World(small, min_height=30.0)
    assert len(follow(world, 10.0)[-1]) == 6  # 21 pixels in the whole picture, 37 in a tile
    large = World([standing(100), standing(300)], min_height=30.0)
    follow(large, 30.0)
    assert large.tiles <= 2.5 * len(large.searches)


def test_no_more_people_than_asked_for() -> None:
    world = World([standing(60 + 70 * number) for number in range(8)])
    follower = PeopleFollower(world, max_people=3)
    assert {len(found) for found in follow(world, 3.0, follower)} == {3}


@pytest.mark.parametrize("max_people", [1, 2])
def test_who_was_lost_is_found_again_when_nobody_else_is_wanted(max_people: int) -> None:
    def jumps(time: float) -> tuple[float, float]:
        return (100, 240) if time < 1.0 else (500, 240)

    world = World([Walker(jumps), *[standing(300)] * (max_people - 1)])
    follower = PeopleFollower(world, max_people=max_people)
    counts = [len(found) for found in follow(world, 2.0, follower)]
    assert counts[:10] == [max_people] * 10
    assert counts[13:] == [max_people] * 7
    assert len(follower._people) == max_people


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
def test_somebody_who_falls_is_followed_at_any_rate(fps: float) -> None:
    def falling(time: float) -> tuple[float, float]:
        since = np.clip(time - 1.0, 0, 0.6)
        return 300 + 40 * since, 240 + 0.5 * 400 * since**2  # 72 pixels of 100 in 0.6 s

    counts = [len(found) for found in follow(World([Walker(falling)]), 3.0, fps=fps)]
    assert counts == [1] * len(counts)


def test_another_picture_size_or_an_earlier_time_begins_anew() -> None:
    world = World([standing(100)])
    follower = PeopleFollower(world, max_people=20)
    follow(world, 1.0, follower)
    searches = len(world.searches)
    assert [len(found) for found in follow(world, 1.0, follower)] == [1] * 10
    assert len(world.searches) > searches


def test_joints_that_are_no_number_are_nobody() -> None:
    class Broken(World):
        def joints(self, image: np.ndarray, places: np.ndarray, people: np.ndarray) -> object:  # type: ignore[override]
            bodies = super().joints(image, places, people)
            bodies.keypoints[..., 0] = np.nan
            return bodies

    assert {len(found) for found in follow(Broken([standing(100)]), 1.0)} == {0}


def test_nobody_is_an_empty_array_of_coco_joints() -> None:
    (found, *_) = follow(World([]), 0.1)
    assert (found.shape, found.dtype) == ((0, 17, 3), np.float32)
    assert SIZE == (640, 480)
