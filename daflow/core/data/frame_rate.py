"""The frame rate of a recording: how many frames per second were really processed, and how much that varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SPREAD = (0.05, 0.95)


@dataclass(frozen=True)
class FrameRate:
    """Frames per second of a clip: frame `n` was seen `n / fps` seconds after the first.

    Attributes:
        fps: the mean over the clip.
        low, high: 5 % of the steps between frames were slower than `low`, 5 % were faster than `high`.
    """

    fps: float
    low: float
    high: float

    @classmethod
    def constant(cls, fps: float) -> FrameRate:
        """A rate that does not vary."""
        return cls(fps, fps, fps)


def measured_rate(frames: Sequence[int], times: Sequence[float]) -> FrameRate | None:
    """Return the rate of frames that were processed.

    Args:
        frames: their numbers, rising.
        times: when they were seen, seconds, rising.

    Returns:
        None when there are fewer than two frames, or no time passed.

    >>> measured_rate([0, 1, 2, 4], [0.0, 0.1, 0.2, 0.4])
    FrameRate(fps=10.0, low=10.0, high=10.0)
    """
    if len(frames) < 2 or not times[-1] > times[0]:
        return None
    steps = np.diff(np.asarray(times, dtype=np.float64))
    counts = np.diff(np.asarray(frames, dtype=np.float64))
    with np.errstate(divide="ignore"):
        rates = counts / steps
    low, high = np.quantile(rates[np.isfinite(rates)], _SPREAD)
    fps = (frames[-1] - frames[0]) / (times[-1] - times[0])
    return FrameRate(*(round(float(rate), 3) for rate in (fps, low, high)))
