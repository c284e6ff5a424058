from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daflow.model.frame_scores import Scores, fill_empty_frames, frame_scores

NOBODY = -np.inf


def scores_of(windows: list[tuple[float, int]], frames: int, length: int) -> Scores:
    nll = np.array([nll for nll, _ in windows], dtype=np.float32)
    start = np.array([start for _, start in windows], dtype=np.int64)
    return frame_scores(nll, start + length // 2, frames)


def test_a_window_counts_at_its_middle_frame() -> None:
    scores = scores_of([(2.5, 3)], frames=30, length=24)
    assert np.flatnonzero(np.isfinite(scores)).tolist() == [3 + 12]
    assert scores[15] == 2.5


def test_the_worst_person_of_a_frame_wins() -> None:
    assert scores_of([(1.0, 0), (7.0, 0), (-3.0, 0)], frames=2, length=2).tolist() == [NOBODY, 7.0]


def test_a_window_whose_middle_lies_behind_the_clip_is_ignored() -> None:
    assert scores_of([(1.0, 1), (9.0, 2), (9.0, 500)], frames=3, length=2).tolist() == [NOBODY, NOBODY, 1.0]


def test_no_windows_and_no_frames_give_empty_scores() -> None:
    assert scores_of([], frames=2, length=24).tolist() == [NOBODY, NOBODY]
    assert scores_of([(1.0, 0)], frames=0, length=24).tolist() == []


@given(
    st.lists(st.tuples(st.floats(-50, 50, width=32), st.integers(0, 40))),
    st.integers(0, 40),
    st.integers(2, 24),
)
def test_the_scores_are_those_of_a_search_frame_by_frame(
    windows: list[tuple[float, int]], frames: int, length: int
) -> None:
    expected = [
        max((nll for nll, start in windows if start + length // 2 == frame), default=NOBODY)
        for frame in range(frames)
    ]
    assert scores_of(windows, frames, length).tolist() == expected


def test_empty_frames_take_the_most_normal_score_of_all_clips() -> None:
    clips = [np.array([NOBODY, 5.0, 4.0]), np.array([-1.5, NOBODY]), np.array([NOBODY])]
    filled = fill_empty_frames(clips)
    assert [clip.tolist() for clip in filled] == [[-1.5, 5.0, 4.0], [-1.5, -1.5], [-1.5]]


def test_a_data_set_without_anybody_is_filled_with_zeros() -> None:
    assert [clip.tolist() for clip in fill_empty_frames([np.full(2, NOBODY)])] == [[0.0, 0.0]]


def test_an_infinitely_abnormal_frame_is_not_taken_for_an_empty_one() -> None:
    (filled,) = fill_empty_frames([np.array([NOBODY, 1.0, 3.0, np.inf])])
    assert filled[0] == 1.0
    assert filled[3] >= 3.0
