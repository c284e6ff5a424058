"""The frame rate of a recording, measured from the times of its frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.data.frame_rate import FrameRate, measured_rate


@given(fps=st.floats(1, 120), steps=st.lists(st.integers(1, 9), min_size=1, max_size=50))
def test_a_constant_rate_is_found_whatever_frames_are_missing(fps: float, steps: list[int]) -> None:
    frames = [0]
    for step in steps:
        frames.append(frames[-1] + step)
    rate = measured_rate(frames, [frame / fps for frame in frames])
    assert rate is not None
    assert (rate.fps, rate.low, rate.high) == pytest.approx((fps, fps, fps), abs=0.002)


def test_the_mean_maps_frames_to_times_and_the_spread_shows_that_it_varies() -> None:
    times = [0.0, *(0.1 * n for n in range(1, 11)), *(1.0 + 0.5 * n for n in range(1, 11))]
    rate = measured_rate(list(range(21)), times)
    assert rate is not None
    assert rate == FrameRate(round(20 / 6, 3), 2.0, 10.0)


def test_one_frame_has_no_rate() -> None:
    assert measured_rate([3], [1.0]) is None
    assert measured_rate([3, 4], [1.0, 1.0]) is None


def test_the_pauses_of_a_recorder_that_waits_for_motion_do_not_count() -> None:
    times = [0.04 * n + 60.0 * (n // 50) for n in range(200)]
    rate = measured_rate(list(range(200)), times)
    assert rate is not None
    assert (rate.fps, rate.low, rate.high) == pytest.approx((25, 25, 25), abs=0.01)
