from __future__ import annotations

import numpy as np
import pytest

from runtime.profiling.statistics import Quartiles, ratios, summarize


def test_a_timing_has_the_percentiles_of_all_rounds_and_the_median_of_each(rng: np.random.Generator) -> None:
    rounds = [rng.gamma(2, scale, 50) for scale in (0.001, 0.002, 0.004)]
    timing = summarize([seconds.tolist() for seconds in rounds])
    values = np.concatenate(rounds) * 1000
    assert timing.count == 150
    assert timing.min_ms == values.min()
    assert timing.max_ms == values.max()
    assert timing.mean_ms == pytest.approx(values.mean())
    assert timing.cv == pytest.approx(values.std() / values.mean())
    for percent in (50, 90, 99):
        assert getattr(timing, f"p{percent}_ms") == pytest.approx(np.percentile(values, percent))
    assert timing.rounds_ms == pytest.approx([1000 * np.median(seconds) for seconds in rounds])
    assert timing.quantiles_ms == sorted(timing.quantiles_ms)
    assert timing.quantiles_ms[99] == pytest.approx(timing.p99_ms, rel=1e-4)


def test_an_empty_round_is_skipped_and_nothing_at_all_is_refused() -> None:
    assert summarize([[], [0.001]]).rounds_ms == [1.0]
    with pytest.raises(ValueError, match="nothing was measured"):
        summarize([[], []])


def test_quartiles_ignore_an_outlier() -> None:
    rounds = Quartiles.of([10.0, 10.0, 11.0, 12.0, 1000.0])
    assert rounds == Quartiles(11.0, 10.0, 12.0)
    assert rounds.relative_range == pytest.approx(2 / 11)
    assert Quartiles.of([3.0]).relative_range == 0.0
    assert rounds.overlaps(Quartiles(13.0, 12.0, 14.0))
    assert not rounds.overlaps(Quartiles(13.0, 12.5, 14.0))


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios([10.0, 1000.0, 30.0], [5.0, 500.0, 15.0]) == Quartiles(2.0, 2.0, 2.0)
