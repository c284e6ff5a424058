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
    LEAST_VARIANCE,
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
    channels: Sequence[Channel], model: DAFlow, poses: Poses, fps: float | None, augment: bool = True,
    held_out: npt.NDArray[np.bool_] | None = None,
) -> Evidence:  # fmt: skip
    """Fit the channels beside the flow, and the surprise of all, on normal windows.

    Args:
        channels: of `daflow.core.evidence.CHANNELS`, in their order.
        model: the trained flow.
        poses: `(N, 2, T, 18)` normal windows; when they are mapped from a file they are read in parts.
        fps: frames per second of the windows; None takes 25.
        augment: whether the mirrored windows are normal too.
        held_out: `(N,)` which windows are left out; None leaves out none.

    Raises:
        InputError: the windows do not vary: all hold one pose, or nobody moves.
    """
    rows = np.arange(len(poses)) if held_out is None else np.flatnonzero(~held_out)
    if len(rows) < _FEW:
        logger.warning(
            "%d windows are too few to know how rare a posture or a movement is; --evidence flow does without",
            len(rows),
        )  # fmt: skip
    windows = _Windows(poses, rows, augment)
    others: dict[Channel, Shape | Motion] = {}
    if "shape" in channels:
        others["shape"] = Shape(_gaussian(windows, centred_poses, "posture"))
    if "motion" in channels:
        lag = min(max(1, round(MOMENT_SECONDS * (fps or DEFAULT_FPS))), model.config.window - 1)
        steps = _gaussian(windows, lambda x: displacements(x, lag), "movement")
        travel = np.mean(np.concatenate(list(windows.each(travelled))))
        if not travel > LEAST_VARIANCE:
            raise _nothing_varies("way of a body")
        others["motion"] = Motion(steps, lag, torch.tensor(travel, dtype=torch.float32))
    scorer = Evidence(len(rows), others, Surprise.unfitted(len(channels), 1))
    with torch.no_grad():
        scores = [scorer.scores(score(model, block), torch.from_numpy(block)) for block in windows.blocks()]
    evidence = Evidence(len(rows), others, Surprise.fitted(torch.cat(scores).numpy()))
    return evidence.to(next(model.parameters()).device).eval()


class _Windows:
    """Some of the windows of a file, read in parts, and their mirror images."""

    def __init__(self, poses: Poses, rows: npt.NDArray[np.int64], augment: bool) -> None:
        self._poses, self._rows, self._augment = poses, rows, augment

    def blocks(self) -> Iterator[Poses]:
        """Yield the windows in parts."""
        for first in range(0, len(self._rows), _BLOCK):
            yield self._poses[self._rows[first : first + _BLOCK]]

    def each(self, function: Callable[[Tensor], Tensor]) -> Iterator[npt.NDArray[np.float64]]:
        """Yield what a function makes of a part of the windows."""
        for block in self.blocks():
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
