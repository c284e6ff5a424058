"""From the scores of windows to the scores of frames, as the field's protocol does it (STG-NF, `scoring_utils`).

A score is a negative log-likelihood in bits per dimension: high means abnormal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


def frame_scores(
    nll: npt.NDArray[np.float32], start: npt.NDArray[np.int64], frames: int, length: int
) -> Scores:
    """Give each frame of a clip the score of the worst person in it.

    A window counts at the frame `start + length // 2`, its middle.

    Args:
        nll: `(N,)` the scores of the clip's windows, all persons together.
        start: `(N,)` the frame numbers at which they begin.
        frames: the number of frames of the clip.
        length: the poses in a window.

    Returns:
        `(frames,)` float64, `-inf` where no window counts.

    >>> frame_scores(np.float32([2.0, 5.0]), np.array([0, 0]), 3, length=2).tolist()
    [-inf, 5.0, -inf]
    """
    scores = np.full(frames, -np.inf)
    middle = start + length // 2
    inside = middle < frames
    np.maximum.at(scores, middle[inside], nll[inside])
    return scores


def fill_empty_frames(clips: Sequence[Scores]) -> list[Scores]:
    """Give frames with nobody in them (`-inf`) the most normal score of the whole data set.

    >>> [clip.tolist() for clip in fill_empty_frames([np.array([-np.inf, 2.0]), np.array([1.0])])]
    [[1.0, 2.0], [1.0]]
    """
    seen = [clip[np.isfinite(clip)] for clip in clips]
    best = min((float(scores.min()) for scores in seen if scores.size), default=0.0)
    return [np.where(np.isneginf(clip), best, clip) for clip in clips]
