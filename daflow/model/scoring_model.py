"""What scores clips, wherever its weights come from; `load` opens it. A bundle needs no torch."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.bundle import Bundle
from daflow.core.data.plausibility import require_pixels
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import InputError
from daflow.core.evidence import FLOW, Channel, Scored, unit_of
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.onnx import open_graph
from daflow.model.frame_scores import Scores, frame_count, frame_scores

logger = logging.getLogger(__name__)


class ScoringModel(ABC):
    """Scores windows and clips, high means abnormal: in bits per dimension by the flow alone, else in bits.

    Attributes:
        name: what reports call it.
        window: poses in a window (T).
        fps: frames per second that it was trained at; None when that is not known, and windows are frames.
        alarm: the calibrated alarm of a bundle; None without one.
        channels: what the scores are made of; see `daflow.core.evidence`.
    """

    def __init__(
        self, name: str, window: int, fps: float | None = None, alarm: AlarmCalibration | None = None,
        channels: tuple[Channel, ...] = FLOW,
    ) -> None:  # fmt: skip
        self.name = name
        self.window = window
        self.fps = fps
        self.alarm = alarm
        self.channels = channels

    @property
    def unit(self) -> str:
        """The unit of a score."""
        return unit_of(self.channels)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, windows of {self.window} poses>"

    @abstractmethod
    def judge(self, poses: Poses) -> Scored:
        """Score normalised windows `(N, 2, T, 18)` float32, with the surprise of each channel of evidence."""

    def score_windows(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the scores of normalised windows `(N, 2, T, 18)` float32, `(N,)` float32."""
        return self.judge(poses).score

    def score(self, clips: Sequence[Clip]) -> dict[str, Scores]:
        """Return the scores of the frames of each clip.

        A window counts at its middle frame, and a frame has the score of its most abnormal person. Scores are not
        smoothed. A clip of another frame rate than the model's is sampled at the model's rate.

        Args:
            clips: pose tracks, such as `daflow.read_tracks` returns them.

        Returns:
            `(frames,)` float64 by clip name, up to the frame of the last pose; NaN where nobody is scored.

        Raises:
            InputError: two clips have one name, or a frame number is beyond any recording.
        """
        require_usable_clips(clips)
        return {clip.name: self._score_clip(clip) for clip in clips}

    def _score_clip(self, clip: Clip) -> Scores:
        frames = frame_count(clip)
        windows = make_windows([clip], self.window, fps=self.fps)
        if windows.rates:
            logger.warning("clip %s is not scored: %s", clip.name, "; ".join(windows.rates))
        scores = frame_scores(self.score_windows(windows.poses), windows.middle, frames)
        return np.where(np.isneginf(scores), np.nan, scores)


class BundleModel(ScoringModel):
    """A graph of a bundle on ONNX Runtime.

    Attributes:
        bundle: the bundle.
    """

    def __init__(self, bundle: Bundle, precision: Precision = "fp32") -> None:
        manifest = bundle.manifest
        self._scorer = open_graph(bundle, precision)
        super().__init__(
            f"{bundle.folder} ({self._scorer.name})", manifest.window, manifest.fps, manifest.alarm,
            manifest.channels,
        )  # fmt: skip
        self.bundle = bundle

    def judge(self, poses: Poses) -> Scored:
        """Score normalised windows `(N, 2, T, 18)` float32."""
        return self._scorer.judge(poses)


def require_usable_clips(clips: Sequence[Clip]) -> None:
    """Check that each clip has a name of its own and that its coordinates are pixels.

    Raises:
        InputError: two have the same name, or coordinates are fractions of the frame.
    """
    for clip in clips:
        require_pixels(clip)
    name, count = max(Counter(clip.name for clip in clips).items(), key=lambda pair: pair[1], default=("", 0))
    if count > 1:
        raise InputError(f"{count} clips are named {name}; each needs a name of its own.")
