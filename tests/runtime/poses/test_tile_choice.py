"""How finely a picture is divided follows from how large its people are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.poses.boxes import Boxes
from runtime.poses.tile_choice import TileChoice

SIZE = (360, 240)


def people(*heights: float) -> Boxes:
    return np.array([[0, 0, height / 3, height] for height in heights], np.float32).reshape(-1, 4)


def settled(*heights: float, most: int = 3) -> TileChoice:
    choice = TileChoice(SIZE, most)
    choice.learn(people(*heights))
    return choice


@pytest.mark.parametrize(("height", "across"), [(200, 1), (40, 1), (32, 2), (22, 2), (18, 3), (5, 3)])
def test_the_smaller_people_are_the_smaller_are_the_tiles(height: float, across: int) -> None:
    assert settled(height).across == across


def test_small_people_count_when_they_are_the_most() -> None:
    assert settled(100, 100, 30).across == 1
    assert settled(100, 30, 30).across == 2


def test_while_nobody_was_seen_all_tiles_are_tried_in_turn() -> None:
    choice = TileChoice(SIZE, 3)
    tried = []
    for _ in range(6):
        tried.append(choice.next())
        choice.learn(people())
    assert tried == [1, 2, 3, 1, 2, 3]


def test_it_is_new_until_somebody_was_seen_or_all_tiles_were_tried() -> None:
    seen, empty = TileChoice(SIZE, 3), TileChoice(SIZE, 3)
    new = []
    for _ in range(4):
        new.append(empty.is_new)
        empty.next()
    assert new == [True, True, True, False]
    seen.learn(people(40))
    assert not seen.is_new


def test_where_nobody_was_found_the_other_tiles_are_tried_smaller_ones_first() -> None:
    assert [settled(32).instead(failed) for failed in range(4)] == [2, 3, 1, 2]


def test_it_follows_when_people_become_larger_and_nobody_changes_nothing() -> None:
    choice = settled(18)
    choice.learn(people())
    assert choice.across == 3
    for _ in range(20):
        choice.learn(people(100))
    assert choice.across == 1


def test_smaller_tiles_are_tried_now_and_then() -> None:
    choice = settled(100)
    tried = [choice.next() for _ in range(64)]
    assert (tried.count(2), tried.count(1)) == (8, 56)


@given(heights=st.lists(st.floats(0.1, 5000), max_size=9), most=st.integers(1, 4))
def test_the_number_of_tiles_stays_within_its_limits(heights: list[float], most: int) -> None:
    choice = TileChoice(SIZE, most)
    for height in heights:
        assert 1 <= choice.next() <= most
        choice.learn(people(height))
        assert 1 <= choice.across <= most
