from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.generator.activities import (
    Turn,
    bending,
    driving,
    live,
    moving_body,
    posture_over,
    random_build,
    sitting,
    walking,
)
from daflow.core.data.generator.body import STAND, Build, skeleton
from daflow.core.data.generator.everyday import LIVES

ANKLES, HIPS, SHOULDERS, WRISTS = [15, 16], [11, 12], [5, 6], [9, 10]
BUILD = Build(1.75)
TIME = np.arange(200) / 25


def test_who_sits_down_is_lower_and_keeps_the_feet_where_they_were() -> None:
    rng = np.random.default_rng(0)
    posture, _ = posture_over([Turn(2, 1.5, sitting(rng))], TIME)
    body = moving_body(rng, posture, 25, len(TIME), BUILD)
    hips, ankles = body[:, HIPS].mean(axis=1), body[:, ANKLES].mean(axis=1)
    assert hips[0, 2] > 0.5 * BUILD.height
    assert 0.3 < hips[-1, 2] < 0.6
    assert np.abs(ankles[-1, 0] - ankles[0, 0]) < 0.15
    assert hips[-1, 0] < ankles[-1, 0] - 0.25, "who sits has the feet in front"


def test_who_bends_has_the_hands_below_the_hips_and_the_feet_on_it() -> None:
    for seed in range(10):
        body = skeleton(bending(np.random.default_rng(seed)), np.zeros(5), BUILD)
        assert body[0, WRISTS, 2].min() < 0.5 * BUILD.height
        assert body[0, ANKLES, 2].min() == pytest.approx(0.045 * BUILD.height)
        assert (
            body[0, SHOULDERS, 2].mean() < skeleton(STAND, np.zeros(5), BUILD)[0, SHOULDERS, 2].mean() - 0.1
        )


def test_people_walk_at_different_speeds_and_hurry_with_longer_steps() -> None:
    walks = [walking(np.random.default_rng(seed), BUILD) for seed in range(200)]
    speeds, strides = np.array([(walk.speed, walk.stride) for walk in walks]).T
    assert np.quantile(speeds, 0.05) < 0.75
    assert np.quantile(speeds, 0.95) > 1.5
    assert speeds.max() <= 1.9, "running is not everyday life"
    assert np.corrcoef(speeds, strides)[0, 1] > 0.9


def test_there_are_children_and_adults() -> None:
    heights = np.array([random_build(np.random.default_rng(seed)).height for seed in range(400)])
    assert ((heights >= 0.95) & (heights <= 1.95)).all()
    assert 0.06 < (heights < 1.45).mean() < 0.2


def test_a_wheelchair_moves_while_its_driver_sits_and_pushes() -> None:
    rng = np.random.default_rng(1)
    drives = driving(rng)
    assert drives.hip > 1
    assert 0.5 <= drives.speed <= 1.3
    body = moving_body(rng, drives, 25, 100, BUILD)
    assert np.ptp(body[:, WRISTS, 0], axis=0).min() > 0.05
    assert np.ptp(body[:, ANKLES, 2]) < 1e-9


@pytest.mark.parametrize("life", LIVES)
def test_a_life_begins_before_the_clip_goes_on_and_stays_continuous(life: str) -> None:
    rng = np.random.default_rng(3)
    time = np.arange(1500) / 25
    turns = live(rng, life, 60, BUILD)  # type: ignore[arg-type]
    assert turns[0].at + turns[0].seconds < 0
    assert len(turns) >= 3
    posture, looks = posture_over(turns, time)
    for values in (posture.speed, posture.hip, posture.lean, looks):
        assert np.abs(np.diff(values)).max() < 0.25
    seated = np.broadcast_to(posture.hip, time.shape) > 1.2
    assert seated.any() == (life in ("sitter", "wheelchair"))
    assert seated.all() == (life == "wheelchair")
