"""The folded flow is the flow: mathematics, for every configuration and for wild parameters."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.core.scoring.comparison import extreme_windows
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import DAFlow, GraphConv, ModelConfig
from daflow.model.torch_scorer import score
from export.folded_flow import _EPSILON, FoldedFlow, FoldedScorer

CONFIGS = [
    ModelConfig(),
    ModelConfig(skeleton_attention=False),
    ModelConfig(frame_attention=False),
    ModelConfig(skeleton_attention=False, frame_attention=False),
    ModelConfig(partition="uniform", hops=2),
    ModelConfig(partition="uniform", hops=0),
    ModelConfig(partition="distance", hops=1, window=16),
    ModelConfig(partition="spatial", hops=1, skeleton_attention=False),
    ModelConfig(partition="spatial", hops=1, frame_attention=False),
    ModelConfig(partition="distance", hops=8, skeleton_attention=False, frame_attention=False),
    ModelConfig(block="tcn"),
    ModelConfig(block="tcn", partition="spatial", hops=1, window=16),
    ModelConfig(window=5, steps=1),
    ModelConfig(window=7, steps=2, prior_mean=-3.0),
    ModelConfig(window=4, steps=33, prior_mean=0.0),
    ModelConfig(window=3, steps=64, block="tcn", partition="distance", hops=2),
]


def wild(config: ModelConfig, seed: int, spread: float = 0.3, signs: int = 0) -> DAFlow:
    """A flow with random parameters and statistics; `signs` makes all graph convolutions positive or negative."""
    torch.manual_seed(seed)
    model = DAFlow(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, spread)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()  # type: ignore[union-attr, operator]
                module.running_var.uniform_(0.2, 3)  # type: ignore[union-attr, operator]
            if isinstance(module, GraphConv) and signs:
                module.conv.weight.abs_().mul_(signs)
    return model


def assert_equal(model: DAFlow, poses: torch.Tensor) -> None:
    with torch.no_grad():
        found = FoldedFlow(model).eval()(poses).double()
        single = model.nll(poses).double()
        exact = copy.deepcopy(model).double().nll(poses.double())
    scale = exact.abs().clamp(min=1)
    # Where float32 itself costs the module more than 1e-5, the folded flow may be as far from the truth as it is.
    allowed = 1e-5 + 3 * ((single - exact).abs() / scale).max()
    assert ((found - exact).abs() / scale).max() <= allowed


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: "-".join(str(v) for v in c.as_dict().values()))
def test_every_configuration_folds_exactly(config: ModelConfig) -> None:
    model = wild(config, seed=1)
    assert_equal(model, torch.randn(64, 2, config.window, 18))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31), spread=st.sampled_from([0.01, 0.1, 0.5, 1.0]), signs=st.sampled_from([-1, 0, 1]),
    block=st.sampled_from(["dam", "tcn"]), hops=st.sampled_from([1, 8]), size=st.sampled_from([0.1, 1.0, 10.0]),
)  # fmt: skip
def test_wild_parameters_fold_exactly(
    seed: int, spread: float, signs: int, block: str, hops: int, size: float
) -> None:
    config = ModelConfig(block=block, hops=hops, window=8, steps=4)  # type: ignore[arg-type]
    assert_equal(wild(config, seed, spread, signs), size * torch.randn(16, 2, 8, 18))


@pytest.mark.parametrize("signs", [-1, 1])
def test_one_extreme_is_enough_when_all_weights_agree(signs: int) -> None:
    folded = FoldedFlow(wild(ModelConfig(steps=1), 3, signs=signs))
    assert folded.steps[0].block.joint_gates.weight.shape[0] == 1  # type: ignore[union-attr]


def test_both_extremes_are_taken_when_weights_disagree() -> None:
    model = wild(ModelConfig(steps=1), 3)
    with torch.no_grad():
        model.steps[0].coupling.graph_conv.conv.weight.copy_(  # type: ignore[union-attr]
            torch.tensor([0.5, -0.7]).view(2, 1, 1, 1)
        )
    assert FoldedFlow(model).steps[0].block.joint_gates.weight.shape[0] == 2  # type: ignore[union-attr]
    assert_equal(model, torch.randn(32, 2, 24, 18))


def test_extreme_windows_fold_exactly(rng: np.random.Generator) -> None:
    poses = rng.standard_normal((300, 2, 24, 18)).astype(np.float32)
    assert_equal(wild(ModelConfig(), 5, spread=0.1), torch.from_numpy(extreme_windows(poses)))


def test_folding_leaves_the_model_as_it_was() -> None:
    model = wild(ModelConfig(), 2).train()
    before = copy.deepcopy(model.state_dict())
    FoldedFlow(model)
    assert model.training
    assert all(
        torch.equal(before[name], value) and before[name].dtype == value.dtype
        for name, value in model.state_dict().items()
    )


def test_half_precision_takes_and_gives_single(rng: np.random.Generator) -> None:
    model = wild(ModelConfig(), 4, spread=0.1)
    poses = torch.from_numpy(rng.standard_normal((64, 2, 24, 18)).astype(np.float32))
    with torch.no_grad():
        half, single = FoldedFlow(model, torch.float16).eval()(poses), model.nll(poses)
    assert half.dtype == torch.float32
    error = ((half - single).abs() / single.abs().clamp(min=1)).max()
    assert 0 < error < 0.01


def test_the_constant_beside_the_sigmoid_is_a_factor() -> None:
    scale = torch.sigmoid(torch.linspace(2, 40, 10_000, dtype=torch.float64))
    assert ((scale + 1e-6) - scale * (1 + _EPSILON)).abs().max() < 7.5e-8


def test_no_window_gives_no_score() -> None:
    scorer = FoldedScorer(Checkpoint(DAFlow())).eval()
    assert scorer.judge(np.zeros((0, 2, 24, 18), dtype=np.float32)).score.shape == (0,)


@pytest.mark.parametrize("stride", [10, pytest.param(1, marks=pytest.mark.everything)])
def test_real_windows_score_the_same(shared: Path, stride: int) -> None:
    windows = make_windows(read_clips(shared / "data/aihub/pose/test", (1920, 1080)), stride=stride).poses
    model = wild(ModelConfig(), 0, spread=0.1)
    model.initialise(torch.from_numpy(windows[::10]))
    expected = score(model, windows).numpy()
    found = FoldedScorer(Checkpoint(model)).eval().judge(windows).score
    assert np.abs(found - expected).max() <= 1e-5
