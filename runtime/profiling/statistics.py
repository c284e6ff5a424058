"""Statistics of durations that were measured in several rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

_QUANTILES = 101


class Timing(BaseModel):
    """Durations of one piece of work over all rounds, in milliseconds.

    Attributes:
        min_ms: the shortest; `mean_ms`, `p50_ms`, `p90_ms`, `p99_ms` and `max_ms` likewise.
        cv: coefficient of variation, standard deviation over mean.
        count: number of durations.
        rounds_ms: the median of each round.
        quantiles_ms: 101 quantiles from 0 to 100 %, for drawing the distribution.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    cv: float
    count: int
    rounds_ms: list[float] = Field(min_length=1)
    quantiles_ms: list[float] = Field(min_length=_QUANTILES, max_length=_QUANTILES)


def summarize(rounds: Sequence[Sequence[float]]) -> Timing:
    """Summarize durations in seconds, grouped by round; empty rounds are skipped.

    >>> summarize([[0.001, 0.003], [0.002, 0.002]]).rounds_ms
    [2.0, 2.0]

    Raises:
        ValueError: there are no durations.
    """
    kept = [np.asarray(seconds, dtype=np.float64) * 1000 for seconds in rounds if len(seconds)]
    if not kept:
        raise ValueError("nothing was measured")
    values = np.concatenate(kept)
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    mean = float(values.mean())
    quantiles = np.percentile(values, np.linspace(0, 100, _QUANTILES))
    return Timing(
        min_ms=float(values.min()), mean_ms=mean, p50_ms=p50, p90_ms=p90, p99_ms=p99, max_ms=float(values.max()),
        cv=float(values.std() / mean) if mean else 0.0, count=len(values),
        rounds_ms=[float(np.median(milliseconds)) for milliseconds in kept],
        quantiles_ms=[float(f"{value:.5g}") for value in quantiles],
    )  # fmt: skip


@dataclass(frozen=True)
class Quartiles:
    """The median of a figure over the rounds, and its lower and upper quartile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """Compute them from one value per round.

        >>> Quartiles.of([1.0, 2.0, 3.0, 4.0, 100.0])
        Quartiles(median=3.0, low=2.0, high=4.0)
        """
        low, median, high = np.percentile(np.asarray(values, dtype=np.float64), (25, 50, 75)).tolist()
        return cls(median, low, high)

    @property
    def relative_range(self) -> float:
        """The interquartile range over the median."""
        return (self.high - self.low) / self.median if self.median else 0.0

    def overlaps(self, other: Quartiles) -> bool:
        """Whether the two interquartile ranges share a value."""
        return self.low <= other.high and other.low <= self.high


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Quartiles:
    """Divide the figures of the same round by each other.

    >>> ratios([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]).median
    2.0
    """
    return Quartiles.of([a / b for a, b in zip(numerators, denominators, strict=True)])
