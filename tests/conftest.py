"""What several test modules share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daflow.synthetic import Scene, generate_dataset


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout, which outsiders do not have."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real test data is not here")
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated data set: train, test and masks."""
    folder = tmp_path_factory.mktemp("dataset")
    generate_dataset(folder, seed=1, train_clips=3, test_clips=3, scene=Scene(frames=200))
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)
