"""The presets of the published protocols, and the constant learning rate that they train with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import InputError
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.flow_model import FlowModel
from daflow.model.load import load
from daflow.model.prior_mean import with_prior_mean
from daflow.training import trainer as training
from daflow.training.options import TrainOptions
from daflow.training.presets import PRESETS
from daflow.training.trainer import fit

CONSTANT = TrainOptions(
    epochs=2, batch_size=64, lr=5e-4, weight_decay=0.0, augment=False, schedule="constant"
)


@pytest.fixture(scope="module")
def poses(dataset: Path) -> Poses:
    return make_windows(read_clips(dataset / "train"), stride=6).poses


def test_the_presets_are_the_published_protocols() -> None:
    both = {
        "batch_size": 256, "lr": 5e-4, "hold_out": 0.0, "prior_mean": 3.0, "evidence": "flow",
        "schedule": "constant", "weight_decay": 0.0, "hops": 1, "protocol": "stgnf",
    }  # fmt: skip
    shanghaitech = {"epochs": 3, "window": 24, "scoring_prior_mean": 3.0, "sigma": 8.0}
    ubnormal = {"epochs": 8, "window": 16, "scoring_prior_mean": 2.3, "sigma": 12.0}
    assert {name: asdict(preset) for name, preset in PRESETS.items()} == {
        "paper-shanghaitech": both | shanghaitech,
        "paper-shanghaitech-hr": both | shanghaitech,
        "paper-ubnormal": both | ubnormal,
        "paper-ubnormal-hr": both | ubnormal,
    }


def rates_of(poses: Poses, options: TrainOptions) -> list[float]:
    """Return the learning rate of each step."""
    run = training._Run(poses, ModelConfig(), options, np.zeros(len(poses), np.bool_), None)
    rates: list[float] = []
    run.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    for _ in range(options.epochs):
        run.epoch()
    return rates


def test_the_constant_schedule_keeps_the_rate_and_the_default_one_does_not(poses: Poses) -> None:
    rates = rates_of(poses, CONSTANT)
    assert len(rates) >= 4
    assert set(rates) == {5e-4}
    assert len(set(rates_of(poses, TrainOptions(epochs=2, batch_size=64)))) > 4


def test_the_constant_schedule_without_weight_decay_is_plain_adam(poses: Poses) -> None:
    config = ModelConfig(hops=1)
    random = torch.Generator().manual_seed(CONSTANT.seed)
    model = DAFlow(config, torch.Generator().manual_seed(CONSTANT.seed))
    windows = torch.from_numpy(poses)
    model.initialise(windows[torch.randperm(len(windows), generator=random)[:256]])
    # Fused as in training: biases before a batch norm have no gradient but rounding, which Adam makes a step of.
    adam = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)
    model.train()
    for _ in range(CONSTANT.epochs):
        for chosen in torch.split(torch.randperm(len(windows), generator=random), CONSTANT.batch_size):
            adam.zero_grad()
            model.nll(windows[chosen]).mean().backward()  # type: ignore[no-untyped-call]
            adam.step()
    trained = fit(poses, config, CONSTANT).model
    for expected, found in zip(model.parameters(), trained.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_training_is_not_resumed_with_another_schedule(poses: Poses, tmp_path: Path) -> None:
    state = tmp_path / "state"
    fit(poses, options=TrainOptions(epochs=1), state=state)
    with pytest.raises(InputError, match="with other windows or options"):
        fit(poses, options=TrainOptions(epochs=1, schedule="constant"), state=state)


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(InputError, match="schedule must be one-cycle or constant; it is 'cosine'"):
        TrainOptions(schedule="cosine")  # type: ignore[arg-type]


def test_another_prior_mean_moves_the_score_as_the_formula_says(
    checkpoint: Checkpoint, dataset: Path
) -> None:
    windows = make_windows(read_clips(dataset / "test"), stride=12).poses
    model = FlowModel(checkpoint, "model")
    before = model.score_windows(windows)
    moved = with_prior_mean(model, 2.3)
    with torch.no_grad():
        z, log_det = checkpoint.model(torch.from_numpy(windows))
    log_p = torch.distributions.Normal(2.3, 1.0).log_prob(z.double()).sum(dim=(1, 2, 3))
    expected = -(log_p + log_det) / (np.log(2) * 2 * 24 * 18)
    assert np.allclose(moved.score_windows(windows), expected.numpy(), rtol=1e-5)
    # The difference of the squares, sum((z - 3)^2 - (z - 2.3)^2) / 2, without the rest of the flow.
    sums = z.double().sum(dim=(1, 2, 3)).numpy()
    shift = (0.7 * sums - 864 * (3**2 - 2.3**2) / 2) / (np.log(2) * 864)
    assert np.allclose(moved.score_windows(windows), before + shift, rtol=1e-5)
    assert checkpoint.model.config.prior_mean == 3.0
    assert np.array_equal(model.score_windows(windows), before)
    assert with_prior_mean(model, 3.0) is model


def test_the_untrained_flow_takes_another_prior_mean_too(dataset: Path) -> None:
    windows = make_windows(read_clips(dataset / "test"), stride=12).poses
    untrained = load("untrained")
    moved = with_prior_mean(untrained, 2.3)
    assert (moved.name, moved.window) == (untrained.name, untrained.window)
    assert not np.allclose(moved.score_windows(windows), untrained.score_windows(windows))
    assert np.array_equal(
        with_prior_mean(moved, 3.0).score_windows(windows), untrained.score_windows(windows)
    )


def test_a_model_whose_scores_rest_on_its_prior_mean_keeps_it(exported: Path, evidence_file: Path) -> None:
    bundle = load(exported)
    assert with_prior_mean(bundle, 3.0) is bundle
    with pytest.raises(InputError, match=r"is a bundle, whose graph holds the prior mean 3\.0"):
        with_prior_mean(bundle, 2.3)
    evidence = load(evidence_file)
    assert with_prior_mean(evidence, 3.0) is evidence
    with pytest.raises(InputError, match=r"was fitted with the prior mean 3\.0; scoring with 2\.3 needs a"):
        with_prior_mean(evidence, 2.3)
