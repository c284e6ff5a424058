"""DA-Flow (arXiv 2406.02976): a normalizing flow over windows of skeletons with dual attention, 488 parameters.

A window `x` is `(B, C=2, T=24, V=18)`. Eight steps, each an activation norm, a swap of the two channels and an affine
coupling, carry it to `z`, which under normal behaviour follows a Gaussian of unit variance around `R`. With the TCN
block in place of the dual attention this is STG-NF (arXiv 2211.10946).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field, StrictBool
from torch import Tensor, nn

from daflow.model.skeleton_graph import JOINTS, adjacency


@dataclass(frozen=True)
class ModelConfig:
    """What defines the architecture; stored in checkpoints and bundles, and bounded where they are read.

    Attributes:
        window: poses in a window (T), 24 for ShanghaiTech, 16 for UBnormal.
        steps: flow steps (K).
        block: `dam`, the paper's dual attention, or `tcn`, STG-NF's temporal convolution.
        skeleton_attention: whether the dual attention has its branch over joints.
        frame_attention: whether the dual attention has its branch over frames.
        partition: how the neighbours of a joint are split: `uniform`, `distance` or `spatial`.
        hops: how many bones apart neighbours may be; 8 joins every pair.
        prior_mean: the mean R of the Gaussian of normal windows; abnormal ones have -R.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    window: Annotated[int, Field(strict=True, ge=2, le=256)] = 24
    steps: Annotated[int, Field(strict=True, ge=1, le=64)] = 8
    block: Literal["dam", "tcn"] = "dam"
    skeleton_attention: StrictBool = True
    frame_attention: StrictBool = True
    partition: Literal["uniform", "distance", "spatial"] = "uniform"
    hops: Annotated[int, Field(strict=True, ge=0, le=17)] = 8
    prior_mean: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1000, le=1000)] = 3.0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON and checkpoints."""
        return asdict(self)


class ActNorm(nn.Module):
    """Activation normalisation (Glow, arXiv 1807.03039): one bias and one log-scale for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Choose bias and scale so that this batch comes out with zero mean and unit variance."""
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        deviation = x.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
        self.bias.copy_(-mean)
        self.log_scale.copy_(-torch.log(deviation + 1e-6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `z` and the log-determinant, one scalar for every window."""
        log_det = self.log_scale.sum() * (x.shape[2] * x.shape[3])
        return (x + self.bias) * self.log_scale.exp(), log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Undo `forward`."""
        return z * (-self.log_scale).exp() - self.bias


class _Conv(nn.Conv2d):
    """A convolution whose weights `draw_weights` draws: torch would take them from its global generator."""

    def reset_parameters(self) -> None:
        """Leave the weights as zeros until they are drawn."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class PointwiseConv(_Conv):
    """A 1x1 convolution of one channel, written as the multiplication that it is: several times faster on a CPU."""

    def __init__(self, out_channels: int) -> None:
        super().__init__(1, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, 1, T, V)` to `(B, out_channels, T, V)`."""
        assert self.bias is not None
        return x * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class GraphConv(nn.Module):
    """Graph convolution (arXiv 1801.07455): a 1x1 convolution, then a sum over the neighbours of each joint.

    When every joint receives every other equally (`uniform`, 8 hops), all joints receive the same; then one column
    stands for all of them, and most of the coupling network works on 24 values instead of 24 x 18. This is exact.
    """

    adjacency: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        subsets = adjacency(config.partition, config.hops)
        self.collapsed = len(subsets) == 1 and bool(np.allclose(subsets, 1 / JOINTS))
        self.register_buffer("adjacency", torch.from_numpy(subsets), persistent=False)
        self.conv = PointwiseConv(2 * len(subsets))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, 1, T, V)` to `(B, 2, T, V)`, or to `(B, 2, T, 1)` when all joints receive the same."""
        if self.collapsed:
            collapsed: Tensor = self.conv(x.mean(dim=3, keepdim=True))
            return collapsed
        batch, _, frames, joints = x.shape
        h = self.conv(x).view(batch, -1, 2, frames, joints)
        return torch.einsum("bkctv,kvw->bctw", h, self.adjacency)


class PlaneConv(_Conv):
    """A 3x7 convolution over a small plane, written as the matrix product that it is: several times faster on a CPU."""

    taps: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__(1, 1, kernel_size=(3, 7), padding=(1, 3), bias=False)
        row, column = np.divmod(np.arange(height * width), width)
        # From an input (row of the matrix) to an output (column): which of the 21 weights, 21 for none.
        down, right = row[:, None] - row + 1, column[:, None] - column + 3
        inside = (down >= 0) & (down < 3) & (right >= 0) & (right < 7)
        taps = torch.from_numpy(np.where(inside, 7 * down + right, 21))
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, 1, H, W)` to the same shape."""
        weights = nn.functional.pad(self.weight.view(-1), (0, 1))  # and a zero
        return (x.flatten(1) @ weights[self.taps]).view_as(x)


class AxisAttention(nn.Module):
    """One branch of the dual attention: a gate from the maximum over one axis and a 3x7 convolution over the others."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.conv = PlaneConv(height, width)
        self.norm = nn.BatchNorm2d(1)

    def logits(self, pooled: Tensor) -> Tensor:
        """Map a pooled plane `(B, H, W)` to values of the same shape, before the sigmoid."""
        logits: Tensor = self.norm(self.conv(pooled.unsqueeze(1))).squeeze(1)
        return logits

    def gate(self, pooled: Tensor) -> Tensor:
        """Map a pooled plane `(B, H, W)` to weights between 0 and 1 of the same shape."""
        return torch.sigmoid(self.logits(pooled))


class SkeletonAttention(AxisAttention):
    """Which joints matter: the plane of channels and joints, pooled over time."""

    def forward(self, x: Tensor) -> Tensor:
        """Weights for `(B, C, T, V)`, `(B, C, 1, V)`; a single column stands for all joints."""
        return self.gate(x.amax(dim=2).expand(-1, -1, JOINTS)).unsqueeze(2)


class FrameAttention(AxisAttention):
    """Which moments matter: the plane of time and channels, pooled over joints."""

    def forward(self, x: Tensor) -> Tensor:
        """Weights for `(B, C, T, V)`, `(B, C, T, 1)`."""
        pooled = x.squeeze(3) if x.shape[3] == 1 else x.amax(dim=3)
        gate = self.gate(pooled.transpose(1, 2))  # (B, T, C)
        return gate.transpose(1, 2).unsqueeze(3)


class DualAttention(nn.Module):
    """The paper's DAM: the input plus the mean of what its two attentions see in it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        branches: list[nn.Module] = []
        if config.skeleton_attention:
            branches.append(SkeletonAttention(2, JOINTS))
        if config.frame_attention:
            branches.append(FrameAttention(config.window, 2))
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, T, V)` to the same shape."""
        weighted = x
        # Moments first: where all joints are equal, their weights meet 24 values and not yet 24 x 18.
        for branch in reversed(self.branches):
            weighted = weighted + x * (branch(x) / 2)
        return weighted


class TemporalConv(nn.Sequential):
    """STG-NF's block: batch norm, ReLU, a convolution over half of the window, batch norm."""

    def __init__(self, config: ModelConfig) -> None:
        kernel = config.window // 4 * 2 + 1
        super().__init__(
            nn.BatchNorm2d(2),
            nn.ReLU(),
            _Conv(2, 2, kernel_size=(kernel, 1), padding=(kernel // 2, 0)),
            nn.BatchNorm2d(2),
        )


class CouplingNetwork(nn.Module):
    """What one channel says about the other: `relu(block(graph_conv(z1)) + residual(z1))`, split in shift and scale."""

    def __init__(self, config: ModelConfig, residual: bool) -> None:
        super().__init__()
        self.graph_conv = GraphConv(config)
        self.block = DualAttention(config) if config.block == "dam" else TemporalConv(config)
        self.residual = nn.Sequential(PointwiseConv(2), nn.BatchNorm2d(2)) if residual else None

    def forward(self, z1: Tensor) -> tuple[Tensor, Tensor]:
        """Map `(B, 1, T, V)` to shift and scale of the same shape, the scale between 1e-6 and 1."""
        h = self.block(self.graph_conv(z1))
        if self.residual is not None:
            h = h + self.residual(z1)
        shift, raw = torch.relu(h).expand(-1, -1, -1, JOINTS).chunk(2, dim=1)
        return shift, torch.sigmoid(raw + 2) + 1e-6


class FlowStep(nn.Module):
    """One step of the flow: ActNorm, swap of the channels, affine coupling."""

    def __init__(self, config: ModelConfig, first: bool) -> None:
        super().__init__()
        self.actnorm = ActNorm(channels=2)
        self.coupling = CouplingNetwork(config, residual=not first)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `z`, `(B, 2, T, V)`, and the log-determinant of each window, `(B,)`."""
        z, log_det = self.actnorm(x)
        z2, z1 = z.chunk(2, dim=1)  # the swap
        shift, scale = self.coupling(z1)
        z = torch.cat([z1, (z2 + shift) * scale], dim=1)
        return z, log_det + scale.log().sum(dim=(1, 2, 3))

    def inverse(self, z: Tensor) -> Tensor:
        """Undo `forward`; exact in evaluation mode, where batch norm does not depend on the batch."""
        z1, z2 = z.chunk(2, dim=1)
        shift, scale = self.coupling(z1)
        return self.actnorm.inverse(torch.cat([z1, z2 / scale - shift], dim=1).flip(1))


class DAFlow(nn.Module):
    """The flow: poses to a Gaussian, and from there to a score.

    Args:
        config: the architecture.
        generator: what the initial weights are drawn from; None is torch's global generator.

    >>> sum(p.numel() for p in DAFlow().parameters())
    488
    >>> sum(p.numel() for p in DAFlow(ModelConfig(block="tcn")).parameters())
    616
    >>> DAFlow().eval().nll(torch.randn(5, 2, 24, 18)).shape
    torch.Size([5])
    """

    def __init__(self, config: ModelConfig | None = None, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config or ModelConfig()
        self.steps = nn.ModuleList(
            FlowStep(self.config, first=index == 0) for index in range(self.config.steps)
        )
        draw_weights(self, generator)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Initialise every ActNorm from one batch of windows; once, before training or before scoring untrained."""
        for step in self.steps:
            step.actnorm.initialise(x)  # type: ignore[operator, union-attr]
            x, _ = step(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map windows `(B, 2, T, V)` to `z` of the same shape and log-determinants `(B,)`."""
        z, log_det = x, x.new_zeros(())
        for step in self.steps:
            z, step_log_det = step(z)
            log_det = log_det + step_log_det
        return z, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Map `z` back to windows; exact in evaluation mode."""
        for step in reversed(self.steps):
            z = step.inverse(z)  # type: ignore[operator]
        return z

    def nll(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Score windows: the negative log-likelihood in bits per dimension, high means abnormal.

        Args:
            x: `(B, 2, T, V)` normalised windows.
            labels: `(B,)` 1 for normal and -1 for abnormal windows in supervised training; None means all normal.

        Returns:
            `(B,)`.
        """
        z, log_det = self.forward(x)
        mean: float | Tensor = self.config.prior_mean
        if labels is not None:
            mean = self.config.prior_mean * labels.view(-1, 1, 1, 1).to(z.dtype)
        dimensions = z.shape[1] * z.shape[2] * z.shape[3]
        log_p = -0.5 * (z - mean).square().sum(dim=(1, 2, 3)) - dimensions / 2 * math.log(2 * math.pi)
        return -(log_p + log_det) / (math.log(2) * dimensions)


def draw_weights(model: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw the weights of all convolutions and linear layers as torch's own `reset_parameters` does, in its order.

    Args:
        model: what to initialise, in place.
        generator: the source of the random numbers; None is torch's global one.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            # The bound is 1 / sqrt(inputs): torch takes Kaiming's with a = sqrt(5), which is the same for weights.
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable values."""
    return sum(parameter.numel() for parameter in model.parameters())
