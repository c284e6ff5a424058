from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from daflow.model.flow import (
    ActNorm,
    DAFlow,
    DualAttention,
    FrameAttention,
    GraphConv,
    ModelConfig,
    PlaneConv,
    SkeletonAttention,
    draw_weights,
    parameter_count,
)

CONFIGURATIONS = [
    ModelConfig(),
    ModelConfig(block="tcn"),
    ModelConfig(skeleton_attention=False),
    ModelConfig(frame_attention=False),
    ModelConfig(partition="distance", hops=2),
    ModelConfig(partition="spatial", hops=1),
    ModelConfig(window=16),
]


def randomised(config: ModelConfig, seed: int = 0) -> DAFlow:
    """A model whose every parameter and batch norm statistic is random, in evaluation mode."""
    torch.manual_seed(seed)
    model = DAFlow(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.4)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.3, 3)
    return model.eval()


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ModelConfig(), 488),
        (ModelConfig(block="tcn"), 616),
        (ModelConfig(skeleton_attention=False), 488 - 8 * 23),
        (ModelConfig(skeleton_attention=False, frame_attention=False), 488 - 8 * 46),
    ],
)
def test_the_parameter_count_is_the_papers(config: ModelConfig, count: int) -> None:
    assert parameter_count(DAFlow(config)) == count


def test_the_first_step_has_54_parameters_and_each_other_62() -> None:
    assert [parameter_count(step) for step in DAFlow().steps] == [54] + 7 * [62]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=str)
def test_inverse_undoes_forward(config: ModelConfig) -> None:
    model = randomised(config)
    x = torch.randn(4, 2, config.window, 18)
    z, _ = model(x)
    assert not torch.allclose(z, x, atol=0.1)
    assert torch.allclose(model.inverse(z), x, atol=1e-4)


@pytest.mark.parametrize(
    "config",
    [ModelConfig(window=4), ModelConfig(window=4, block="tcn"), ModelConfig(window=4, hops=1)],
    ids=str,
)
def test_log_determinant_is_that_of_the_jacobian(config: ModelConfig) -> None:
    model = randomised(config).double()
    x = torch.randn(1, 2, 4, 18, dtype=torch.float64)

    def flat(values: Tensor) -> Tensor:
        return model(values.view(1, 2, 4, 18))[0].flatten()

    jacobian = torch.autograd.functional.jacobian(flat, x.flatten())
    assert model(x)[1].item() == pytest.approx(torch.linalg.slogdet(jacobian).logabsdet.item(), abs=1e-8)


def test_nll_is_the_gaussian_of_z_and_the_log_determinant() -> None:
    model = randomised(ModelConfig())
    x = torch.randn(3, 2, 24, 18)
    z, log_det = model(x)
    log_p = torch.distributions.Normal(3.0, 1.0).log_prob(z).sum(dim=(1, 2, 3))
    expected = -(log_p + log_det) / (np.log(2) * 2 * 24 * 18)
    assert torch.allclose(model.nll(x), expected, atol=1e-5)


def test_abnormal_labels_move_the_prior_to_the_other_side() -> None:
    model = randomised(ModelConfig())
    x = torch.randn(2, 2, 24, 18)
    mirrored_prior = randomised(ModelConfig(prior_mean=-3.0))
    both = model.nll(x, labels=torch.tensor([1, -1]))
    assert torch.allclose(both[0], model.nll(x)[0])
    assert torch.allclose(both[1], mirrored_prior.nll(x)[1])


def test_actnorm_initialises_to_zero_mean_and_unit_variance() -> None:
    norm = ActNorm(2)
    x = torch.randn(64, 2, 24, 18) * torch.tensor([3.0, 0.2]).view(1, 2, 1, 1) + 5
    norm.initialise(x)
    z, log_det = norm(x)
    assert torch.allclose(z.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(z.std(dim=(0, 2, 3), unbiased=False), torch.ones(2), atol=1e-4)
    assert log_det.item() == pytest.approx(float(norm.log_scale.detach().sum() * 24 * 18))


def test_the_collapsed_graph_convolution_is_the_general_one() -> None:
    torch.manual_seed(0)
    conv = GraphConv(ModelConfig())
    draw_weights(conv)
    x = torch.randn(3, 1, 24, 18)
    collapsed = conv(x)
    conv.collapsed = False
    assert collapsed.shape == (3, 2, 24, 1)
    assert torch.allclose(collapsed.expand(-1, -1, -1, 18), conv(x), atol=1e-6)


def test_a_collapsed_model_scores_as_the_general_one() -> None:
    model = randomised(ModelConfig())
    x = torch.randn(5, 2, 24, 18)
    collapsed = model.nll(x)
    for module in model.modules():
        if isinstance(module, GraphConv):
            module.collapsed = False
    assert torch.allclose(collapsed, model.nll(x), atol=1e-5)


@pytest.mark.parametrize("block", ["dam", "tcn"])
def test_a_collapsed_model_has_the_gradients_of_the_general_one(block: Literal["dam", "tcn"]) -> None:
    model = randomised(ModelConfig(block=block)).double().train()
    x = torch.randn(5, 2, 24, 18, dtype=torch.float64)
    collapsed = torch.autograd.grad(model.nll(x).mean(), list(model.parameters()))
    for module in model.modules():
        if isinstance(module, GraphConv):
            module.collapsed = False
    general = torch.autograd.grad(model.nll(x).mean(), list(model.parameters()))
    for ours, theirs in zip(collapsed, general, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # 1 / 18 is kept as float32


def test_dual_attention_is_the_formula_of_the_paper() -> None:
    attention = DualAttention(ModelConfig()).eval()
    draw_weights(attention)
    skeleton, frame = attention.branches
    for joints in (18, 1):
        x = torch.randn(3, 2, 24, joints)
        assert torch.allclose(attention(x), x + x * (skeleton(x) + frame(x)) / 2, atol=1e-6)


def test_skeleton_attention_weights_joints_alike_at_all_times() -> None:
    attention = SkeletonAttention(2, 18).eval()
    draw_weights(attention)
    x = torch.randn(2, 2, 24, 18)
    gate = attention(x).expand_as(x)
    assert torch.allclose(gate, gate[:, :, :1].expand_as(gate), atol=1e-5)
    assert not torch.allclose(gate, gate[..., :1].expand_as(gate), atol=1e-3)


def test_frame_attention_weights_times_alike_at_all_joints() -> None:
    attention = FrameAttention(24, 2).eval()
    draw_weights(attention)
    x = torch.randn(2, 2, 24, 18)
    gate = attention(x).expand_as(x)
    assert torch.allclose(gate, gate[..., :1].expand_as(gate), atol=1e-5)
    assert not torch.allclose(gate, gate[:, :, :1].expand_as(gate), atol=1e-3)


def test_scale_of_the_coupling_stays_between_nothing_and_one() -> None:
    with torch.no_grad():
        _, scale = randomised(ModelConfig()).steps[1].coupling(torch.randn(8, 1, 24, 18) * 100)
    assert float(scale.min()) > 0
    assert float(scale.max()) <= 1 + 2e-6


@pytest.mark.parametrize(("height", "width"), [(2, 18), (24, 2), (4, 2)])
def test_a_convolution_over_a_plane_is_the_matrix_product(height: int, width: int) -> None:
    conv = PlaneConv(height, width)
    draw_weights(conv)
    x = torch.randn(5, 1, height, width)
    assert torch.allclose(conv(x), torch.nn.Conv2d.forward(conv, x), atol=1e-6)
