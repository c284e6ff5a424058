"""What scores clips, wherever its weights come from: a checkpoint, a bundle, or an untrained flow.

A bundle needs no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.bundle import Bundle, read_bundle
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import LENGTH, Poses, make_windows
from daflow.core.errors import InputError
from daflow.core.files import StrPath
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.frame_scores import Scores, frame_count, frame_scores


class ScoringModel(ABC):
    """Scores windows and clips: negative log-likelihoods in bits per dimension, high means abnormal.

    Attributes:
        name: what reports call it.
        window: poses in a window (T).
        alarm: the calibrated alarm of a bundle; None without one.
    """

    def __init__(self, name: str, window: int, alarm: AlarmCalibration | None = None) -> None:
        self.name = name
        self.window = window
        self.alarm = alarm

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, windows of {self.window} poses>"

    @abstractmethod
    def score_windows(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the scores of normalised windows `(N, 2, T, 18)` float32, `(N,)` float32."""

    def score(self, clips: Sequence[Clip]) -> dict[str, Scores]:
        """Return the scores of the frames of each clip.

        A window counts at its middle frame, and a frame has the score of its most abnormal person. Scores are not
        smoothed.

        Args:
            clips: pose tracks, such as `daflow.read_tracks` returns them.

        Returns:
            `(frames,)` float64 by clip name, up to the frame of the last pose; NaN where nobody is scored.

        Raises:
            InputError: two clips have one name, or a frame number is beyond any recording.
        """
        require_distinct_names(clips)
        return {clip.name: self._score_clip(clip) for clip in clips}

    def _score_clip(self, clip: Clip) -> Scores:
        frames = frame_count(clip)
        windows = make_windows([clip], self.window)
        scores = frame_scores(self.score_windows(windows.poses), windows.start, frames, self.window)
        return np.where(np.isneginf(scores), np.nan, scores)


class BundleModel(ScoringModel):
    """A graph of a bundle on ONNX Runtime.

    Attributes:
        bundle: the bundle.
    """

    def __init__(self, bundle: Bundle, precision: Precision = "fp32") -> None:
        self._scorer = OnnxScorer(bundle.graph(precision), precision, threads=0)
        super().__init__(
            f"{bundle.folder} ({self._scorer.name})", bundle.manifest.window, bundle.manifest.alarm
        )
        self.bundle = bundle

    def score_windows(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the scores of normalised windows `(N, 2, T, 18)` float32, `(N,)` float32."""
        return self._scorer.score(poses)


def load(
    model: StrPath, precision: Precision = "fp32", *, seed: int = 0, window: int = LENGTH
) -> ScoringModel:
    """Open a model.

    Args:
        model: a checkpoint file, a bundle folder, or `untrained` for a flow with random weights.
        precision: the graph of a bundle, `fp32`, `fp16` or `int8`.
        seed: of the weights of `untrained`.
        window: poses in a window of `untrained`; the other models know theirs.

    Raises:
        InputError: there is no such model, it is damaged, or the bundle has no graph of that precision.
    """
    path = Path(model)
    if model != "untrained" and path.is_dir():
        return BundleModel(read_bundle(path), precision)
    from daflow.model.checkpoint import load_checkpoint
    from daflow.model.flow_model import FlowModel, UntrainedModel

    if model == "untrained":
        return UntrainedModel(seed, window)
    return FlowModel(load_checkpoint(path), str(path))


def score(model: ScoringModel | StrPath, clips: Sequence[Clip]) -> dict[str, Scores]:
    """Return the scores of the frames of each clip; see `ScoringModel.score`.

    Args:
        model: a model, or the name of one as for `load`.
        clips: pose tracks.

    Raises:
        InputError: as `load` and `ScoringModel.score`.
    """
    return (model if isinstance(model, ScoringModel) else load(model)).score(clips)


def require_distinct_names(clips: Sequence[Clip]) -> None:
    """Check that each clip has a name of its own.

    Raises:
        InputError: two have the same.
    """
    name, count = max(Counter(clip.name for clip in clips).items(), key=lambda pair: pair[1], default=("", 0))
    if count > 1:
        raise InputError(f"{count} clips are named {name}; each needs a name of its own.")
