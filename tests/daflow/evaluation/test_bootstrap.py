"""The bootstrap over clips: exact AUCs, and intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from daflow.evaluation.bootstrap import MIN_CLIPS, ClipBootstrap


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([3, 50, 100_000]))
def test_the_auc_of_each_draw_is_that_of_its_frames(seed: int, clips: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    masks = {f"{i}": rng.choice([-1, 0, 1], rng.integers(5, 300)) for i in range(clips)}
    masks["0"][:2] = 0, 1
    scores = {
        name: rng.integers(0, values, len(mask)).astype(np.float64) + mask for name, mask in masks.items()
    }
    bootstrap = ClipBootstrap(masks, seed)
    found = bootstrap.aucs(scores)
    for draw in (0, 1, 999):
        chosen = np.repeat(list(bootstrap._masks), bootstrap._draws[draw])
        labels = np.concatenate([masks[name] for name in chosen])
        joined = np.concatenate([scores[name] for name in chosen])[labels >= 0]
        labels = labels[labels >= 0]
        if len(set(labels.tolist())) == 2:
            assert found[draw] == pytest.approx(roc_auc_score(labels, joined), abs=1e-3)
        else:
            assert np.isnan(found[draw])


def test_most_intervals_hold_the_auc_of_all_clips_that_there_could_be() -> None:
    rng = np.random.default_rng(1)
    everything = []
    for _ in range(60):
        levels = rng.normal(0, 0.5, 20)  # each clip has its own, as real ones do
        masks = {f"{i}": (np.arange(60) >= 30).astype(np.int64) for i in range(20)}
        scores = {f"{i}": rng.normal(levels[i], 1, 60) + masks[f"{i}"] for i in range(20)}
        bootstrap = ClipBootstrap(masks)
        aucs = bootstrap.aucs(scores)
        interval = bootstrap.interval(aucs)
        assert interval is not None
        everything.append((interval, float(np.mean(aucs))))
    truth = float(np.mean([middle for _, middle in everything]))
    held = sum(interval.low <= truth <= interval.high for interval, _ in everything)
    assert 50 <= held <= 60


def test_a_score_is_never_ahead_of_itself() -> None:
    rng = np.random.default_rng(2)
    masks = {f"{i}": rng.integers(0, 2, 50) for i in range(8)}
    scores = {name: rng.normal(size=50) for name in masks}
    bootstrap = ClipBootstrap(masks)
    interval = bootstrap.interval(
        bootstrap.aucs(scores) - bootstrap.aucs({n: 3 * s + 7 for n, s in scores.items()})
    )
    assert interval is not None
    assert (interval.low, interval.high) == (0, 0)


def test_few_clips_have_no_interval() -> None:
    rng = np.random.default_rng(3)
    for clips in (1, MIN_CLIPS - 1, MIN_CLIPS):
        masks = {f"{i}": rng.integers(0, 2, 50) for i in range(clips)}
        masks["ignored"] = np.full(50, -1)
        bootstrap = ClipBootstrap(masks)
        aucs = bootstrap.aucs({name: rng.normal(size=50) for name in masks})
        assert (bootstrap.interval(aucs) is None) == (clips < MIN_CLIPS)
