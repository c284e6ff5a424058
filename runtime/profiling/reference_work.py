"""A piece of work that never changes, measured beside everything else: is the program slower, or the machine?"""

from __future__ import annotations

import time

import numpy as np

_POSES = np.linspace(-3, 3, 48 * 432, dtype=np.float32).reshape(48, 432)
_STEPS = 600


def yardstick(seconds: float) -> list[float]:
    """Do the work again and again for so long, at least three times; return the seconds of each time.

    It is what the edge does: small arrays in numpy, and Python in between, in one thread. About 0.05 ms.
    """
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        began = time.perf_counter()
        _work()
        taken.append(time.perf_counter() - began)
    return taken


def _work() -> float:
    total = 0.0
    for step in range(_STEPS):
        total += step * 0.5
    return total + float(np.tanh(_POSES * 0.5).sum())  # no matrix product, which would run in many threads
