"""The reference workload: fixed work, timed beside everything else, that tells a slow program from a slow machine."""

from __future__ import annotations

import numpy as np

from runtime.profiling.timing import time_calls

_POSES = np.linspace(-3, 3, 48 * 432, dtype=np.float32).reshape(
    48, 432
)  # 48 windows of 24 poses of 18 joints
_STEPS = 600  # makes the Python half take about as long as the numpy half


def time_reference_work(seconds: float) -> list[float]:
    """Repeat the reference workload for so long, at least three times; return the seconds of each time.

    It resembles the edge: Python and numpy on small arrays, in one thread. It takes about 0.05 ms.
    """
    return time_calls(_work, seconds)


def _work() -> float:
    total = 0.0
    for step in range(_STEPS):
        total += step * 0.5
    return total + float(np.tanh(_POSES * 0.5).sum())  # no matrix product, which would run in many threads
