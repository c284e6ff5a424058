"""Evidence beside the flow: how unusual single poses are, and how unusual the movement between them is.

Both are Gaussians with few directions of their own, probabilistic principal components (Tipping and Bishop 1999,
J. R. Stat. Soc. B 61, 611), fitted in closed form on normal windows. What each channel says becomes surprise: minus the
binary logarithm of the share of normal windows that it finds as unusual. The score is the sum, in bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from daflow.core.evidence import FLOW, Channel
from daflow.model.skeleton_graph import JOINTS

DIRECTIONS = 8
"""Directions of a Gaussian with a variance of their own; the others share one."""

LEAST_VARIANCE = 1e-9
"""Of a direction that varies; normalised windows have a variance of 1 in y."""

_VALUES = 2 * JOINTS  # of a pose
_LEAST_SHARE = 1e-5  # of the largest variance: few windows do not vary in all directions
_IN_TAIL = 32  # normal windows above the last level at least
_MAX_LEVELS = 24  # of 2^24 normal windows and more
_LEAST_STEP = 1e-3  # between levels, of the deviation of the scores: many may be equal

Values = npt.NDArray[np.float64]


class Gaussian(nn.Module):
    """How far vectors are from their mean, in standard deviations of normal ones.

    Attributes:
        mean: `(D,)`.
        whitening: `(D, D)`, after which normal vectors have unit variance in each direction.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, mean: Tensor, whitening: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)

    @classmethod
    def unfitted(cls) -> Gaussian:
        """Return one whose numbers are to be loaded."""
        return cls(torch.zeros(_VALUES), torch.zeros(_VALUES, _VALUES))

    @classmethod
    def fitted(cls, parts: Iterable[Values]) -> Gaussian:
        """Fit to vectors `(n, D)`, given part by part.

        Raises:
            ValueError: they do not vary.
        """
        count, total, squares = 0, np.zeros(_VALUES), np.zeros((_VALUES, _VALUES))
        for vectors in parts:
            count += len(vectors)
            total += vectors.sum(axis=0)
            squares += vectors.T @ vectors
        mean = total / count
        variances, directions = np.linalg.eigh(squares / count - np.outer(mean, mean))
        if not variances[-1] > LEAST_VARIANCE:  # the largest is last
            raise ValueError("the normal windows do not vary")
        rest = max(variances[:-DIRECTIONS].mean(), _LEAST_SHARE * variances[-1])
        variances = np.maximum(variances, rest)
        variances[:-DIRECTIONS] = rest
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(directions / np.sqrt(variances)).float())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, D)` to the mean square over N and D, `(B,)`; its mean over normal ones is 1."""
        deviation = (x - self.mean) @ self.whitening
        result: Tensor = (deviation * deviation).mean(dim=(1, 2))
        return result


class Shape(nn.Module):
    """How unusual the single poses of a window are, wherever the person is in it."""

    def __init__(self, poses: Gaussian) -> None:
        super().__init__()
        self.poses = poses

    def forward(self, x: Tensor) -> Tensor:
        """Map windows `(B, 2, T, 18)` to `(B,)`; the mean over normal ones is 1."""
        result: Tensor = self.poses(centred_poses(x))
        return result


class Motion(nn.Module):
    """How unusual the movement in a window is: of the joints over a moment, and of the body over half of the window.

    Attributes:
        steps: the Gaussian of the displacements of the joints.
        lag: poses from one end of a displacement to the other.
        travel: the mean square of the displacement of normal bodies, `()`.
    """

    travel: Tensor

    def __init__(self, steps: Gaussian, lag: int, travel: Tensor) -> None:
        super().__init__()
        self.steps = steps
        self.lag = lag
        self.register_buffer("travel", travel)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows `(B, 2, T, 18)` to `(B,)`; the mean over normal ones is 2."""
        result: Tensor = self.steps(displacements(x, self.lag)) + travelled(x) / self.travel
        return result


def centred_poses(x: Tensor) -> Tensor:
    """Return each pose of windows `(B, 2, T, 18)` around its centre, `(B, T, 36)`."""
    poses = x.transpose(1, 2)
    return (poses - poses.mean(dim=3, keepdim=True)).flatten(2)


def displacements(x: Tensor, lag: int) -> Tensor:
    """Return how far the joints move within `lag` poses, in windows `(B, 2, T, 18)`, `(B, T - lag, 36)`."""
    poses = x.transpose(1, 2)
    return (poses[:, lag:] - poses[:, :-lag]).flatten(2)


def travelled(x: Tensor) -> Tensor:
    """Return the mean square of how far the centre moves within half of a window `(B, 2, T, 18)`, `(B,)`."""
    centre = x.mean(dim=3)
    half = x.shape[2] // 2
    moved = centre[:, :, half:] - centre[:, :, :-half]
    return (moved * moved).sum(dim=1).mean(dim=1)


class Surprise(nn.Module):
    """Turns scores into surprise, in bits: how many of the levels that 1/2, 1/4, 1/8, ... of the normal scores reach.

    Between two levels the surprise grows evenly. The last level is one that at least 32 normal windows exceed; above it
    the share is taken to fall exponentially, as fast as their mean excess says. The lowest normal score has 0 bits.

    Attributes:
        levels: `(C, K)` for each channel the scores at 0, 1, 2, ... bits.
        slopes: `(C, K)` bits per unit of the score above each.
        most: `(K,)` bits that each may give.
    """

    levels: Tensor
    slopes: Tensor
    most: Tensor

    def __init__(self, levels: Tensor, slopes: Tensor) -> None:
        super().__init__()
        self.register_buffer("levels", levels)
        self.register_buffer("slopes", slopes)
        most = torch.ones(levels.shape[1])
        most[-1] = torch.finfo(torch.float32).max
        self.register_buffer("most", most, persistent=False)

    @classmethod
    def unfitted(cls, channels: int, levels: int) -> Surprise:
        """Return one whose numbers are to be loaded."""
        return cls(torch.zeros(channels, levels), torch.zeros(channels, levels))

    @classmethod
    def fitted(cls, scores: npt.NDArray[np.float32]) -> Surprise:
        """Fit to the scores `(N, C)` of normal windows."""
        last = max(0, min(_MAX_LEVELS, int(math.log2(max(1, len(scores) / _IN_TAIL)))))
        values = scores.astype(np.float64)
        least = (_LEAST_STEP * values.std(axis=0) + 1e-6 * (1 + np.abs(values).max(axis=0)))[:, None]
        levels = np.quantile(values, 1 - 2.0 ** -np.arange(last + 1), axis=0).T
        levels += least * np.arange(last + 1)
        excess = [column[column >= top].mean() - top if (column >= top).any() else 0.0
                  for column, top in zip(values.T, levels[:, -1], strict=True)]  # fmt: skip
        steps = np.concatenate([np.diff(levels, axis=1), np.array(excess)[:, None] * math.log(2)], axis=1)
        slopes = 1 / np.maximum(steps, least)
        return cls(torch.from_numpy(levels).float(), torch.from_numpy(slopes).float())

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores `(B, C)` to bits `(B, C)`."""
        above = torch.relu((scores.unsqueeze(2) - self.levels) * self.slopes)
        return torch.minimum(above, self.most).sum(dim=2)


class Evidence(nn.Module):
    """From the flow's nll and the poses to one score, and the surprise of each channel that it is the sum of.

    Attributes:
        channels: in the order of the surprise; the first is the flow.
        windows: how many normal windows it was fitted on.
        others: what judges the poses in the channels beside the flow.
        surprise: of all channels.
    """

    def __init__(self, windows: int, others: Mapping[Channel, Shape | Motion], surprise: Surprise) -> None:
        super().__init__()
        self.channels: tuple[Channel, ...] = (*FLOW, *others)
        self.windows = windows
        self.others = nn.ModuleDict({str(channel): other for channel, other in others.items()})
        self.surprise = surprise

    @classmethod
    def unfitted(cls, channels: Sequence[Channel], windows: int, lag: int, levels: int) -> Evidence:
        """Return one whose numbers are to be loaded; `levels` are those of the surprise."""
        kinds: dict[Channel, Shape | Motion] = {
            "shape": Shape(Gaussian.unfitted()),
            "motion": Motion(Gaussian.unfitted(), lag, torch.zeros(())),
        }
        others = {channel: kinds[channel] for channel in channels[1:]}
        return cls(windows, others, Surprise.unfitted(len(channels), levels))

    @property
    def lag(self) -> int:
        """The lag of the motion; 1 without it."""
        return next((other.lag for other in self.others.values() if isinstance(other, Motion)), 1)

    def forward(self, nll: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
        """Map nll `(B,)` and poses `(B, 2, T, 18)` to the score `(B,)` and the surprise `(B, C)`, in bits."""
        surprise: Tensor = self.surprise(self.scores(nll, poses))
        return surprise.sum(dim=1), surprise

    def scores(self, nll: Tensor, poses: Tensor) -> Tensor:
        """Return what each channel says before it is turned into surprise, `(B, C)`."""
        return torch.stack([nll, *(channel(poses) for channel in self.others.values())], dim=1)
