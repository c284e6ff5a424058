"""How unusual a score is, as a p-value: the fraction of normal people who score as high or higher at a random moment.

Bits mean nothing to most people; "1 in 500" does. The p-values are conformal: for any distribution of
scores, the p-value of a normal person is at most p with a probability of at most p, as long as normal people behave as
they did at the calibration (`daflow.core.alarms.drift` watches that).
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.calibration import AlarmCalibration, NormalScores

# Ranks that are kept. Of 10,000 scores, neighbouring ranks are at most 0.4 % of all apart, the highest about 4 % of p.
_BULK = 256
_TAIL = 256


NARROW_SPACE = "\u202f"
"""Between the thousands of a rarity. Logs and pictures, which cannot show it, take a plain space."""


def p_value(alarm: AlarmCalibration, score: float) -> float | None:
    """Return the fraction of scores that are as high as this one, among the normal scores and the score itself.

    It is never below 1 / (n + 1): n normal scores say nothing about rarer ones.

    Args:
        alarm: the calibration.
        score: smoothed as `alarm.rule()` does it.

    Returns:
        Above 0, at most 1; None when the calibration holds no normal scores.

    >>> normal = normal_scores(np.arange(1.0, 100.0))
    >>> alarm = AlarmCalibration(threshold=99, windows=99, precision="fp32", normal=normal)
    >>> [p_value(alarm, score) for score in (0.0, 50.0, 99.0, 1000.0)]
    [1.0, 0.51, 0.02, 0.01]
    """
    if alarm.normal is None:
        return None
    # Between two kept scores the lower one counts: compression may make p too high, never too low.
    index = bisect_right(alarm.normal.scores, score) - 1
    if index < 0:
        return 1.0
    above = 0 if is_beyond_normal(alarm, score) else alarm.normal.at_least[index]
    return (1 + above) / (alarm.normal.size + 1)


def p_value_floor(alarm: AlarmCalibration) -> float | None:
    """Return the smallest p-value that a calibration can give; None when it holds no normal scores."""
    return None if alarm.normal is None else 1 / (alarm.normal.size + 1)


def rarity(p: float, floor: float | None = None) -> str:
    """Return a p-value in words, with two digits.

    Args:
        p: above 0, at most 1.
        floor: the smallest p-value of the calibration, which says only that the true one is not known to be larger.

    >>> rarity(0.012), rarity(1 / 268), rarity(1 / 268, floor=1 / 268)
    ('1 in 83', '1 in 270', 'rarer than 1 in 260')
    """
    every = 1 / p
    unit = 10 ** max(0, math.floor(math.log10(every)) - 1)
    if floor is not None and p <= floor * (1 + 1e-9):
        return f"rarer than 1 in {math.floor(every * (1 + 1e-9) / unit) * unit:,}".replace(",", NARROW_SPACE)
    return f"1 in {round(every / unit) * unit:,}".replace(",", NARROW_SPACE)


def normal_scores(sample: npt.NDArray[np.float64]) -> NormalScores:
    """Compress a sample of normal scores to at most 512 of its order statistics.

    Half of the ranks are spread evenly over the sample. The others form a geometric series from the highest score, so
    that the relative error of small p-values stays small.

    Args:
        sample: `(N,)` finite, at least one.
    """
    rising = np.sort(sample)
    size = len(rising)
    bulk = np.linspace(1, size, min(size, _BULK))
    tail = np.geomspace(1, size, min(size, _TAIL))
    ranks = np.unique(np.concatenate([np.round(bulk), np.round(tail)]).astype(np.int64))  # 1 is the highest
    scores = np.unique(rising[size - ranks])
    at_least = size - np.searchsorted(rising, scores)
    return NormalScores(size=size, scores=tuple(scores.tolist()), at_least=tuple(at_least.tolist()))


def is_beyond_normal(alarm: AlarmCalibration, score: float) -> bool:
    """Whether a score is above all normal scores, so that its p-value is only an upper bound.

    >>> normal = normal_scores(np.arange(1.0, 100.0))
    >>> alarm = AlarmCalibration(threshold=99, windows=99, precision="fp32", normal=normal)
    >>> is_beyond_normal(alarm, 99.0), is_beyond_normal(alarm, 99.5)
    (False, True)
    """
    return alarm.normal is not None and score > alarm.normal.scores[-1]
