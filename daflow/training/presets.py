"""The protocol of the published re-implementation of DA-Flow on each benchmark, as presets. Needs no torch.

`daflow train --preset` and `daflow evaluate --preset` take them; docs/benchmarks-papers.md has the published figures.
Without a preset nothing of this is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daflow.core.data.windows import LENGTH
from daflow.training.options import Schedule


@dataclass(frozen=True)
class Preset:
    """How a benchmark is trained and evaluated.

    Attributes:
        epochs: passes over the windows.
        window: poses in a window (T).
        scoring_prior_mean: the mean R of the Gaussian of normal windows when they are scored.
        sigma: of the one Gaussian that smooths the scores of each clip, in frames.
        batch_size: windows in a step.
        lr: the learning rate.
        hold_out: share of the clips that is held out of training.
        prior_mean: the mean R in training.
        evidence: what windows are judged by, as for `daflow.core.evidence.parse_channels`.
        schedule: of the learning rate.
        weight_decay: of AdamW, which without any is Adam.
        hops: how many bones apart neighbours in the graph convolution may be.
        protocol: how windows are cut at scoring, as `daflow evaluate --protocol`.
    """

    epochs: int
    window: int
    scoring_prior_mean: float
    sigma: float
    batch_size: int = 256
    lr: float = 5e-4
    hold_out: float = 0.0
    prior_mean: float = 3.0
    evidence: str = "flow"
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    hops: int = 1
    protocol: str = "stgnf"

    def train_defaults(self) -> dict[str, Any]:
        """Return what replaces defaults of `daflow train`, by parameter of the command."""
        return {
            "epochs": self.epochs, "batch_size": self.batch_size, "lr": self.lr, "window": self.window,
            "share": self.hold_out, "prior_mean": self.prior_mean, "evidence": self.evidence,
        }  # fmt: skip

    def evaluate_defaults(self) -> dict[str, Any]:
        """Return what replaces defaults of `daflow evaluate`, by parameter of the command."""
        return {"protocol": self.protocol}


_SHANGHAITECH = Preset(epochs=3, window=LENGTH, scoring_prior_mean=3.0, sigma=8.0)
_UBNORMAL = Preset(epochs=8, window=16, scoring_prior_mean=2.3, sigma=12.0)

# The human-related variants leave frames out of the evaluation; they are trained and scored as the whole sets.
PRESETS = {
    "paper-shanghaitech": _SHANGHAITECH,
    "paper-shanghaitech-hr": _SHANGHAITECH,
    "paper-ubnormal": _UBNORMAL,
    "paper-ubnormal-hr": _UBNORMAL,
}
"""The presets by name."""
