"""Fitting the evidence beside the flow, and the surprise of all channels, on normal windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.data.windows import Poses
from daflow.core.errors import InputError
from daflow.core.evidence import Channel
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
from daflow.model.flow import DAFlow
from daflow.model.torch_scorer import score
from daflow.training.trainer import mirrored

logger = logging.getLogger(__name__)

MOMENT_SECONDS = 0.15
"""Time over which the movement of the joints is taken."""

_BLOCK = 4096  # windows, to limit the memory
_FEW = 64  # windows


def fit_evidence(
    channels: Sequence[Channel], model: DAFlow, poses: Poses, fps: float | None, augment: bool = True
) -> Evidence:
    """Fit the channels beside the flow, and the surprise of all, on normal windows.

    Args:
        channels: of `daflow.core.evidence.CHANNELS`, in their order.
        model: the trained flow.
        poses: `(N, 2, T, 18)` normal windows; when they are mapped from a file they are read in parts.
        fps: frames per second of the windows; None takes 25.
        augment: whether the mirrored windows are normal too.

    Raises:
        InputError: the windows do not vary: all hold one pose, or nobody moves.
    """
    if len(poses) < _FEW:
        logger.warning(
            "%d windows are too few to know how rare a posture or a movement is; --evidence flow does without",
            len(poses),
        )  # fmt: skip
    windows = _Windows(poses, augment)
    others: dict[Channel, Shape | Motion] = {}
    if "shape" in channels:
        others["shape"] = Shape(_gaussian(windows, centred_poses, "posture"))
    if "motion" in channels:
        lag = min(max(1, round(MOMENT_SECONDS * (fps or DEFAULT_FPS))), model.config.window - 1)
        steps = _gaussian(windows, lambda x: displacements(x, lag), "movement")
        travel = np.mean(np.concatenate(list(windows.each(travelled))))
        if not travel > 0:
            raise _nothing_varies("way of a body")
        others["motion"] = Motion(steps, lag, torch.tensor(travel, dtype=torch.float32))
    scorer = Evidence(len(poses), others, Surprise.unfitted(len(channels), 1))
    with torch.no_grad():
        scores = [
            scorer.scores(nll, torch.from_numpy(block))
            for nll, block in zip(torch.split(score(model, poses), _BLOCK), _blocks(poses), strict=True)
        ]
    evidence = Evidence(len(poses), others, Surprise.fitted(torch.cat(scores).numpy()))
    return evidence.to(next(model.parameters()).device).eval()


class _Windows:
    """Normal windows, and their mirror images."""

    def __init__(self, poses: Poses, augment: bool) -> None:
        self._poses, self._augment = poses, augment

    def each(self, function: Callable[[Tensor], Tensor]) -> Iterator[npt.NDArray[np.float64]]:
        """Yield what a function makes of a part of the windows."""
        for block in _blocks(self._poses):
            x = torch.from_numpy(block)
            for part in (x, mirrored(x)) if self._augment else (x,):
                yield function(part).double().numpy()


def _gaussian(windows: _Windows, function: Callable[[Tensor], Tensor], what: str) -> Gaussian:
    try:
        return Gaussian.fitted(windows.each(lambda x: function(x).flatten(0, 1)))
    except ValueError:
        raise _nothing_varies(what) from None


def _nothing_varies(what: str) -> InputError:
    return InputError(
        f"The normal windows hold no {what} that varies, so none can be judged by it. Train with --evidence flow."
    )


def _blocks(poses: Poses) -> Iterator[Poses]:
    return (np.ascontiguousarray(poses[first : first + _BLOCK]) for first in range(0, len(poses), _BLOCK))
