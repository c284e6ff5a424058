"""Exponents are found in noise, and targets are met or missed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scaling import Curve, power_law
from benchmarks.targets import Target
from runtime.profiling.statistics import Quartiles


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_an_exponent_is_found_in_noise_and_lies_in_its_interval(
    exponent: float, rng: np.random.Generator
) -> None:
    sizes = [2.0**power for power in range(8)]
    seconds = [(3 * size**exponent * np.exp(0.05 * rng.standard_normal(5))).tolist() for size in sizes]
    fit = power_law(sizes, seconds)
    assert fit.exponent == pytest.approx(exponent, abs=0.05)
    assert fit.low < exponent < fit.high
    assert fit.high - fit.low < 0.1


def test_a_cost_that_grows_faster_shows_although_a_fixed_cost_hides_it() -> None:
    sizes = [2.0**power for power in range(8)]
    curve = _curve(sizes, [1000 + size**2 for size in sizes])
    assert curve.fit.exponent < 1 < curve.upper.exponent
    assert curve.fast_growing
    assert not _curve(sizes, [1000 + 3 * size for size in sizes]).fast_growing


def _curve(sizes: list[float], seconds: list[float]) -> Curve:
    half = len(sizes) // 2 + 2
    rounds = [[value] for value in seconds]
    fits = power_law(sizes, rounds), power_law(sizes[half:], rounds[half:])
    return Curve("things", "things", "all", sizes, [Quartiles.of(row) for row in rounds], *fits)


@pytest.mark.parametrize(
    ("measured", "at_least", "met"), [(4.0, False, True), (4.1, False, False), (4.1, True, True), (3.9, True, False)]
)  # fmt: skip
def test_a_target_is_met_or_missed(measured: float, at_least: bool, met: bool) -> None:
    target = Target("thing", "%", 4.0, at_least, Quartiles.of([measured]), "somehow")
    assert target.met is met
    assert target.conclusive


def test_a_verdict_within_the_noise_is_not_conclusive() -> None:
    assert not Target("thing", "%", 4.0, False, Quartiles(3.0, 2.0, 5.0), "somehow").conclusive
