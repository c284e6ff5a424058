"""Poses of any frame rate, sampled at the rate of the model."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.data.frame_rate import FrameRate, common_rate
from daflow.core.data.resampling import (
    MAX_RATIO,
    MIN_RATIO,
    ends_of_windows,
    is_same_rate,
    max_step,
    reason_against_rate,
    sample,
)
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import make_windows

rates = st.floats(0.5, 500)


@given(moments=st.lists(st.floats(0, 50), min_size=2, max_size=30, unique=True), share=st.floats(0, 1))
def test_what_moves_evenly_is_sampled_exactly(moments: list[float], share: float) -> None:
    positions = np.array(sorted(moments))
    points = np.stack([3 * positions + 1, -positions], axis=1).astype(np.float32)
    at = positions[0] + share * (positions[-1] - positions[0])
    found = sample(positions, points, np.array([at]))
    np.testing.assert_allclose(found[0], [3 * at + 1, -at], atol=1e-3)


def test_a_moment_of_a_pose_gives_this_pose_even_beside_an_infinite_one() -> None:
    points = np.array([[1.0], [np.inf], [np.nan], [4.0]], dtype=np.float32)
    found = sample(np.arange(4.0), points, np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, points)


def test_a_window_ends_where_its_moments_lie_within_joined_poses() -> None:
    positions = np.array([0.0, 1.5, 3.0, 4.5, 10.0, 11.5, 13.0])
    assert ends_of_windows(positions, 4, 2.0).tolist() == [2, 3, 6]
    assert ends_of_windows(positions, 4, 6.0).tolist() == [2, 3, 4, 5, 6]
    assert ends_of_windows(np.zeros(0), 4, 2.0).tolist() == []


@given(fps=rates, model=rates)
def test_a_rate_is_scored_within_the_limits_and_else_says_why(fps: float, model: float) -> None:
    reason = reason_against_rate(fps, model)
    assert (reason is None) == (MIN_RATIO * model * (1 - 1e-6) <= fps <= MAX_RATIO * model)
    assert max_step(fps, model, 2) >= 3
    if reason is None and not is_same_rate(fps, model):
        assert max_step(fps, model, 2) >= 2 * min(model / fps, 1), "one missing frame does not part a track"


@pytest.mark.parametrize("fps", [5.0, 8.0, 12.5, 20.0, 30.0, 50.0, 59.94])
def test_the_windows_of_any_rate_are_near_those_of_the_model(
    fps: float, at_rate: Callable[[Clip, float], Clip]
) -> None:
    """Generated people at 25, seen at another rate: what the joints do is the same to a few percent."""
    clip, _ = generate_clip("a", 3, Scene(frames=250, people=2, event="none", jitter=0))
    seen = at_rate(clip, fps)
    truth, found = make_windows([clip], fps=25), make_windows([seen], fps=25)
    for row in range(0, len(found), 7):
        time = found.last[row] / fps
        same = (truth.person == found.person[row]) & (np.abs(truth.last / 25 - time) < 0.021)
        if same.any():
            distance = np.abs(truth.poses[same] - found.poses[row]).mean(axis=(1, 2, 3)).min()
            assert distance < 0.12
    expected = len(truth) * fps / 25
    assert expected * 0.95 - 30 < len(found) < expected * 1.05 + 30


def test_a_rate_too_far_from_the_models_gives_no_window_and_says_why() -> None:
    clip, _ = generate_clip("a", 3, Scene(frames=250, people=2, event="none"))
    windows = make_windows([clip], fps=200)
    assert len(windows) == 0
    assert (
        windows.skipped() == "25 frames per second are too few for a model of 200: at least 33.3 are needed"
    )


def test_rates_that_are_near_or_unknown_take_the_poses_as_they_are() -> None:
    clip, _ = generate_clip("a", 3, Scene(frames=100, people=2, event="none"))
    plain = make_windows([clip])
    for fps in (24.6, 25.0, 25.4):
        np.testing.assert_array_equal(make_windows([clip], fps=fps).poses, plain.poses)
    unknown = Clip(clip.name, clip.tracks, clip.frame_size)
    np.testing.assert_array_equal(make_windows([unknown], fps=60).poses, plain.poses)
    np.testing.assert_array_equal(
        make_windows([clip], rule="stgnf", fps=60).poses, make_windows([clip], rule="stgnf").poses
    )


def test_a_training_stride_is_as_long_in_time_at_any_rate() -> None:
    clip, _ = generate_clip("a", 3, Scene(frames=500, people=1, event="none", missed_poses=0, fps=50))
    half = Clip(clip.name, clip.tracks, clip.frame_size, FrameRate.constant(50))
    few, all_ = make_windows([half], stride=6, fps=25), make_windows([half], stride=1, fps=25)
    assert set(np.diff(few.start[few.person == few.person[0]])) == {12}
    assert len(all_) > 11 * len(few)


def test_a_model_is_trained_at_the_median_of_the_known_rates(caplog: pytest.LogCaptureFixture) -> None:
    assert common_rate([FrameRate.constant(10), None, FrameRate.constant(25), FrameRate.constant(25)]) == 25
    assert "the frame rate of 1 of 4 clips is not known" in caplog.text
    caplog.clear()
    assert common_rate([None]) is None
    assert "the frame rate of the recordings is not known" in caplog.text
