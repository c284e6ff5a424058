"""When and where the detector runs."""

from __future__ import annotations

import numpy as np

from runtime.poses.regions import Tiling
from runtime.poses.search import Search

SIZE = (640, 480)
SQUARES = Tiling(416)
NOWHERE = np.zeros((0, 2), np.float32)
GROUND = np.full((480, 640, 3), 60, np.uint8)


def people(count: int) -> np.ndarray:
    left = 60.0 * np.arange(count)
    return np.column_stack([left, np.full(count, 200), left + 30, np.full(count, 300)]).astype(np.float32)


def moved(left: int) -> np.ndarray:
    image = GROUND.copy()
    image[50:150, left : left + 40] = 220
    return image


def run(
    search: Search, seconds: float, crowd: int = 0, begin: float = 0.0, image: np.ndarray = GROUND
) -> list[float]:
    """The times at which the whole picture is searched, ten pictures a second."""
    times = []
    for index in range(round(10 * begin), round(10 * (begin + seconds))):
        if len(search.places(image, index / 10, people(crowd), NOWHERE)):
            times.append(index / 10)
            search.learn(index / 10, people(crowd))
    return times


def test_the_first_picture_is_searched_whole() -> None:
    (tiles,) = Search(SIZE, SQUARES).places(GROUND, 0.0, people(0), NOWHERE)
    assert tiles.places.tolist() == [[320, 240, 640, 0]]


def test_the_more_people_the_oftener_the_whole_picture_is_searched() -> None:
    alone, some, many = (len(run(Search(SIZE, SQUARES), 20.0, crowd)) for crowd in (1, 3, 9))
    assert alone == 5
    assert alone < some < many <= 42


def test_while_nobody_was_seen_all_sizes_of_tiles_are_tried_in_the_first_pictures() -> None:
    search = Search(SIZE, SQUARES)
    sides = []
    for index in range(100):
        if len(places := search.places(GROUND, index / 10, people(0), NOWHERE)):
            sides.append((index, round(float(places[0].extent[0]))))
            search.learn(index / 10, people(0))
    assert sides == [(0, 640), (1, 356), (2, 246), (42, 640), (83, 356)]


def test_what_moves_is_searched_for_with_other_tiles_until_somebody_is_found_there() -> None:
    search = Search(SIZE, SQUARES)
    run(search, 1.0)
    sides = []
    for index in range(10, 40):
        if len(places := search.places(moved(300), index / 10, people(0), NOWHERE)):
            sides.append((index, round(float(places[0].extent[0]))))
            search.learn(index / 10, people(0))
    assert sides == [(10, 640), (15, 356), (20, 246)]


def test_what_moves_is_searched_for_at_once_but_not_again_and_again() -> None:
    search = Search(SIZE, SQUARES)
    run(search, 1.0)
    assert run(search, 2.0, begin=1.0, image=moved(300)) == [1.0, 1.5, 2.0]
    assert run(search, 0.3, begin=3.0, image=moved(500)) == [3.0]


def test_what_moves_is_searched_for_again_where_it_is_then() -> None:
    search = Search(SIZE, SQUARES)
    run(search, 1.0)
    times = [
        index / 10
        for index in range(10, 30)
        if len(search.places(moved(20 * (index - 10)), index / 10, people(0), NOWHERE))
        and search.learn(index / 10, people(0)) is None
    ]
    assert 4 <= len(times) <= 6  # every 0.4 s


def test_a_place_where_somebody_was_lost_is_searched_in_the_tile_around_it() -> None:
    search = Search(SIZE, SQUARES, max_across=2)
    small = people(4) * 0.4
    assert search.places(GROUND, 0.0, small, NOWHERE)[0].extent[0] == 640
    search.learn(0.0, small)
    assert len(search.places(GROUND, 0.1, small, NOWHERE)[0]) == 4, "at once with smaller tiles"
    search.learn(0.1, small)
    (tiles,) = search.places(GROUND, 0.2, small, np.array([[600, 400]], np.float32))
    (place,) = tiles.places
    assert np.abs(place[:2] - (600, 400)).max() < place[2] / 2 < 320


def test_no_tile_is_smaller_than_what_enlarging_can_show() -> None:
    search = Search((120, 90), SQUARES, max_across=3)
    assert {
        float(search.places(GROUND[:90, :120], 4.0 * n, people(0), NOWHERE)[0].extent[0]) for n in range(16)
    } == {120.0}
