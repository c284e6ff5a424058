"""Is there enough normal data?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.windows import Windows
from daflow.model.scoring_model import ScoringModel

_TOLERANCE = 0.1  # bits/dim, well below the difference between abnormal and normal
_MIN_PEOPLE = 10  # fewer do not give a usable standard deviation
_MAX_WINDOWS = 8192  # about; they take a second to score


@dataclass(frozen=True)
class DataCheck:
    """What a model says of the normal windows that it was trained on.

    Attributes:
        high: the score below which 99 % of them lie, bits per dimension.
        highest: the highest score.
        verdict: whether there is enough normal data.
    """

    high: float
    highest: float
    verdict: str

    def __str__(self) -> str:
        # 0.0005 more, so that it is true after rounding
        return (
            f"99 % of the normal windows score below {self.high:.3f} bits/dim, all below {self.highest + 0.0005:.3f}\n"
            f"{self.verdict}"
        )


def check_data(model: ScoringModel, normal: Windows) -> DataCheck:
    """Score an even sample of the normal windows and say whether there is enough data."""
    rows = np.arange(0, len(normal), max(1, len(normal) // _MAX_WINDOWS))
    nll = model.score_windows(normal.poses[rows])
    high, highest = np.quantile(nll.astype(np.float64), (0.99, 1))
    return DataCheck(float(high), float(highest), enough_data(nll, normal.clip[rows], normal.person[rows]))


def enough_data(
    nll: npt.NDArray[np.float32], clip: npt.NDArray[np.int64], person: npt.NDArray[np.int64]
) -> str:
    """Say whether there is enough normal data, with a number.

    Windows of one person overlap and resemble each other, so people count, not windows. The standard deviation of their
    mean scores gives the standard error of the common mean, and how many people it takes to know that mean within the
    tolerance.

    Args:
        nll: `(N,)` scores of normal windows, bits per dimension.
        clip: `(N,)` their clips.
        person: `(N,)` their people, numbered within each clip.
    """
    _, track = np.unique(np.stack([clip, person]), axis=1, return_inverse=True)
    means = np.bincount(track, nll) / np.bincount(track)
    people = len(means)
    if people < _MIN_PEOPLE:
        return f"WARNING: {people} tracks of people are too few to know what is normal; {_MIN_PEOPLE} are the minimum"
    deviation = float(means.std(ddof=1))
    enough = max(_MIN_PEOPLE, int(np.ceil((deviation / _TOLERANCE) ** 2)))
    known = (
        f"their mean scores differ by {deviation:.2f} bits/dim, so the normal score is known to "
        f"+-{deviation / people**0.5:.3f}"
    )
    if people >= enough:
        return f"enough normal data: {people} tracks of people; {known} (+-{_TOLERANCE} is enough: {enough} tracks)"
    return (
        f"WARNING: {people} tracks of people are little normal data: {known}. About {enough} tracks would make that "
        f"+-{_TOLERANCE}; record more people, at other hours too."
    )
