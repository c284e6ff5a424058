"""Measured times: what is kept of a series that was measured in several rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_POINTS = 101
"""Quantiles that are kept for drawing the distribution."""


def figure(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Summarise seconds that were measured in rounds, in milliseconds.

    Args:
        rounds: the seconds of each round; rounds without any are left out.

    Returns:
        `min_ms`, `mean_ms`, `p50_ms`, `p90_ms`, `p99_ms`, `max_ms` and `cv` (standard deviation over mean) of all,
        their `count`, the medians of the rounds (`rounds_ms`), and the distribution as 101 quantiles
        (`quantiles_ms`).

    >>> figure([[0.001, 0.003], [0.002, 0.002]])["rounds_ms"]
    [2.0, 2.0]

    Raises:
        ValueError: there is nothing.
    """
    kept = [np.asarray(seconds, dtype=np.float64) * 1000 for seconds in rounds if len(seconds)]
    if not kept:
        raise ValueError("nothing was measured")
    values = np.concatenate(kept)
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    mean = float(values.mean())
    return {
        "min_ms": float(values.min()),
        "mean_ms": mean,
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "max_ms": float(values.max()),
        "cv": float(values.std() / mean) if mean else 0.0,
        "count": len(values),
        "rounds_ms": [float(np.median(seconds)) for seconds in kept],
        "quantiles_ms": _quantiles(values),
    }


def _quantiles(values: npt.NDArray[np.float64]) -> list[float]:
    found = np.percentile(values, np.linspace(0, 100, _POINTS))
    return [float(f"{value:.5g}") for value in found]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile.

    >>> quartiles([1, 2, 3, 4, 5])
    (2.0, 3.0, 4.0)
    """
    low, middle, high = np.percentile(np.asarray(values, dtype=np.float64), (25, 50, 75)).tolist()
    return low, middle, high


def spread(values: Sequence[float]) -> float:
    """Return the interquartile range over the median, 0 for fewer than two values.

    >>> spread([10, 10, 10, 11, 11]), spread([3])
    (0.1, 0.0)
    """
    if len(values) < 2:
        return 0.0
    low, middle, high = quartiles(values)
    return (high - low) / middle if middle else 0.0


def windows(count: str | int) -> str:
    """Say how many windows.

    >>> windows(1), windows("8")
    ('1 window', '8 windows')
    """
    return f"{count} window{'' if str(count) == '1' else 's'}"
