"""How finely a picture is divided follows from what smaller tiles find."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.poses.tile_choice import TileChoice


def settled(shares: dict[int, float], most: int = 3, searches: int = 64) -> TileChoice:
    choice = TileChoice(most)
    for _ in range(searches):
        across = choice.next()
        choice.learn(across, shares[across])
    return choice


def test_large_people_need_one_tile_and_small_ones_more() -> None:
    assert settled({1: 1.0, 2: 1.0, 3: 1.0}).across == 1
    assert settled({1: 0.6, 2: 1.0, 3: 1.0}).across == 2
    assert settled({1: 0.3, 2: 0.6, 3: 1.0}).across == 3
    assert settled({1: 0.0, 2: 1.0, 3: 1.0}).across == 2


def test_it_follows_when_people_become_larger() -> None:
    choice = settled({1: 0.5, 2: 1.0, 3: 1.0})
    for _ in range(200):
        choice.learn(choice.next(), 1.0)
    assert choice.across == 1


@given(seed=st.integers(0, 200), most=st.integers(1, 4))
def test_the_number_of_tiles_stays_within_its_limits(seed: int, most: int) -> None:
    choice, rng = TileChoice(most), np.random.default_rng(seed)
    tried = set()
    for _ in range(60):
        across = choice.next()
        tried.add(across)
        choice.learn(across, float(rng.uniform()))
        assert 1 <= choice.across <= most
    assert tried <= set(range(1, most + 1))
