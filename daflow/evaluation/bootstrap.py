"""How far the micro AUC would move with other clips: the bootstrap over clips.

Frames of one clip are alike, so that an interval over frames would be far too narrow. The AUC of a resample follows
from how often the abnormal frames of one clip are above the normal frames of another, for each pair of clips, so that
frames are sorted once and not for every resample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.model.frame_scores import Scores

MIN_CLIPS = 5
"""With fewer clips there is no interval: there are too few ways to draw them."""

_RESAMPLES = 1000
_CONFIDENCE = 0.95
_BINS = 4096  # of ranks; an AUC moves by less than 1 / _BINS


@dataclass(frozen=True)
class Interval:
    """The ends of a 95 % interval, fractions."""

    low: float
    high: float


class ClipBootstrap:
    """Draws the same clips for every score, so that differences between scores have intervals too.

    Args:
        masks: the labels of each frame by clip name.
        seed: of the draws.
    """

    def __init__(self, masks: Mapping[str, Labels], seed: int = 0) -> None:
        self._masks = {name: mask for name, mask in masks.items() if (mask >= 0).any()}
        clips = len(self._masks)
        self._draws = np.random.default_rng(seed).multinomial(
            clips, np.full(clips, 1 / max(clips, 1)), _RESAMPLES
        )

    def aucs(self, scores: Mapping[str, Scores]) -> npt.NDArray[np.float64]:
        """Return the micro AUC of each draw, `(1000,)`; NaN where only one kind of frame was drawn.

        Args:
            scores: of each frame by clip name.
        """
        # Of each clip (C) and rank (R), (C, R). All are whole numbers or halves below 2^53: no sum is rounded.
        normal, abnormal = np.stack(_rank_counts(scores, self._masks), axis=1).astype(np.float64)
        below = np.cumsum(normal, axis=1) - normal
        wins = abnormal @ (below + normal / 2).T  # (C, C), frames of one rank are ties
        draws = self._draws.astype(np.float64)
        pairs = (draws @ normal.sum(axis=1)) * (draws @ abnormal.sum(axis=1))
        won = ((draws @ wins) * draws).sum(axis=1)
        return np.asarray(np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))

    def interval(self, values: npt.NDArray[np.float64]) -> Interval | None:
        """Return the interval of figures of the draws; None with fewer than `MIN_CLIPS` clips."""
        values = values[np.isfinite(values)]
        if len(self._masks) < MIN_CLIPS or not len(values):
            return None
        low, high = np.quantile(values, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
        return Interval(float(low), float(high))


def _rank_counts(scores: Mapping[str, Scores], masks: Mapping[str, Labels]) -> list[npt.NDArray[np.int64]]:
    """Return how many normal and abnormal frames of each clip have each rank, `(2, bins)`."""
    joined = np.concatenate([scores[name][mask >= 0] for name, mask in masks.items()])
    edges = np.unique(np.quantile(joined, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    counts = []
    for name, mask in masks.items():
        ranks = np.searchsorted(edges, scores[name], side="left")
        counts.append(np.stack([np.bincount(ranks[mask == kind], minlength=_BINS) for kind in (0, 1)]))
    return counts
