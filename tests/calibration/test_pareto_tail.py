from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calibration import poisson_interval as poisson
from calibration.pareto_tail import (
    MIN_EXCESSES,
    Pareto,
    anderson_darling,
    fit,
    fit_unbounded,
    goodness_of_fit,
)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3])
def test_a_fit_finds_the_parameters_that_made_the_sample(shape: float, rng: np.random.Generator) -> None:
    true = Pareto(shape, 2.5)
    found = [fit(true.quantile(rng.random(400))) for _ in range(50)]
    shapes = [f.shape for f in found if f]
    scales = [f.scale for f in found if f]
    assert len(shapes) == 50
    assert np.mean(shapes) == pytest.approx(shape, abs=0.05)
    assert np.mean(scales) == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.4])
def test_survival_and_quantile_are_inverse(shape: float) -> None:
    pareto = Pareto(shape, 3.0)
    p = np.linspace(0, 0.999, 50)
    assert 1 - pareto.survival(pareto.quantile(p)) == pytest.approx(p, abs=1e-12)


def test_beyond_the_end_of_a_tail_that_ends_nothing_survives() -> None:
    assert Pareto(-0.5, 1.0).survival(2.5) == 0


def test_the_goodness_of_a_right_fit_is_uniform(rng: np.random.Generator) -> None:
    p = []
    for _ in range(40):
        sample = Pareto(0.1, 1.0).quantile(rng.random(60))
        found = fit(sample)
        assert found is not None
        p.append(goodness_of_fit(sample, found, rng))
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)
    assert np.mean(np.array(p) <= 0.1) <= 0.3


def test_a_tail_that_ends_is_continued_as_one_that_does_not(rng: np.random.Generator) -> None:
    ending = rng.uniform(0, 1, 100)
    free, careful = fit(ending), fit_unbounded(ending)
    assert free is not None
    assert free.shape < 0
    assert careful == Pareto(0.0, float(ending.mean()))
    heavy = Pareto(0.5, 1.0).quantile(rng.random(100))
    assert fit_unbounded(heavy) == fit(heavy)


def test_two_humps_are_refused(rng: np.random.Generator) -> None:
    sample = np.concatenate([rng.uniform(0.9, 1.1, 60), rng.uniform(4.9, 5.1, 60)])
    found = fit(sample)
    assert found is not None
    assert goodness_of_fit(sample, found, rng) < 0.02


@example([*[1.0] * 5, 4.1637496825903935e38, *[8.92577877431754e-273] * 2])  # no parameter has a likelihood
@example([*[1.0] * 7, float(np.finfo(float).max)])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=60))
def test_any_sample_gives_a_distribution_or_nothing(values: list[float]) -> None:
    found = fit(np.array(values))
    if found is None:
        return
    assert len(values) >= MIN_EXCESSES
    assert np.isfinite([found.shape, found.scale]).all()
    assert found.scale > 0
    above = found.survival(
        max(values) * np.linspace(0, 1, 20)
    )  # the other way round the largest number overflows
    assert np.all((above >= 0) & (above <= 1))
    assert np.all(np.diff(above) <= 0)
    assert not np.isnan(anderson_darling(np.array(values), found))


@pytest.mark.parametrize("values", [[1.0] * 50, [0.0] * 50, [-1.0, *range(1, 50)], range(1, 5)])
def test_a_sample_that_is_no_tail_is_not_fitted(values: list[float]) -> None:
    assert fit(np.array(values, dtype=float)) is None


@pytest.mark.parametrize("count", [0, 1, 7, 400, 5000])
def test_the_interval_of_a_rate_leaves_what_it_says_on_both_sides(count: int) -> None:
    low, high = poisson.interval(count)
    assert low <= count < high
    assert poisson.at_most(count, high) == pytest.approx(0.025, rel=1e-6)
    if count:
        assert 1 - poisson.at_most(count - 1, low) == pytest.approx(0.025, rel=1e-6)
    else:
        assert low == 0
