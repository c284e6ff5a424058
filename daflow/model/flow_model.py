"""Models that score with PyTorch: the flow of a checkpoint, and the untrained flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Poses, make_windows
from daflow.core.evidence import Scored
from daflow.core.files import StrPath
from daflow.model.checkpoint import Checkpoint, save_checkpoint
from daflow.model.flow import ModelConfig
from daflow.model.frame_scores import Scores
from daflow.model.scoring_model import ScoringModel, require_usable_clips
from daflow.model.torch_scorer import judge, score
from daflow.model.untrained import untrained_flow


class FlowModel(ScoringModel):
    """A flow in PyTorch.

    Attributes:
        checkpoint: the flow, and a summary of its training.
    """

    def __init__(self, checkpoint: Checkpoint, name: str = "model") -> None:
        super().__init__(name, checkpoint.model.config.window, checkpoint.fps, channels=checkpoint.channels)
        self.checkpoint = checkpoint

    def judge(self, poses: Poses) -> Scored:
        """Score normalised windows `(N, 2, T, 18)` float32."""
        return judge(self.checkpoint.model, self.checkpoint.evidence, poses)

    def nll(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the nll of the flow alone, bits per dimension, of windows `(N, 2, T, 18)`, `(N,)` float32."""
        return score(self.checkpoint.model, poses).numpy()

    def save(self, path: StrPath) -> None:
        """Write a checkpoint, whole or not at all; `daflow.load` reads it.

        Args:
            path: the file; where it ends in `.safetensors` it becomes a safetensors file.

        Raises:
            InputError: safetensors is needed and not installed.
            OSError: the folder cannot be written or is full.
        """
        save_checkpoint(Path(path), self.checkpoint)


class UntrainedModel(ScoringModel):
    """A flow with random weights; its activation norms fit the windows that it is to score, without labels."""

    def __init__(self, seed: int, window: int, prior_mean: float = ModelConfig.prior_mean) -> None:
        super().__init__(f"untrained (seed {seed})", window)
        self._seed = seed
        self._prior_mean = prior_mean

    def with_prior_mean(self, mean: float) -> UntrainedModel:
        """Return the same flow with another mean of the Gaussian of normal windows."""
        return UntrainedModel(self._seed, self.window, mean)

    def judge(self, poses: Poses) -> Scored:
        """Score normalised windows `(N, 2, T, 18)` float32."""
        return self._fitted(poses).judge(poses)

    def score(self, clips: Sequence[Clip]) -> dict[str, Scores]:
        """Return the scores of the frames of each clip; see `ScoringModel.score`."""
        require_usable_clips(clips)
        return self._fitted(make_windows(clips, self.window).poses).score(clips)

    def _fitted(self, poses: Poses) -> FlowModel:
        config = ModelConfig(window=self.window, prior_mean=self._prior_mean)
        flow = untrained_flow(config, poses, self._seed)
        return FlowModel(Checkpoint(flow), self.name)
