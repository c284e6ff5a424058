"""Abnormal windows on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.perturbation import perturb
from daflow.core.data.windows import Poses


@pytest.fixture
def poses(rng: np.random.Generator) -> Poses:
    slow = np.cumsum(rng.normal(0, 0.05, (300, 2, 24, 1)), axis=2)
    return (rng.standard_normal((300, 2, 1, 18)) + slow).astype(np.float32)


def jumps(poses: Poses) -> np.ndarray:
    return np.abs(np.diff(poses, axis=2)).mean(axis=(1, 2, 3))


def test_they_are_the_same_for_a_seed_and_change_nothing_that_was_there(poses: Poses) -> None:
    before = poses.copy()
    assert np.array_equal(perturb(poses, 200, 1), perturb(poses, 200, 1))
    assert not np.array_equal(perturb(poses, 200, 1), perturb(poses, 200, 2))
    assert np.array_equal(poses, before)


def test_they_are_normalised_again(poses: Poses) -> None:
    found = perturb(poses, 200, 1)
    np.testing.assert_allclose(found[:, 1].std(axis=(1, 2)), 1, rtol=1e-4)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), 0, atol=1e-4)


def test_they_move_as_nobody_does(poses: Poses) -> None:
    assert np.median(jumps(perturb(poses, 300, 1))) > 1.2 * np.median(jumps(poses))


@pytest.mark.parametrize("count", [0, 1, 2, 299, 10_000])
def test_there_are_as_many_as_asked_for_and_as_there_are(poses: Poses, count: int) -> None:
    assert len(perturb(poses, count, 1)) == min(count, len(poses))
