"""What every measurement shares: turns that interleave, medians with quartiles, ratios, and fitted exponents."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from daflow.core.progress import track

Name = TypeVar("Name", bound=Hashable)

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        quick: whether it is only a trial, with small sizes.
        rounds: turns that every form takes.
    """

    quick: bool = False
    rounds: int = 5


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds: the median, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one value of each round.

        >>> Spread.of([1.0, 2.0, 3.0, 4.0, 100.0])
        Spread(median=3.0, low=2.0, high=4.0)
        """
        low, median, high = np.percentile(values, (25, 50, 75)).tolist()
        return cls(median, low, high)


def turns(
    forms: Mapping[Name, Callable[[], float]], rounds: int, description: str
) -> dict[Name, list[float]]:
    """Let every form take a turn in every round, so that a busy moment of the machine hits all of them alike.

    The order is turned round in every other round, so that none always comes first.

    Args:
        forms: what to measure; each returns its figure, such as seconds.
        rounds: how often.
        description: of the progress.
    """
    figures: dict[Name, list[float]] = {name: [] for name in forms}
    names = list(forms)
    order = [name for turn in range(rounds) for name in (names if turn % 2 == 0 else reversed(names))]
    for name in track(order, f"{description}, turns"):
        figures[name].append(forms[name]())
    return figures


def median_call(function: Callable[[], object], seconds: float) -> float:
    """Return the median seconds of a call, of as many as fit into `seconds`; the first call does not count."""
    function()
    calls: list[float] = []
    until = time.perf_counter() + seconds
    while not calls or time.perf_counter() < until:
        calls.append(seconds_of(function))
    return float(np.median(calls))


def seconds_of(function: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Divide figures of the same round by each other, and summarise.

    >>> ratios([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]).median
    2.0
    """
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


@dataclass(frozen=True)
class Fit:
    """The exponent of `seconds ~ work ** exponent`, with the ends of its 95 % interval."""

    exponent: float
    low: float
    high: float


def power_law(work: Sequence[float], seconds: Sequence[Sequence[float]]) -> Fit:
    """Fit a line to the logarithms by least squares.

    Args:
        work: `(N,)` how much there was to do.
        seconds: the rounds' seconds of each.

    >>> fit = power_law([1, 2, 4], [[3.0, 3.0], [6.0, 6.0], [12.0, 12.0]])
    >>> round(fit.exponent, 6), round(fit.low, 6), round(fit.high, 6)
    (1.0, 1.0, 1.0)
    """
    from scipy import stats

    x: npt.NDArray[np.float64] = np.log(np.repeat(work, [len(row) for row in seconds]))
    y: npt.NDArray[np.float64] = np.log(np.concatenate(seconds))
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, max(len(x) - 2, 1))) * float(line.stderr)
    return Fit(float(line.slope), float(line.slope) - half, float(line.slope) + half)
