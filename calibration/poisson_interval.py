"""The confidence interval of a rate from a count of rare events (Poisson)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_HALF_WIDTH = 1.959964  # standard deviations of a 95 % interval
_NODES = 32


def at_most(count: int, mean: float) -> float:
    """Return the probability of `count` events or fewer where `mean` are expected.

    >>> round(at_most(1, 2.0), 4)
    0.406
    """
    if count < 0:
        return 0.0
    if mean <= 0:
        return 1.0
    logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1)]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(log - top) for log in logs))


def at_least(count: int, mean: float, factor: float = 1.0) -> float:
    """Return the probability of `count` events or more where `mean` are expected, which is itself not known exactly.

    Args:
        count: of events.
        mean: of the events.
        factor: how many times as large the mean may be, the upper end of its 95 % interval by the mean; the mean has a
            log-normal distribution then.

    >>> round(at_least(2, 2.0), 4), round(at_least(8, 2.0), 4), round(at_least(8, 2.0, factor=3.0), 4)
    (0.594, 0.0011, 0.0256)
    """
    deviation = math.log(max(1.0, factor)) / _HALF_WIDTH
    nodes, weights = np.polynomial.hermite_e.hermegauss(
        _NODES
    )  # integrates over a standard normal distribution
    means = (mean * np.exp(deviation * nodes)).tolist()
    beyond = [1 - at_most(count - 1, each) for each in means]
    return float(np.dot(weights / weights.sum(), beyond))


def interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of the expected number of events after a count of events (Garwood 1936).

    >>> tuple(round(bound, 2) for bound in interval(3))
    (0.62, 8.77)
    """
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _bisect(lambda mean: 1 - at_most(count - 1, mean) < tail, count)
    return low, _bisect(lambda mean: at_most(count, mean) > tail, count)


def _bisect(below: Callable[[float], bool], count: int) -> float:
    low, high = 0.0, 2.0 * count + 10 + 10 * math.sqrt(count)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high
