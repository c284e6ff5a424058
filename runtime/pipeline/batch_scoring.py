"""Scores the windows of many frames in one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.observer import Observation


def score_batch(scorer: Scorer, observations: Sequence[Observation]) -> list[dict[int, float]]:
    """Score the windows of many frames in one call of the scorer.

    Returns:
        The nll by person for each frame, bits per dimension. Scores that are NaN or infinite are skipped.
    """
    batches = [observation.poses for observation in observations if len(observation.poses)]
    if not batches:
        return [{} for _ in observations]
    nll = scorer.score(batches[0] if len(batches) == 1 else np.concatenate(batches)).tolist()
    scores, first = [], 0
    for observation in observations:
        own = nll[first : first + len(observation.windows)]
        first += len(own)
        pairs = zip(observation.windows, own, strict=True)
        scores.append({person: score for person, score in pairs if math.isfinite(score)})
    return scores
