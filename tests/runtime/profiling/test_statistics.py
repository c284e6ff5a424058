from __future__ import annotations

import numpy as np
import pytest

from runtime.profiling.statistics import figure, quartiles, spread


def test_a_figure_has_the_percentiles_of_all_rounds_and_the_median_of_each(rng: np.random.Generator) -> None:
    rounds = [rng.gamma(2, scale, 50) for scale in (0.001, 0.002, 0.004)]
    found = figure([seconds.tolist() for seconds in rounds])
    values = np.concatenate(rounds) * 1000
    assert found["count"] == 150
    assert found["min_ms"] == values.min()
    assert found["max_ms"] == values.max()
    assert found["mean_ms"] == pytest.approx(values.mean())
    assert found["cv"] == pytest.approx(values.std() / values.mean())
    for percent in (50, 90, 99):
        assert found[f"p{percent}_ms"] == pytest.approx(np.percentile(values, percent))
    assert found["rounds_ms"] == pytest.approx([1000 * np.median(seconds) for seconds in rounds])
    assert len(found["quantiles_ms"]) == 101
    assert found["quantiles_ms"] == sorted(found["quantiles_ms"])
    assert found["quantiles_ms"][99] == pytest.approx(found["p99_ms"], rel=1e-4)


def test_a_round_without_times_is_left_out_and_nothing_at_all_is_refused() -> None:
    assert figure([[], [0.001]])["rounds_ms"] == [1.0]
    with pytest.raises(ValueError, match="nothing was measured"):
        figure([[], []])


def test_the_spread_is_of_the_middle_half() -> None:
    values = [10.0, 10.0, 11.0, 12.0, 1000.0]
    assert quartiles(values) == (10.0, 11.0, 12.0)
    assert spread(values) == pytest.approx(2 / 11)
    assert spread([]) == 0.0
