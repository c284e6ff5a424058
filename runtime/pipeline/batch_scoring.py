"""Scores the windows of many frames in one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.observer import Observation


@dataclass(frozen=True)
class FrameScores:
    """The scores of the people of a frame. Scores that are NaN or infinite are left out.

    Attributes:
        scores: by person.
        surprise: of each channel of evidence, bits, by person; none of the flow alone.
    """

    scores: dict[int, float] = field(default_factory=dict)
    surprise: dict[int, list[float]] = field(default_factory=dict)


def score_batch(scorer: Scorer, observations: Sequence[Observation]) -> list[FrameScores]:
    """Score the windows of many frames in one call of the scorer."""
    batches = [observation.poses for observation in observations if len(observation.poses)]
    if not batches:
        return [FrameScores() for _ in observations]
    found = scorer.judge(batches[0] if len(batches) == 1 else np.concatenate(batches))
    scores = found.score.tolist()
    surprise = [] if found.surprise is None else found.surprise.tolist()
    frames, first = [], 0
    for observation in observations:
        last = first + len(observation.windows)
        finite = {
            p: s for p, s in zip(observation.windows, scores[first:last], strict=True) if math.isfinite(s)
        }
        of_person = dict(zip(observation.windows, surprise[first:last], strict=False))
        frames.append(FrameScores(finite, {person: of_person[person] for person in finite if of_person}))
        first = last
    return frames
