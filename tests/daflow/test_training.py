from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from daflow.errors import InputError
from daflow.model import ModelConfig
from daflow.tracks import read_clips
from daflow.training import TrainOptions, available_device, mirrored, score, train
from daflow.windows import Poses, make_windows


@pytest.fixture(scope="module")
def poses(dataset: Path) -> Poses:
    return make_windows(read_clips(dataset / "train"), stride=6).poses


def test_training_lowers_the_nll(poses: Poses) -> None:
    _, history = train(poses, options=TrainOptions(epochs=4, lr=2e-3))
    assert history == sorted(history, reverse=True)
    assert history[-1] < history[0] - 1


def test_a_seed_repeats_exactly(poses: Poses) -> None:
    first, second = (train(poses, options=TrainOptions(epochs=1, seed=5)) for _ in range(2))
    other = train(poses, options=TrainOptions(epochs=1, seed=6))
    assert first[1] == second[1] != other[1]
    for a, b in zip(first[0].state_dict().values(), second[0].state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_trained_model_prefers_what_it_was_trained_on(poses: Poses, rng: np.random.Generator) -> None:
    model, _ = train(poses, options=TrainOptions(epochs=4, lr=2e-3))
    strange = poses + rng.normal(0, 1, poses.shape).astype(np.float32)
    assert score(model, strange).median() > score(model, poses).quantile(0.99)


def test_mirroring_twice_changes_nothing_and_once_swaps_sides(poses: Poses) -> None:
    windows = torch.from_numpy(poses[:5])
    once = mirrored(windows)
    assert torch.equal(mirrored(once), windows)
    right_wrist, left_wrist = 4, 7
    assert torch.equal(once[:, 0, :, right_wrist], -windows[:, 0, :, left_wrist])
    assert torch.equal(once[:, 1, :, right_wrist], windows[:, 1, :, left_wrist])


def test_scores_do_not_depend_on_the_batch(poses: Poses) -> None:
    model, _ = train(poses[:64], ModelConfig(), TrainOptions(epochs=1))
    together = score(model, poses[:10])
    alone = torch.cat([score(model, poses[i : i + 1]) for i in range(10)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_no_windows_give_no_scores(poses: Poses) -> None:
    model, _ = train(poses[:64], options=TrainOptions(epochs=1))
    assert score(model, poses[:0]).shape == (0,)


def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(InputError, match="nonsense"):
        available_device("nonsense")
