"""Evaluation as the field does it: frame-level ROC AUC over all clips (STG-NF's protocol), and more beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Windows
from daflow.core.errors import InputError
from daflow.evaluation.frame_scores import Scores, fill_empty_frames, frame_scores

logger = logging.getLogger(__name__)

_SIGMAS = range(1, 7)


@dataclass(frozen=True)
class Figures:
    """How well scores separate abnormal from normal frames; None where only one kind is there.

    Attributes:
        auc: area under the ROC curve, a fraction.
        auc_pr: area under the precision-recall curve (average precision) of the abnormal frames, a fraction.
        eer: equal error rate, where false alarms and misses are equally frequent, a fraction.
        frames: labelled frames.
        abnormal: how many of them are abnormal.
    """

    auc: float | None
    auc_pr: float | None
    eer: float | None
    frames: int
    abnormal: int


@dataclass(frozen=True)
class Evaluation:
    """How well a data set's scores separate its frames.

    Attributes:
        micro: the figures over all frames of all clips.
        macro_auc: the mean AUC of the clips that hold both kinds of frames.
        clips: the figures of each clip.
        windows: windows that took part.
        frame_scores: each clip's smoothed scores, one for each frame.
    """

    micro: Figures
    macro_auc: float | None
    clips: dict[str, Figures]
    windows: int
    frame_scores: dict[str, Scores] = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON, without the scores of the frames."""
        return {
            **asdict(self.micro),
            "macro_auc": self.macro_auc,
            "windows": self.windows,
            "clips": {name: asdict(figures) for name, figures in self.clips.items()},
        }


def evaluate(
    nll: npt.NDArray[np.float32],
    windows: Windows,
    clips: Sequence[Clip],
    masks: dict[str, Labels],
    length: int,
) -> Evaluation:
    """Judge the scores of a data set's windows against its frame masks.

    A window counts at its middle frame; a frame has the score of its worst person; frames with nobody have the most
    normal score of the data set; each clip is smoothed by Gaussians of sigma 1 to 6, one after the other; then all
    clips are judged as one. Every masked clip takes part, also when it has no poses.

    Args:
        nll: `(N,)` one score for each window.
        windows: the windows that were scored, made from `clips`.
        clips: the clips.
        masks: the labels of each frame by clip name.
        length: the poses in a window.

    Raises:
        InputError: no clip has a mask, the labels are all of one kind, or a score is NaN or infinite.
    """
    for name in sorted({clip.name for clip in clips} - set(masks)):
        logger.warning("clip %s has no frame mask and is left out", name)
    if strange := int((~np.isfinite(nll)).sum()):
        raise InputError(
            f"{strange} of {len(nll)} windows have a score that is NaN or infinite; the model is broken."
        )
    index = {clip.name: position for position, clip in enumerate(clips)}
    if not set(index) & set(masks):
        raise InputError("No clip has a frame mask of the same name.")
    raw, used = [], 0
    for name, mask in masks.items():
        of_clip = windows.clip == index.get(name, -1)
        used += int(of_clip.sum())
        raw.append(frame_scores(nll[of_clip], windows.start[of_clip], len(mask), length))
    scores = {name: smooth(clip) for name, clip in zip(masks, fill_empty_frames(raw), strict=True)}
    per_clip = {name: figures(scores[name], mask) for name, mask in masks.items()}
    micro = figures(np.concatenate(list(scores.values())), np.concatenate(list(masks.values())))
    if micro.auc is None:
        raise InputError("The frame masks hold only one kind of frame; normal and abnormal are wanted.")
    of_clips = [clip.auc for clip in per_clip.values() if clip.auc is not None]
    return Evaluation(micro, float(np.mean(of_clips)) if of_clips else None, per_clip, used, scores)


def smooth(scores: Scores) -> Scores:
    """Smooth the frame scores of one clip by Gaussians of sigma 1 to 6 frames, one after the other."""
    for sigma in _SIGMAS:
        scores = gaussian_filter1d(scores, sigma)
    return scores


def figures(scores: Scores, labels: Labels) -> Figures:
    """Compare frame scores with labels (1 abnormal, 0 normal, -1 ignored).

    >>> figures(np.array([0.1, 0.2, 0.3, 0.9]), np.array([0, 0, 1, 1])).auc
    1.0
    """
    scores, labels = scores[labels >= 0], labels[labels >= 0]
    abnormal = int(labels.sum())
    if abnormal in (0, len(labels)):
        return Figures(None, None, None, len(labels), abnormal)
    false_alarms, hits, _ = roc_curve(labels, scores)
    # The ROC curve is piecewise linear: it meets the diagonal "misses = false alarms" between two of its points.
    eer = float(np.interp(0.0, false_alarms + hits - 1, false_alarms))
    return Figures(
        auc=float(roc_auc_score(labels, scores)),
        auc_pr=float(average_precision_score(labels, scores)),
        eer=eer,
        frames=len(labels),
        abnormal=abnormal,
    )
