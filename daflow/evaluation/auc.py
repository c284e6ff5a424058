"""Evaluation by the protocol of the field: frame-level ROC AUC over all clips, as STG-NF does it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Windows
from daflow.core.errors import InputError
from daflow.evaluation.curves import Curve
from daflow.model.frame_scores import Scores, fill_empty_frames, frame_scores

logger = logging.getLogger(__name__)

SIGMAS: tuple[float, ...] = (1, 2, 3, 4, 5, 6)
"""Of the Gaussians that smooth the scores of a clip one after the other, in frames, as in STG-NF."""


@dataclass(frozen=True)
class Figures:
    """How well scores separate abnormal from normal frames; None where there is only one kind.

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
        by_clip: how well the highest score of each clip, before smoothing, separates clips with abnormal frames from
            those without; the `frames` of these figures are clips.
        windows: windows that took part; 0 for scores of frames.
        frame_scores: each clip's smoothed scores, one for each frame.
    """

    micro: Figures
    macro_auc: float | None
    clips: dict[str, Figures]
    by_clip: Figures
    windows: int
    frame_scores: dict[str, Scores] = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON, without the scores of the frames."""
        return {
            **asdict(self.micro),
            "macro_auc": self.macro_auc,
            "by_clip": {
                "auc": self.by_clip.auc,
                "clips": self.by_clip.frames,
                "abnormal": self.by_clip.abnormal,
            },
            "windows": self.windows,
            "clips": {name: asdict(figures) for name, figures in self.clips.items()},
        }


def evaluate_windows(
    nll: npt.NDArray[np.float32],
    windows: Windows,
    clips: Sequence[Clip],
    masks: dict[str, Labels],
    sigmas: Sequence[float] = SIGMAS,
) -> Evaluation:
    """Compare the scores of the windows of a data set with its frame masks.

    A window counts at its middle frame, and a frame has the score of its most abnormal person; then as
    `evaluate_frames`.

    Args:
        nll: `(N,)` one score for each window.
        windows: the windows that were scored, made from `clips`.
        clips: the clips.
        masks: the labels of each frame by clip name.
        sigmas: as for `smooth`.

    Raises:
        InputError: no clip has a mask, the labels are all of one kind, or a score is NaN or infinite.
    """
    if invalid := int((~np.isfinite(nll)).sum()):
        raise InputError(
            f"{invalid} of {len(nll)} windows have a score that is NaN or infinite; the model is broken."
        )
    index = {clip.name: position for position, clip in enumerate(clips)}
    raw, used = {name: np.zeros(0) for name in index}, 0
    for name, mask in masks.items():
        if name in index:
            of_clip = windows.clip == index[name]
            used += int(of_clip.sum())
            raw[name] = frame_scores(nll[of_clip], windows.middle[of_clip], len(mask))
    return replace(evaluate_frames(raw, masks, sigmas=sigmas), windows=used)


def evaluate_frames(
    scores: Mapping[str, Scores],
    masks: dict[str, Labels],
    smoothed: bool = True,
    sigmas: Sequence[float] = SIGMAS,
) -> Evaluation:
    """Compare the scores of the frames of a data set with its frame masks.

    Frames with nobody in them have the most normal score of the data set; each clip is smoothed; then all clips are
    compared as one. Every clip with a mask takes part, also without any score.

    Args:
        scores: `(frames,)` by clip name, NaN or `-inf` where nobody is; a clip shorter than its mask has nobody in it
            afterwards, frames beyond the mask are ignored.
        masks: the labels of each frame by clip name.
        smoothed: whether to smooth the clips.
        sigmas: as for `smooth`.

    Raises:
        InputError: no clip has a mask, the labels are all of one kind, or a score is infinite.
    """
    if not set(scores) & set(masks):
        raise InputError("No clip has a frame mask of the same name.")
    filled = fill_empty_frames([_as_long_as(name, mask, scores.get(name)) for name, mask in masks.items()])
    by_clip = _figures_of_clips(filled, masks)
    final = {
        name: smooth(clip, sigmas) if smoothed else clip for name, clip in zip(masks, filled, strict=True)
    }
    per_clip = {name: figures(final[name], mask) for name, mask in masks.items()}
    micro = figures(np.concatenate(list(final.values())), np.concatenate(list(masks.values())))
    if micro.auc is None:
        raise InputError(
            "The frame masks hold only one kind of frame; both normal and abnormal ones are needed."
        )
    of_clips = [clip.auc for clip in per_clip.values() if clip.auc is not None]
    return Evaluation(micro, float(np.mean(of_clips)) if of_clips else None, per_clip, by_clip, 0, final)


def _figures_of_clips(filled: Sequence[Scores], masks: Mapping[str, Labels]) -> Figures:
    labels, highest = [], []
    for clip, mask in zip(filled, masks.values(), strict=True):
        if (mask >= 0).any():
            labels.append(int(mask.max()))
            highest.append(float(clip[mask >= 0].max()))
    return figures(np.array(highest), np.array(labels, dtype=np.int64))


def _as_long_as(name: str, mask: Labels, scores: Scores | None) -> Scores:
    """Return the scores of a clip, one for each frame of its mask, `-inf` where nobody is."""
    scores = np.zeros(0) if scores is None else scores[: len(mask)]
    if np.isposinf(scores).any():
        raise InputError(f"Clip {name} has an infinite score.")
    found = np.full(len(mask), -np.inf)
    found[: len(scores)] = np.where(np.isnan(scores), -np.inf, scores)
    return found


def smooth(scores: Scores, sigmas: Sequence[float] = SIGMAS) -> Scores:
    """Smooth the frame scores of one clip by Gaussians of these sigmas, in frames, one after the other.

    The clip goes on as its mirror image at both ends, and the Gaussian ends after four sigmas, as that of scipy.
    """
    for sigma in sigmas if len(scores) else ():
        reach = int(4 * sigma + 0.5)
        weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-reach, reach + 1) ** 2)
        weights /= weights.sum()
        padded, frames = np.pad(scores, reach, mode="symmetric"), len(scores)
        scores = padded[reach : reach + frames] * weights[reach]
        for lag in range(reach, 0, -1):
            before, after = (padded[first : first + frames] for first in (reach - lag, reach + lag))
            scores += (before + after) * weights[reach - lag]
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
    curve = Curve.of(scores, labels)
    return Figures(
        auc=curve.auc(),
        auc_pr=curve.average_precision(),
        eer=curve.equal_error_rate(),
        frames=len(labels),
        abnormal=abnormal,
    )
