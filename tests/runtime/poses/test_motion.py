"""What has changed in a picture, other than by people who are followed."""

from __future__ import annotations

import numpy as np

from runtime.poses.motion import Motion

NOBODY = np.zeros((0, 4), np.float32)


def picture(light: int = 60, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(light + rng.normal(0, noise, (480, 640, 3)), 0, 255).astype(np.uint8)


def with_somebody(image: np.ndarray, left: int, top: int, height: int = 100) -> np.ndarray:
    changed = image.copy()
    changed[top : top + height, left : left + height // 3] = 200
    return changed


def looked(image: np.ndarray, people: np.ndarray = NOBODY) -> Motion:
    motion = Motion()
    motion.places(image, people)
    motion.look(people)
    return motion


def test_in_the_first_picture_nothing_has_changed() -> None:
    assert len(Motion().places(picture(), NOBODY)) == 0


def test_nothing_changes_in_noise_and_in_slowly_changing_light() -> None:
    motion = looked(picture(noise=8))
    assert len(motion.places(picture(noise=8, seed=1), NOBODY)) == 0
    assert len(motion.places(picture(light=110, noise=8, seed=2), NOBODY)) == 0


def test_somebody_who_comes_is_noticed_where_they_are() -> None:
    motion = looked(picture(noise=5))
    (place,) = motion.places(with_somebody(picture(noise=5, seed=1), 400, 100), NOBODY)
    np.testing.assert_allclose(place, (416, 150), atol=12)


def test_small_people_are_noticed_and_specks_are_not() -> None:
    motion = looked(picture())
    assert len(motion.places(with_somebody(picture(), 300, 200, height=36), NOBODY)) == 1
    assert len(motion.places(with_somebody(picture(), 300, 200, height=9), NOBODY)) == 0


def test_who_is_followed_explains_the_change_where_they_are_and_where_they_were() -> None:
    before, now = with_somebody(picture(), 100, 200), with_somebody(picture(), 300, 200)
    were, are = (np.array([[left, 200, left + 33, 300]], np.float32) for left in (100, 300))
    motion = looked(before, were)
    assert len(motion.places(now, are)) == 0
    assert len(motion.places(now, NOBODY)) == 1
    assert len(motion.places(with_somebody(now, 500, 100), are)) == 1


def test_pictures_of_two_sizes_are_not_compared() -> None:
    assert len(looked(picture()).places(picture()[:240], NOBODY)) == 0


def test_people_beyond_the_edges_are_no_error() -> None:
    boxes = np.array([[-500, -500, -400, -300], [600, 400, 5000, 5000]], np.float32)
    assert len(looked(picture(), boxes).places(picture(), boxes)) == 0
