"""The errors are of the size that was measured, and each can be turned off."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.generator.cameras import Camera, Furniture
from daflow.core.data.generator.estimator import Estimator

SIZE, FPS = (1280, 720), 25.0
PERFECT = Estimator(jitter=0, slow=0, pixels=0, wrong=0, swapped=0, missed=0)
STANDING = np.tile(
    np.stack([np.linspace(600, 680, 17), np.linspace(200, 500, 17)], axis=1), (4000, 1, 1)
)  # 300 pixels tall
VISIBLE = np.zeros(STANDING.shape[:2], dtype=np.bool_)


def observed(estimator: Estimator, hidden: np.ndarray = VISIBLE, pixels: np.ndarray = STANDING) -> np.ndarray:
    track = estimator.observe(np.random.default_rng(0), 1, pixels, hidden, SIZE, FPS)
    return track.keypoints.astype(np.float64)


def with_error(**error: float) -> Estimator:
    return Estimator(**{**vars(PERFECT), **error})  # type: ignore[arg-type]


def test_without_errors_the_joints_are_where_they_are() -> None:
    found = observed(PERFECT)
    assert np.allclose(found[..., :2], STANDING, atol=1e-3)
    assert (found[..., 2] > 0.7).all()


def test_jitter_grows_with_the_person_and_is_largest_at_the_wrists() -> None:
    error = (observed(with_error(jitter=1)) - np.pad(STANDING, ((0, 0), (0, 0), (0, 1))))[..., :2]
    deviation = error.std(axis=(0, 2)) / 300
    assert deviation.argmax() in (9, 10)
    assert deviation.mean() == pytest.approx(0.0028, rel=0.1)


def test_slow_errors_have_their_size_from_the_first_frame_on_and_hardly_tremble() -> None:
    error = (observed(with_error(slow=0.01)) - np.pad(STANDING, ((0, 0), (0, 0), (0, 1))))[..., :2] / 300
    assert error.std() == pytest.approx(0.01, rel=0.05)
    assert error[0].std() < 0.02
    assert np.diff(error, axis=0).std() < 0.15 * error.std()


def test_swapped_legs_are_those_of_the_same_person() -> None:
    found = observed(with_error(swapped=0.5))
    left, right = STANDING[0, 15], STANDING[0, 16]
    swapped = np.isclose(found[:, 15, :2], right, atol=1e-3).all(axis=1)
    assert 0.03 < swapped.mean() < 0.3
    assert np.allclose(found[swapped, 16, :2], left, atol=1e-3)
    assert np.allclose(found[:, :11, :2], STANDING[:, :11], atol=1e-3)


def test_somebody_is_missed_as_often_as_is_said() -> None:
    track = with_error(missed=0.5).observe(np.random.default_rng(0), 1, STANDING, VISIBLE, SIZE, FPS)
    assert len(track.frames) / len(STANDING) == pytest.approx(1 - 0.5 * 0.12, abs=0.02)


@pytest.mark.parametrize("guesses", [True, False])
def test_hidden_joints_are_guessed_or_reported_as_not_seen(guesses: bool) -> None:
    hidden = VISIBLE.copy()
    hidden[:, 13:] = True
    found = observed(with_error(guesses_hidden=guesses), hidden)
    assert len(found) == len(STANDING)
    if guesses:
        assert (found[:, 13:, 2] < 0.7).all()
        away = np.abs(found[:, 13:, :2] - STANDING[:, 13:])
        assert 3 < away.mean() < 60
    else:
        assert (found[:, 13:] == 0).all()


def test_who_is_mostly_hidden_or_out_of_the_picture_is_not_seen() -> None:
    hidden = VISIBLE.copy()
    hidden[:1000, 5:] = True
    pixels = STANDING.copy()
    pixels[3000:, :, 0] -= 700
    track = PERFECT.observe(np.random.default_rng(0), 1, pixels, hidden, SIZE, FPS)
    assert (track.frames[0], track.frames[-1]) == (1000, 2999)


def test_furniture_hides_the_legs_of_who_is_behind_it_only() -> None:
    camera = Camera(height=1.6, pitch=0.0, frame_size=SIZE)
    table = Furniture(away=4.0, left=-1.0, right=1.0, height=0.8)
    person = np.array(
        [[[0.0, 0.1, away], [0.0, 1.5, away]] for away in (5.0, 3.0)]
    )  # an ankle and a shoulder
    assert table.hides(person, camera).tolist() == [[True, False], [False, False]]
    assert not table.hides(person + np.array([2.0, 0, 0]), camera).any()
