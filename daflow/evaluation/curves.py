"""ROC and precision-recall curves of frame scores, and what is read off them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.model.frame_scores import Scores

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """How many frames of each kind have at least each score.

    Attributes:
        thresholds: `(K,)` the scores that occur, falling.
        hits: `(K,)` abnormal frames with at least that score; float64, as all that follows are shares.
        false_alarms: `(K,)` normal frames with at least that score.
    """

    thresholds: Values
    hits: Values
    false_alarms: Values

    @classmethod
    def of(cls, scores: Scores, labels: Labels) -> Curve:
        """Count the frames.

        Args:
            scores: `(N,)` finite.
            labels: `(N,)` 1 for abnormal frames and 0 for normal ones; both kinds occur.
        """
        order = np.argsort(-scores)
        falling, abnormal = scores[order], np.cumsum(labels[order], dtype=np.float64)
        last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)  # of equal scores
        return cls(falling[last], abnormal[last], last + 1 - abnormal[last])

    def roc(self) -> tuple[Values, Values, Values]:
        """Return false alarms and hits as shares, `(P,)` from 0 to 1, and the scores where that is, first infinity.

        Points on a straight line between their neighbours are left out.
        """
        bends = np.diff(self.false_alarms, 2).astype(bool) | np.diff(self.hits, 2).astype(bool)
        kept = np.concatenate([[True], bends, [True]])[: len(self.thresholds)]
        counts = (np.append(0.0, of_kind[kept]) for of_kind in (self.false_alarms, self.hits))
        false_alarms, hits = (count / count[-1] for count in counts)
        return false_alarms, hits, np.append(np.inf, self.thresholds[kept])

    def precision_recall(self) -> tuple[Values, Values]:
        """Return precision and recall at each score, the lowest first, and a last point of precision 1 and recall 0."""
        precision = self.hits / (self.hits + self.false_alarms)
        return np.append(precision[::-1], 1.0), np.append((self.hits / self.hits[-1])[::-1], 0.0)

    def auc(self) -> float:
        """Return the area under the ROC curve, by trapezoids."""
        false_alarms, hits, _ = self.roc()
        return float((np.diff(false_alarms) * (hits[1:] + hits[:-1]) / 2).sum())

    def average_precision(self) -> float:
        """Return the area under the precision-recall curve as a sum of steps: no interpolation, which flatters."""
        precision, recall = self.precision_recall()
        return float(-(np.diff(recall) * precision[:-1]).sum())

    def equal_error_rate(self) -> float:
        """Return the share of false alarms where misses are as frequent, between two points of the ROC curve."""
        false_alarms, hits, _ = self.roc()
        return float(np.interp(0.0, false_alarms + hits - 1, false_alarms))
