"""The scores of many frames from one call of the scorer, each with its own people."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.windows import Poses
from daflow.core.evidence import Scored
from runtime.pipeline.batch_scoring import score_batch
from runtime.pipeline.observer import Observation
from runtime.sources.frames import Frame

WINDOW = np.ones((2, 24, 18), np.float32)


class Numbered:
    """Scores the first window 0, the next 1, ...; what it says of channels is that number and its square."""

    name = "numbered"

    def __init__(self, evidence: bool) -> None:
        self._evidence = evidence
        self.calls = 0

    def judge(self, poses: Poses) -> Scored:
        self.calls += 1
        scores = np.arange(len(poses), dtype=np.float32)
        scores[scores == 2] = np.nan
        return Scored(scores, np.stack([scores, scores**2], axis=1) if self._evidence else None)


def observed(*people: int) -> Observation:
    windows = dict.fromkeys(people, WINDOW)
    return Observation(
        Frame(0, 0.0, (64, 48)), {}, windows, np.zeros((len(people), 2, 24, 18), np.float32), 0
    )


@pytest.mark.parametrize("evidence", [False, True])
def test_each_frame_gets_the_scores_of_its_people(evidence: bool) -> None:
    scorer = Numbered(evidence)
    frames = score_batch(scorer, [observed(7, 8), observed(), observed(7, 3)])  # type: ignore[arg-type]
    assert scorer.calls == 1
    assert [frame.scores for frame in frames] == [{7: 0.0, 8: 1.0}, {}, {3: 3.0}]
    wanted = [{7: [0.0, 0.0], 8: [1.0, 1.0]}, {}, {3: [3.0, 9.0]}] if evidence else [{}, {}, {}]
    assert [frame.surprise for frame in frames] == wanted


def test_nobody_calls_no_scorer() -> None:
    scorer = Numbered(True)
    assert [frame.scores for frame in score_batch(scorer, [observed(), observed()])] == [{}, {}]  # type: ignore[arg-type]
    assert scorer.calls == 0
