"""Evidence beside the flow, as mathematics: Gaussians, surprise, and their sum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.model.evidence import (
    Evidence,
    Gaussian,
    Motion,
    Shape,
    Surprise,
    centred_poses,
    displacements,
    travelled,
)


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    """Vectors of 36 numbers that vary in three directions, and a little in all."""
    directions = rng.standard_normal((3, 36))
    return 5 + rng.standard_normal((4000, 3)) * (4, 2, 1) @ directions + 0.1 * rng.standard_normal((4000, 36))


def test_normal_vectors_are_one_standard_deviation_away_on_average(vectors: np.ndarray) -> None:
    gaussian = Gaussian.fitted(iter([vectors[:1000], vectors[1000:]]))
    whole = Gaussian.fitted(iter([vectors]))
    x = torch.from_numpy(vectors).float().unsqueeze(1)
    assert float(gaussian(x).mean()) == pytest.approx(1, abs=1e-3)
    assert torch.allclose(gaussian(x), whole(x), rtol=1e-3)


def test_a_step_off_the_normal_directions_counts_more_than_one_along_them(vectors: np.ndarray) -> None:
    gaussian = Gaussian.fitted(iter([vectors]))
    centred = vectors - vectors.mean(axis=0)
    _, _, right = np.linalg.svd(centred, full_matrices=False)
    steps = gaussian.mean + 3 * torch.from_numpy(right[[0, -1]]).float()
    along, off = gaussian(steps.unsqueeze(1)).tolist()
    assert off > 100 * along


def test_what_does_not_vary_has_no_gaussian() -> None:
    with pytest.raises(ValueError, match="do not vary"):
        Gaussian.fitted(iter([np.full((10, 36), 0.1)]))


def test_a_few_vectors_vary_in_few_directions_and_give_no_huge_numbers(rng: np.random.Generator) -> None:
    few = rng.standard_normal((4, 36))
    gaussian = Gaussian.fitted(iter([few]))
    assert torch.isfinite(gaussian.whitening).all()
    found = gaussian(torch.from_numpy(rng.standard_normal((50, 1, 36))).float())
    assert 0 < float(found.min()) < float(found.max()) < 1e5


def test_a_pose_is_the_same_wherever_it_is_and_a_movement_whatever_moves(rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.standard_normal((5, 2, 24, 18))).float()
    moved = x + torch.tensor([3.0, -7.0]).view(1, 2, 1, 1)
    assert torch.allclose(centred_poses(x), centred_poses(moved), atol=1e-5)
    assert torch.allclose(displacements(x, 4), displacements(moved, 4), atol=1e-5)
    assert centred_poses(x).shape == (5, 24, 36)
    assert displacements(x, 4).shape == (5, 20, 36)
    assert float(displacements(x, 4)[2, 3, 18 + 7]) == pytest.approx(float(x[2, 1, 7, 7] - x[2, 1, 3, 7]))


def test_who_walks_twice_as_fast_travels_four_times_as_much() -> None:
    """The centre moves evenly by 0.1 a pose: 1.2 in 12 poses."""
    x = (
        0.1
        * torch.arange(24.0).view(1, 1, 24, 1).expand(1, 2, 24, 18)
        * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    )
    assert float(travelled(x)) == pytest.approx(1.44, rel=1e-4)
    assert float(travelled(2 * x)) == pytest.approx(4 * 1.44, rel=1e-4)
    assert float(travelled(x[:, :, :, :] * 0)) == 0


def test_half_of_the_normal_scores_have_a_bit_and_a_quarter_two(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((8192, 2)).astype(np.float32)
    surprise = Surprise.fitted(scores)(torch.from_numpy(scores)).numpy()
    for bits in range(1, 8):
        assert (surprise >= bits).mean() == pytest.approx(2.0**-bits, rel=0.05)
    assert surprise.min() == pytest.approx(0, abs=1e-3)


def test_beyond_the_normal_scores_the_share_falls_as_their_tail_says() -> None:
    """Of an exponential distribution with mean 2 a share of exp(-x / 2) is above x: x / (2 ln 2) bits, at any x."""
    quantiles = -2 * np.log1p(-(np.arange(100_000) + 0.5) / 100_000)
    surprise = Surprise.fitted(quantiles[:, None].astype(np.float32))
    for x in (1.0, 10.0, 30.0, 200.0):
        assert float(surprise(torch.tensor([[x]]))) == pytest.approx(x / 2 / math.log(2), rel=0.05)


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=200),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=20),
)
@settings(deadline=None)
def test_surprise_never_falls_and_is_finite_whatever_is_normal(
    normal: list[float], found: list[float]
) -> None:
    surprise = Surprise.fitted(np.float32(normal)[:, None])
    bits = surprise(torch.tensor(sorted(found)).view(-1, 1)).flatten()
    assert torch.isfinite(bits).all()
    assert (bits >= 0).all()
    assert (bits.diff() >= 0).all()


def test_the_score_is_the_sum_of_the_surprise(vectors: np.ndarray, rng: np.random.Generator) -> None:
    gaussian = Gaussian.fitted(iter([vectors]))
    normal = rng.standard_normal((500, 3)).astype(np.float32)
    motion = Motion(gaussian, 3, torch.tensor(0.5))
    evidence = Evidence(500, {"shape": Shape(gaussian), "motion": motion}, Surprise.fitted(normal))
    assert evidence.channels == ("flow", "shape", "motion")
    assert evidence.lag == 3
    poses = torch.from_numpy(rng.standard_normal((7, 2, 24, 18))).float()
    nll = torch.linspace(-1, 30, 7)
    score, surprise = evidence(nll, poses)
    assert surprise.shape == (7, 3)
    assert torch.equal(score, surprise.sum(dim=1))
    raw = torch.stack([nll, evidence.others["shape"](poses), evidence.others["motion"](poses)], dim=1)
    assert torch.equal(surprise, evidence.surprise(raw))
    assert (surprise[:, 0].diff() > 0).all()
