"""The untrained flow: random weights, and activation norms that have seen windows; the baseline of every training."""

from __future__ import annotations

import torch

from daflow.core.data.windows import Poses
from daflow.model.flow import DAFlow, ModelConfig

_INITIALISING_WINDOWS = 1024  # about; far more than the mean and variance of a channel need


def untrained_flow(config: ModelConfig, poses: Poses, seed: int) -> DAFlow:
    """Return a flow with random weights whose activation norms fit these windows, in evaluation mode.

    Args:
        config: the architecture.
        poses: `(N, 2, T, 18)` normalised windows, without labels; an even sample of them is used.
        seed: of the weights.
    """
    flow = DAFlow(config, torch.Generator().manual_seed(seed)).eval()
    flow.initialise(torch.from_numpy(poses[:: max(1, len(poses) // _INITIALISING_WINDOWS)]))
    return flow
