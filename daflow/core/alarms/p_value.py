"""How unusual a score is, as a p-value: the share of normal people who score as high or higher at a random moment.

Bits per dimension mean nothing to most people; "one in 500" does. The p-values are conformal: whatever the
distribution of the scores, a normal person's is at most p with a probability of at most p, as long as normal people
still are as they were when the bundle was calibrated (`daflow.core.alarms.drift` watches that).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.calibration import AlarmCalibration, NormalScores

_BULK = 256
_TAIL = 256


def p_value(alarm: AlarmCalibration, score: float) -> float | None:
    """Return the share of normal scores that are as high as this one, the score itself among them.

    It is never below 1 / (n + 1), for n normal scores cannot tell what is rarer.

    Args:
        alarm: the calibration.
        score: smoothed as `alarm.smoothing_seconds` says, bits per dimension.

    Returns:
        Above 0, at most 1; None when the calibration holds no normal scores.

    >>> normal = normal_scores(np.arange(1.0, 100.0))
    >>> alarm = AlarmCalibration(threshold=99, windows=99, precision="fp32", normal=normal)
    >>> [p_value(alarm, score) for score in (0.0, 50.0, 99.0, 1000.0)]
    [1.0, 0.51, 0.02, 0.01]
    """
    if alarm.normal is None:
        return None
    # Of two neighbours the lower one counts, so that what was left out makes p too high and not too low.
    index = bisect_right(alarm.normal.scores, score) - 1
    if index < 0:
        return 1.0
    beyond = index == len(alarm.normal.scores) - 1 and score > alarm.normal.scores[-1]
    above = 0 if beyond else alarm.normal.at_least[index]
    return (1 + above) / (alarm.normal.size + 1)


def normal_scores(sample: npt.NDArray[np.float64]) -> NormalScores:
    """Compress a sample of normal scores to at most 512 of its order statistics.

    Half of them are evenly spread over the sample. The others count from the highest score in a geometric series, so
    that small p-values are as exact as large ones in proportion.

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
