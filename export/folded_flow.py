"""The folded scorer: the trained flow rewritten for inference, exactly.

`daflow.model.flow` is written like the paper; this computes the same number with less than half of the operators:

- **Units.** ActNorm is affine, so no tensor needs it: each of the two channels stays in the units of the input, the two
  numbers of `z = scale u + shift` are tracked, and they become part of the next constants. Swapping the channels is
  renaming them.
- **Constants.** Whatever is affine between two non-linear functions (1x1 convolution, adjacency, 3x7 convolution with
  its zero padding, BatchNorm, units) becomes one matrix and one bias, found by applying the module itself to zero and
  to the unit vectors in double precision.
- **Collapsed joints.** When every joint is connected to every other equally, the coupling network depends only on the
  mean of its channel over joints, one number per frame. The gates over frames are then functions of these means, the
  gates over joints of their maximum or minimum, and the dual attention `g + g gate(v) / 2 + g gate(t) / 2` is a matrix
  product of rank three. Other adjacencies keep the general form.
- **One logarithm.** `relu` holds each scale between sigmoid(2) = 0.88 and 1, so they are multiplied over the steps and
  joints before the logarithm is taken, as long as float32 can hold the product.
- **The 1e-6** beside a sigmoid between 0.88 and 1 is a factor of 1 + 1.0677e-6 to within 7e-8, the rounding of float32:
  a constant as well.

In half precision the flow is computed in float16, and the likelihood, a sum of squares and a logarithm, in float32.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from daflow.core.data.windows import Poses
from daflow.core.evidence import Scored
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import (
    CouplingNetwork,
    DAFlow,
    DualAttention,
    FlowStep,
    FrameAttention,
    ModelConfig,
    SkeletonAttention,
    TemporalConv,
)
from daflow.model.skeleton_graph import JOINTS

_MIN_SCALE = 1 / (1 + math.exp(-2))
_EPSILON = 1e-6 * (1 / _MIN_SCALE + 1) / 2
"""Adding 1e-6 multiplies a scale by 1 + _EPSILON, in the middle of the range of the scales."""

_BATCH = 1024  # windows, to limit the memory

_LOG_RANGE = 80.0
"""Products down to exp(-80) are normal numbers of float32, whose smallest is exp(-87)."""

_OPEN = 40.0
"""A logit whose sigmoid is 1, in float32 and in float16."""

GraphConvolution = Callable[[Tensor], Tensor]
"""From the conditioning channel `(N, 1, T, V)` in its own units to `(N, 2, T, V)`."""


class FoldedFlow(nn.Module):
    """Maps `poses (B, 2, T, 18)` float32 to `nll (B,)` float32, as `DAFlow.nll` does.

    Args:
        model: the trained flow; it is not changed.
        dtype: of the flow, `torch.float32` or `torch.float16`; the likelihood is always float32.
    """

    def __init__(self, model: DAFlow, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        window = model.config.window
        units = _Units(window * JOINTS)
        self.steps = nn.ModuleList()
        with torch.no_grad():
            for step in copy.deepcopy(model).double().eval().steps:
                assert isinstance(step, FlowStep)
                units.enter(step)
                self.steps.append(_Coupling(step.coupling, units, window))
                units.leave()
        self.to(dtype)
        self._dtype = dtype
        self.likelihood = _Likelihood(units, model.config)

    def forward(self, poses: Tensor) -> Tensor:
        """Score windows: the negative log-likelihood in bits per dimension, high means abnormal."""
        z2, z1 = torch.split(poses.to(self._dtype), 1, dim=1)
        scales: Tensor | None = None
        for coupling in self.steps:
            shift, scale = coupling(z1)
            z1, z2 = (z2 + shift) * scale, z1
            scales = scale if scales is None else scales * scale
        assert scales is not None
        nll: Tensor = self.likelihood(torch.cat([z2, z1], dim=1), scales)
        return nll


class FoldedScorer(nn.Module):
    """The folded flow of a checkpoint and the evidence beside it.

    It maps `poses (B, 2, T, 18)` to `nll (B,)`, or with evidence to `score (B,)` and `surprise (B, C)`. The evidence is
    always float32: it is small, and its squares are large.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.flow = FoldedFlow(checkpoint.model, dtype)
        self.evidence = copy.deepcopy(checkpoint.evidence)

    def forward(self, poses: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Score windows, high means abnormal."""
        nll: Tensor = self.flow(poses)
        if self.evidence is None:
            return nll
        found: tuple[Tensor, Tensor] = self.evidence(nll, poses)
        return found

    @torch.no_grad()
    def judge(self, poses: Poses) -> Scored:
        """Score windows `(N, 2, T, 18)` in batches."""
        batches = torch.split(torch.from_numpy(poses), _BATCH)
        if self.evidence is None:
            return Scored(torch.cat([self(batch) for batch in batches]).numpy())
        score, surprise = (torch.cat(parts).numpy() for parts in zip(*map(self, batches), strict=True))
        return Scored(score, surprise)


class _Likelihood(nn.Module):
    """From `z` in units and the product of the scales to the score; always float32, since it sums 864 squares."""

    scale: Tensor
    shift: Tensor

    def __init__(self, units: _Units, config: ModelConfig) -> None:
        super().__init__()
        cells = config.window * JOINTS
        self._bits = math.log(2) * 2 * cells
        self._constant = (cells * math.log(2 * math.pi) - units.log_det) / self._bits
        self._joints_before_log = -config.steps * JOINTS * math.log(_MIN_SCALE) < _LOG_RANGE
        # (z - R)^2 / 2 / bits = (scale u + shift)^2
        root = math.sqrt(0.5 / self._bits)
        self.register_buffer("scale", (units.scale * root).view(2, 1, 1).float())
        self.register_buffer("shift", ((units.shift - config.prior_mean) * root).view(2, 1, 1).float())

    def forward(self, u: Tensor, scales: Tensor) -> Tensor:
        z = u.float() * self.scale + self.shift
        return (z * z).sum(dim=(1, 2, 3)) - (self._log_det(scales.float()) / self._bits - self._constant)

    def _log_det(self, scales: Tensor) -> Tensor:
        if self._joints_before_log:
            return scales.prod(dim=3).log().sum(dim=(1, 2))
        return scales.log().sum(dim=(1, 2, 3))


class _Units:
    """The units `u` of each channel: `z = scale u + shift`. The first channel conditions, the second is transformed."""

    def __init__(self, cells: int) -> None:
        self.scale = torch.ones(2, dtype=torch.float64)
        self.shift = torch.zeros(2, dtype=torch.float64)
        self.log_det = 0.0
        self._cells = cells

    def enter(self, step: FlowStep) -> None:
        """Take ActNorm and the swap of the channels into the units."""
        norm = step.actnorm
        scale = norm.log_scale.exp().flatten()
        self.scale = (self.scale * scale).flip(0)
        self.shift = ((self.shift + norm.bias.flatten()) * scale).flip(0)
        self.log_det += self._cells * float(norm.log_scale.sum())

    def leave(self) -> None:
        """Account for `u <- (u + shift) * sigmoid`: it includes the shift of the units, but not the factor of 1e-6."""
        self.scale[1] *= 1 + _EPSILON
        self.shift[1] = 0.0
        self.log_det += self._cells * math.log1p(_EPSILON)


class _Affine(nn.Module):
    """`x W + b`: the affine `function` of `(N, inputs)` as one Gemm, whatever it is made of."""

    weight: Tensor
    bias: Tensor

    def __init__(self, function: Callable[[Tensor], Tensor], inputs: int) -> None:
        super().__init__()
        bias = function(torch.zeros(1, inputs, dtype=torch.float64)).flatten(1)
        self.register_buffer("weight", function(torch.eye(inputs, dtype=torch.float64)).flatten(1) - bias)
        self.register_buffer("bias", bias[0])

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


class _Coupling(nn.Module):
    """Maps the conditioning channel `(B, 1, T, V)` to shift and scale of the other, in the units of both."""

    residual: Tensor | None
    floor: Tensor

    def __init__(self, network: CouplingNetwork, units: _Units, window: int) -> None:
        super().__init__()
        scale, shift = units.scale[0].item(), units.shift[0].item()

        def graph_conv(u: Tensor) -> Tensor:
            result: Tensor = network.graph_conv(u * scale + shift)
            return result

        one = torch.ones((), dtype=torch.float64)
        unit = torch.stack([1 / units.scale[1], one]).view(2, 1, 1)
        # max(h, 0) + c = max(h + c, c), where c is the shift of the units, and the 2 of sigmoid(h + 2).
        floor = torch.stack([units.shift[1], 2 * one]).view(2, 1, 1) * unit
        offset, weight = floor, None
        if (residual := network.residual) is not None:
            linear = _Affine(lambda u: residual((u * scale + shift).view(-1, 1, 1, 1)), 1)
            weight = linear.weight.view(2, 1, 1) * unit
            offset = floor + linear.bias.view(2, 1, 1) * unit
        self.register_buffer("residual", weight)
        self.register_buffer("floor", floor)
        collapsed, block = network.graph_conv.collapsed, network.block
        if isinstance(block, DualAttention):
            form = _CollapsedAttention if collapsed else _GeneralAttention
            self.block: nn.Module = form(graph_conv, block, unit, offset, window)
        else:
            assert isinstance(block, TemporalConv)
            temporal = _CollapsedTemporal if collapsed else _GeneralTemporal
            self.block = temporal(graph_conv, block, unit, offset, window)

    def forward(self, z1: Tensor) -> tuple[Tensor, Tensor]:
        h = self.block(z1)
        if self.residual is not None:
            h = h + z1 * self.residual
        shift, raw = torch.split(torch.maximum(h, self.floor).expand(-1, -1, -1, JOINTS), 1, dim=1)
        return shift, torch.sigmoid(raw)


class _CollapsedAttention(nn.Module):
    """The dual attention when all joints receive the same: a product `(T x rank) (rank x V)` for each channel."""

    def __init__(
        self, graph_conv: GraphConvolution, block: DualAttention, unit: Tensor, offset: Tensor, window: int
    ) -> None:  # fmt: skip
        super().__init__()
        skeleton, frame = _branches(block)

        def features(means: Tensor) -> Tensor:
            return graph_conv(means.view(-1, 1, window, 1))

        def values(means: Tensor) -> Tensor:
            g = features(means) * unit
            return torch.cat([g + offset, *[g / 2 for _ in block.branches]], dim=3)

        def frame_logits(means: Tensor) -> Tensor:
            columns = [torch.full((len(means), 2, window, 1), _OPEN, dtype=means.dtype)] * self._rank
            if frame is not None:
                columns[1] = _over_frames(frame, features(means).amax(dim=3))
            return torch.cat(columns, dim=3)

        # The largest value of an affine function over frames is that of the largest or of the smallest mean.
        slope = (
            graph_conv(torch.ones(1, 1, 1, 1).double()) - graph_conv(torch.zeros(1, 1, 1, 1).double())
        ).view(2)
        extremes = [torch.amax] * bool((slope > 0).any()) + [torch.amin] * bool((slope <= 0).any())

        def joint_logits(extreme: Tensor) -> Tensor:
            high, low = extreme[:, 0].view(-1, 1, 1, 1), extreme[:, -1].view(-1, 1, 1, 1)
            peak = torch.where(slope.view(2, 1, 1) > 0, graph_conv(high), graph_conv(low)).squeeze(3)
            rows = torch.full((len(extreme), 2, self._rank, JOINTS), _OPEN, dtype=extreme.dtype)
            assert skeleton is not None
            rows[:, :, -1] = skeleton.logits(peak.expand(-1, -1, JOINTS))
            return rows

        self._window, self._rank, self._extremes = window, 1 + len(block.branches), extremes
        self.values = _Affine(values, window)
        self.frame_gates = _Affine(frame_logits, window) if frame is not None else None
        self.joint_gates = _Affine(joint_logits, len(extremes)) if skeleton is not None else None

    def forward(self, z1: Tensor) -> Tensor:
        means = z1.mean(dim=(1, 3))
        left: Tensor = self.values(means)
        if self.frame_gates is not None:
            left = left * torch.sigmoid(self.frame_gates(means))
        left = left.view(-1, 2, self._window, self._rank)
        if self.joint_gates is None:
            return left.sum(dim=3, keepdim=True)
        extreme = torch.cat([function(means, 1, keepdim=True) for function in self._extremes], dim=1)
        right = torch.sigmoid(self.joint_gates(extreme)).view(-1, 2, self._rank, JOINTS)
        product: Tensor = left @ right
        return product


class _CollapsedTemporal(nn.Module):
    """STG-NF's block when all joints receive the same: two matrices over the window and a ReLU between."""

    def __init__(
        self, graph_conv: GraphConvolution, block: TemporalConv, unit: Tensor, offset: Tensor, window: int
    ) -> None:  # fmt: skip
        super().__init__()
        before, _, conv, after = block
        self._window = window
        self.hidden = _Affine(lambda means: before(graph_conv(means.view(-1, 1, window, 1))), window)
        self.result = _Affine(lambda h: after(conv(h.view(-1, 2, window, 1))) * unit + offset, 2 * window)

    def forward(self, z1: Tensor) -> Tensor:
        result: Tensor = self.result(torch.relu(self.hidden(z1.mean(dim=(1, 3)))))
        return result.view(-1, 2, self._window, 1)


class _JointMatrix(nn.Module):
    """A graph convolution of any adjacency, and what is affine behind it, as a matrix over joints for each channel."""

    weight: Tensor
    bias: Tensor

    def __init__(self, function: GraphConvolution) -> None:
        super().__init__()
        linear = _Affine(lambda u: function(u.view(-1, 1, 1, JOINTS)), JOINTS)
        self.register_buffer("weight", linear.weight.view(JOINTS, 2, JOINTS).transpose(0, 1).contiguous())
        self.register_buffer("bias", linear.bias.view(2, 1, JOINTS))

    def forward(self, z1: Tensor) -> Tensor:
        return z1 @ self.weight + self.bias


class _GeneralAttention(nn.Module):
    """The dual attention for any adjacency: `(gate(v) + gate(t) + 2) g / 2`."""

    offset: Tensor

    def __init__(
        self, graph_conv: GraphConvolution, block: DualAttention, unit: Tensor, offset: Tensor, window: int
    ) -> None:  # fmt: skip
        super().__init__()
        skeleton, frame = _branches(block)
        half = unit / 2
        self._window = window
        self.features = _JointMatrix(lambda u: graph_conv(u) * half)
        self.joint_gates = self.frame_gates = None
        if skeleton is not None:
            self.joint_gates = _Affine(
                lambda pooled: skeleton.logits(pooled.view(-1, 2, JOINTS) / half[:, :, 0]), 2 * JOINTS
            )
        if frame is not None:
            self.frame_gates = _Affine(
                lambda pooled: _over_frames(frame, pooled.view(-1, 2, window) / half[:, :, 0]), 2 * window
            )
        self.register_buffer("offset", offset)

    def forward(self, z1: Tensor) -> Tensor:
        g: Tensor = self.features(z1)
        gates: Tensor | float = 2.0
        if self.frame_gates is not None:
            logits = self.frame_gates(g.amax(dim=3).flatten(1))
            gates = gates + torch.sigmoid(logits).view(-1, 2, self._window, 1)
        if self.joint_gates is not None:
            logits = self.joint_gates(g.amax(dim=2).flatten(1))
            gates = gates + torch.sigmoid(logits).view(-1, 2, 1, JOINTS)
        return g * gates + self.offset


class _GeneralTemporal(nn.Module):
    """STG-NF's block for any adjacency: both of its batch norms are folded."""

    def __init__(
        self, graph_conv: GraphConvolution, block: TemporalConv, unit: Tensor, offset: Tensor, window: int  # noqa: ARG002
    ) -> None:  # fmt: skip
        super().__init__()
        before, _, conv, after = block
        assert isinstance(conv, nn.Conv2d)
        self.hidden = _JointMatrix(lambda u: before(graph_conv(u)))
        shift = after(torch.zeros(1, 2, 1, 1).double())
        gain = (after(torch.ones(1, 2, 1, 1).double()) - shift) * unit
        self.conv = nn.Conv2d(2, 2, kernel_size=conv.kernel_size, padding=conv.padding).double()  # type: ignore[arg-type]
        assert conv.bias is not None
        assert self.conv.bias is not None
        self.conv.weight.copy_(conv.weight * gain.view(2, 1, 1, 1))
        self.conv.bias.copy_((conv.bias.view(2, 1, 1) * gain + shift * unit + offset).flatten())

    def forward(self, z1: Tensor) -> Tensor:
        result: Tensor = self.conv(torch.relu(self.hidden(z1)))
        return result


def _branches(block: DualAttention) -> tuple[SkeletonAttention | None, FrameAttention | None]:
    skeleton = [branch for branch in block.branches if isinstance(branch, SkeletonAttention)]
    frame = [branch for branch in block.branches if isinstance(branch, FrameAttention)]
    return skeleton[0] if skeleton else None, frame[0] if frame else None


def _over_frames(frame: FrameAttention, pooled: Tensor) -> Tensor:
    """The logits of `(N, 2, T)` pooled over joints, `(N, 2, T, 1)`."""
    return frame.logits(pooled.transpose(1, 2)).transpose(1, 2).unsqueeze(3)
