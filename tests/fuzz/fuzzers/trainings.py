"""States of trainings that were stopped: a training continues from them, or says that they are damaged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from daflow.model.flow import ModelConfig
from daflow.training.options import TrainOptions
from daflow.training.trainer import fit

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated, mutated_trees
from .checkpoints import saved, wild_values

_CONFIG = ModelConfig(steps=1, window=4)
_OPTIONS = TrainOptions(epochs=2)
_POSES = np.random.default_rng(0).normal(size=(8, 2, 4, 18)).astype(np.float32)


def _train(state: Path) -> None:
    held_out = np.arange(len(_POSES)) < 2
    fit(_POSES, _CONFIG, _OPTIONS, held_out, state=state)


def _content() -> dict[str, Any]:
    """Return the state after the first of the two epochs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        _train(path)
        content: dict[str, Any] = torch.load(path, weights_only=True)
    return {**content, "history": content["history"][:1], "best": 0}


def _seeds() -> list[Input]:
    content = _content()
    unknown = {**content, "history": [{"training": 1.0, "held_out": None}]}
    return [Input("valid.state", saved(content)), Input("no-held-out.state", saved(unknown))]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    trees = mutated_trees([_content()], wild_values())
    return mutated(inputs, lambda kind, _: trees.map(saved))


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    path = folder / "state"

    def check(given: Input) -> None:
        path.write_bytes(given.content)
        _train(path)
        _train(path)  # of what it has written itself nothing is left to do

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)
