"""From the scores of windows to the scores of frames, by the protocol of the field (STG-NF, `scoring_utils`).

A score is a negative log-likelihood in bits per dimension: high means abnormal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from daflow.core.data.tracks import MAX_FRAMES, Clip
from daflow.core.errors import InputError

Scores = npt.NDArray[np.float64]


def frame_count(clip: Clip) -> int:
    """Return the number of frames of a clip, up to its last pose.

    Raises:
        InputError: a frame number is beyond any recording.
    """
    frames = max((int(track.frames[-1]) + 1 for track in clip.tracks if len(track.frames)), default=0)
    if frames > MAX_FRAMES:
        raise InputError(f"Clip {clip.name}: frame {frames - 1} is beyond {MAX_FRAMES}, days of video.")
    return frames


def frame_scores(nll: npt.NDArray[np.float32], middle: npt.NDArray[np.int64], frames: int) -> Scores:
    """Give each frame of a clip the score of the most abnormal person in it.

    Args:
        nll: `(N,)` the scores of the clip's windows, all persons together.
        middle: `(N,)` the numbers of the frames that the windows count at, `Windows.middle`.
        frames: the number of frames of the clip.

    Returns:
        `(frames,)` float64, `-inf` where no window counts.

    >>> frame_scores(np.float32([2.0, 5.0]), np.array([1, 1]), 3).tolist()
    [-inf, 5.0, -inf]
    """
    scores = np.full(frames, -np.inf)
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
