"""Whatever `daflow evaluate` can judge, by the name that a user gives: a checkpoint, a bundle, or an untrained flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.bundle import read_bundle
from daflow.core.data.windows import LENGTH, Poses
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.onnx import OnnxScorer


@dataclass(frozen=True)
class ScoringModel:
    """Something that scores windows of `window` poses, and what to call it in a report."""

    name: str
    window: int
    score: Callable[[Poses], npt.NDArray[np.float32]]


def open_scoring_model(
    model: str, precision: Precision = "fp32", seed: int = 0, window: int = LENGTH
) -> ScoringModel:
    """Open a checkpoint file, a bundle folder, or `untrained`, a random flow of this seed and window.

    Raises:
        InputError: it is none of these, or is damaged.
    """
    if model == "untrained":
        return ScoringModel(f"untrained (seed {seed})", window, lambda poses: _untrained(poses, seed))
    path = Path(model)
    if path.is_dir():
        bundle = read_bundle(path)
        scorer = OnnxScorer(bundle.graph(precision), precision, threads=0)
        return ScoringModel(f"{path} ({scorer.name})", bundle.manifest.window, scorer.score)
    from daflow.model.checkpoint import load_checkpoint
    from daflow.model.torch_scorer import score

    flow = load_checkpoint(path).model
    return ScoringModel(str(path), flow.config.window, lambda poses: score(flow, poses).numpy())


def _untrained(poses: Poses, seed: int) -> npt.NDArray[np.float32]:
    """Score with random weights; the activation norms take their scale from the windows themselves, without labels."""
    import torch

    from daflow.model.flow import DAFlow, ModelConfig
    from daflow.model.torch_scorer import score

    torch.manual_seed(seed)
    flow = DAFlow(ModelConfig(window=poses.shape[2])).eval()
    flow.initialise(torch.from_numpy(poses[:: max(1, len(poses) // 1024)]))
    return score(flow, poses).numpy()
