"""Boxes: overlap, matching, and the suppression of doubles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.poses.boxes import body_boxes, covered, keypoint_similarity, matches, overlaps, strongest


def boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 50, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], axis=1).astype(np.float32)


@given(seed=st.integers(0, 1000), count=st.integers(0, 12))
def test_overlap_is_symmetric_and_one_only_with_itself(seed: int, count: int) -> None:
    some, others = boxes(seed, count), boxes(seed + 1, 5)
    shared = overlaps(some, others)
    assert shared.shape == (count, 5)
    np.testing.assert_allclose(shared, overlaps(others, some).T, atol=1e-6)
    np.testing.assert_allclose(overlaps(some, some).diagonal(), 1, atol=1e-5)
    assert (shared <= covered(some, others) + 1e-6).all()


@given(seed=st.integers(0, 1000), count=st.integers(0, 20))
def test_of_boxes_that_overlap_the_strongest_stays_and_nobody_is_lost(seed: int, count: int) -> None:
    found = boxes(seed, count)
    scores = np.random.default_rng(seed).permutation(count).astype(np.float32)
    kept = strongest(found, scores, 0.5)
    assert len(set(kept.tolist())) == len(kept)
    alone = overlaps(found[kept], found[kept])
    np.fill_diagonal(alone, 0)
    assert alone.max(initial=0) <= 0.5
    for row in set(range(count)) - set(kept.tolist()):
        near = [
            other for other in kept if overlaps(found[row : row + 1], found[other : other + 1])[0, 0] > 0.5
        ]
        assert any(scores[other] > scores[row] for other in near)


@given(seed=st.integers(0, 1000), some=st.integers(0, 8), others=st.integers(0, 8))
def test_each_box_is_matched_once_and_no_better_pair_is_left(seed: int, some: int, others: int) -> None:
    a, b = boxes(seed, some), boxes(seed + 1, others)
    pairs = matches(a, b, 0.2)
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    assert len(rows) == len(columns) == len(pairs)
    left = overlaps(a, b)[[row for row in range(some) if row not in rows]]
    assert left[:, [column for column in range(others) if column not in columns]].max(initial=0) < 0.2


def test_a_body_is_larger_than_its_joints() -> None:
    pose = np.array([[[0, 0, 1], [10, 100, 1]]], np.float32)
    assert body_boxes(pose).tolist() == [[-7.5, -7.5, 17.5, 107.5]]


def test_skeletons_are_similar_as_far_as_annotators_agree() -> None:
    pose = np.random.default_rng(0).uniform(0, 100, (1, 17, 3)).astype(np.float32)
    moved = pose + np.array([3, 0, 0], np.float32)
    similar, less = keypoint_similarity(pose, moved)[0, 0], keypoint_similarity(pose, pose + 12)[0, 0]
    assert 0.8 < similar < 1
    assert less < similar
    blazepose = np.random.default_rng(0).uniform(0, 100, (2, 33, 3)).astype(np.float32)
    assert keypoint_similarity(blazepose, blazepose).diagonal().tolist() == [1, 1]
