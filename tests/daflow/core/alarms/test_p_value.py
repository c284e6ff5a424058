from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.p_value import normal_scores, p_value


def alarm_of(sample: np.typing.NDArray[np.float64]) -> AlarmCalibration:
    return AlarmCalibration(threshold=9, windows=len(sample), precision="fp32", normal=normal_scores(sample))


def test_there_is_no_p_value_without_a_calibration() -> None:
    assert p_value(AlarmCalibration(threshold=9, windows=1, precision="fp32"), 3.0) is None


@pytest.mark.parametrize("size", [1, 50, 512, 20_000])
def test_p_values_of_fresh_normal_people_are_uniform_or_higher(size: int, rng: np.random.Generator) -> None:
    shares = {level: [] for level in (0.001, 0.01, 0.05, 0.2, 0.5)}
    for _ in range(60):
        alarm = alarm_of(rng.gumbel(size=size))
        p = np.array([p_value(alarm, score) for score in rng.gumbel(size=200).tolist()])
        for level, found in shares.items():
            found.append(float((p <= level).mean()))
    for level, found in shares.items():
        spread = np.std(found) / np.sqrt(len(found))
        assert np.mean(found) <= level + 4 * spread + 1e-9
        if size > 1000 / level:
            assert np.mean(found) >= 0.9 * level - 4 * spread


values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=900)


@given(values, st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_it_is_never_too_low_and_falls_with_the_score(sample: list[float], score: float, more: float) -> None:
    alarm = alarm_of(np.array(sample))
    p = p_value(alarm, score)
    higher = p_value(alarm, score + more)
    assert p is not None
    assert higher is not None
    assert (1 + sum(value >= score for value in sample)) / (len(sample) + 1) <= p <= 1
    assert 1 / (len(sample) + 1) <= higher <= p


def test_a_large_sample_is_kept_small_and_its_tail_exact(rng: np.random.Generator) -> None:
    sample = np.sort(rng.gumbel(size=50_000))
    alarm = alarm_of(sample)
    assert alarm.normal is not None
    assert len(alarm.normal.scores) <= 512
    for rank in (1, 2, 5, 20, 300, 5_000, 25_000):
        p = p_value(alarm, float(sample[-rank]))
        assert p == pytest.approx((rank + 1) / 50_001, rel=0.05)
