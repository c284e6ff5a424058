"""Turns, ratios and exponents are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scaling import Curve
from benchmarks.targets import Target
from benchmarks.timing import Spread, median_call, power_law, ratios, turns


def test_every_form_takes_a_turn_in_every_round_and_none_is_always_first() -> None:
    order: list[str] = []

    def form(name: str) -> float:
        order.append(name)
        return float(len(order))

    figures = turns({"a": lambda: form("a"), "b": lambda: form("b")}, 3, "trying")
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}


def test_ratios_are_taken_within_a_round() -> None:
    assert ratios([10.0, 1000.0, 30.0], [5.0, 500.0, 15.0]) == Spread(2.0, 2.0, 2.0)


def test_the_first_call_does_not_count() -> None:
    calls: list[int] = []
    assert median_call(lambda: calls.append(1), seconds=0.0) >= 0
    assert len(calls) == 2


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_an_exponent_is_found_in_noise_and_lies_in_its_interval(
    exponent: float, rng: np.random.Generator
) -> None:
    sizes = [2.0**power for power in range(8)]
    seconds = [(3 * size**exponent * np.exp(0.05 * rng.standard_normal(5))).tolist() for size in sizes]
    fit = power_law(sizes, seconds)
    assert fit.exponent == pytest.approx(exponent, abs=0.05)
    assert fit.low < fit.exponent < fit.high
    assert fit.high - fit.low < 0.1


def test_a_cost_that_grows_faster_shows_although_a_fixed_cost_hides_it() -> None:
    sizes = [2.0**power for power in range(8)]
    seconds = [1000 + size**2 for size in sizes]
    curve = _curve(sizes, seconds)
    assert curve.fit.exponent < 1 < curve.upper.exponent
    assert curve.fast_growing
    assert not _curve(sizes, [1000 + 3 * size for size in sizes]).fast_growing


def _curve(sizes: list[float], seconds: list[float]) -> Curve:
    half = len(sizes) // 2 + 2
    rounds = [[value] for value in seconds]
    spreads = [Spread.of(row) for row in rounds]
    fits = power_law(sizes, rounds), power_law(sizes[half:], rounds[half:])
    return Curve("things", "things", "all", sizes, spreads, *fits)


@pytest.mark.parametrize(
    ("measured", "at_least", "met"), [(4.0, False, True), (4.1, False, False), (4.1, True, True), (3.9, True, False)]
)  # fmt: skip
def test_a_target_is_met_or_missed(measured: float, at_least: bool, met: bool) -> None:
    target = Target("thing", "%", 4.0, at_least, Spread.of([measured]), "somehow")
    assert target.met is met
    assert target.sure
    assert (target.used <= 1) is met


def test_a_verdict_within_the_noise_is_not_sure() -> None:
    assert not Target("thing", "%", 4.0, False, Spread(3.0, 2.0, 5.0), "somehow").sure
