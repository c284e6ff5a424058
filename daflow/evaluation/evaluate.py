"""Evaluating a model, or scores of any other detector, on labelled clips."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.core.data.label_table import read_labels
from daflow.core.data.mask_checks import mask_warnings, warn_about_masks
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import WindowRule, Windows, make_windows
from daflow.core.errors import InputError
from daflow.core.files import StrPath
from daflow.evaluation.auc import SIGMAS, Evaluation, evaluate_frames, evaluate_windows
from daflow.model.load import load
from daflow.model.scoring_model import ScoringModel, require_usable_clips

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredClips:
    """Clips, their windows, and the score of each window, `(N,)` float32."""

    clips: Sequence[Clip]
    windows: Windows
    nll: npt.NDArray[np.float32]

    def evaluate(self, masks: dict[str, Labels], sigmas: Sequence[float] = SIGMAS) -> Evaluation:
        """Compare the scores with frame masks; see `daflow.evaluation.auc.evaluate_windows`.

        Masks that do not fit their clips are told by warnings.
        """
        warn_about_masks(self.clips, masks)
        return evaluate_windows(self.nll, self.windows, self.clips, masks, sigmas)


def evaluate(
    model: ScoringModel | StrPath | Mapping[str, npt.ArrayLike],
    clips: Sequence[Clip] | None = None,
    *,
    masks: StrPath | Mapping[str, npt.ArrayLike],
    smooth: bool = True,
) -> Evaluation:
    """Evaluate a model, or scores of your own, by frame-level ROC AUC.

    Args:
        model: a model; the name of one, as for `daflow.load`; or the scores of each frame by clip name, high means
            abnormal, NaN where nobody is.
        clips: pose tracks for the model to score; scores of your own need none.
        masks: the labels of each frame, 1 abnormal, 0 normal, -1 ignored: a folder of `<clip>.npy`, a CSV file as for
            `daflow evaluate --labels`, or arrays by clip name.
        smooth: whether frame scores are smoothed as the protocol of the field does it; only scores of your own may do
            without.

    Raises:
        InputError: the model, the masks or the scores cannot be used, no clip has a mask, or the labels are all of one
            kind.
    """
    labels = _labels(masks)
    if isinstance(model, Mapping):
        if clips is not None:
            raise InputError("Give scores of your own without clips; the clips would not be scored.")
        scores = {name: _scores(name, values) for name, values in model.items()}
        for warning in mask_warnings({name: len(values) for name, values in scores.items()}, labels):
            logger.warning(warning)
        return evaluate_frames(scores, labels, smooth)
    if clips is None:
        raise InputError("A model needs clips to score; give clips=daflow.read_tracks(...).")
    if not smooth:
        raise InputError("smooth=False is for scores of your own: evaluate(model.score(clips), masks=...).")
    opened = model if isinstance(model, ScoringModel) else load(model)
    return score_clips(opened, clips).evaluate(labels)


def score_clips(
    model: ScoringModel, clips: Sequence[Clip], rule: WindowRule = "span", source: str = "The list of clips"
) -> ScoredClips:
    """Score all windows of clips.

    Args:
        model: what scores them.
        clips: the clips.
        rule: how windows are cut; see `daflow.core.data.windows.make_windows`.
        source: what a message calls the clips.

    Raises:
        InputError: two clips have one name, or there is no window.
    """
    require_usable_clips(clips)
    windows = make_windows(clips, model.window, rule=rule, fps=model.fps)
    if not len(windows):
        raise InputError(
            f"{source} gives no window of {model.window} poses: {windows.skipped() or 'no poses'}."
        )
    return ScoredClips(clips, windows, model.score_windows(windows.poses))


def _labels(masks: StrPath | Mapping[str, npt.ArrayLike]) -> dict[str, Labels]:
    if isinstance(masks, str | os.PathLike):
        return read_labels(Path(masks))
    found = {}
    for name, values in masks.items():
        mask = np.asarray(values)
        if mask.ndim != 1 or mask.dtype.kind not in "biuf" or not np.isin(mask, (-1, 0, 1)).all():
            raise InputError(f"The mask of clip {name} must be one value of -1, 0 or 1 for each frame.")
        found[name] = mask.astype(np.int64)
    return found


def _scores(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    scores = np.asarray(values)
    if scores.ndim != 1 or scores.dtype.kind not in "biuf":
        raise InputError(f"The scores of clip {name} must be one number for each frame.")
    return scores.astype(np.float64)
