"""The frame rate of a recording: how many frames per second were really processed, and how much that varies."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from daflow.core.errors import InputError

logger = logging.getLogger(__name__)

MIN_FPS, MAX_FPS = 0.001, 10_000.0
Fps = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=MIN_FPS, le=MAX_FPS)]
"""Frames per second in a file."""

_SPREAD = (0.05, 0.95)
_PAUSE_S = 1.0
_PAUSE_STEPS = 5.0
"""A step of more than both, seconds and median steps, is a pause: a recorder that waits for motion, a lost camera."""


@dataclass(frozen=True)
class FrameRate:
    """Frames per second of a clip: frame `n` was seen `n / fps` seconds after the first.

    Attributes:
        fps: the mean over the clip, without pauses.
        low, high: 5 % of the steps between frames were slower than `low`, 5 % were faster than `high`.

    Raises:
        InputError: one of them is not from 0.001 to 10000.
    """

    fps: float
    low: float
    high: float

    def __post_init__(self) -> None:
        for rate in (self.fps, self.low, self.high):
            if not MIN_FPS <= rate <= MAX_FPS:
                raise InputError(
                    f"The frame rate {reprlib.repr(rate)} is not from {MIN_FPS:g} to {MAX_FPS:g} frames per second."
                )

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
        None when there are fewer than two frames, no time passed, or the rate is one that no file may hold (`Fps`).

    >>> measured_rate([0, 1, 2, 4], [0.0, 0.1, 0.2, 0.4])
    FrameRate(fps=10.0, low=10.0, high=10.0)
    """
    if len(frames) < 2 or not times[-1] > times[0]:
        return None
    steps = np.diff(np.asarray(times, dtype=np.float64))
    counts = np.diff(np.asarray(frames, dtype=np.float64))
    each = steps / counts
    running = each <= max(_PAUSE_S, _PAUSE_STEPS * float(np.median(each)))
    steps, counts = steps[running], counts[running]
    rates = counts[steps > 0] / steps[steps > 0]
    if not len(rates):
        return None
    low, high = np.quantile(rates, _SPREAD)
    fps = counts.sum() / steps.sum()
    if not MIN_FPS <= fps <= MAX_FPS:
        return None
    return FrameRate(*(round(float(rate), 3) for rate in np.clip((fps, low, high), MIN_FPS, MAX_FPS)))


def common_rate(rates: Sequence[FrameRate | None]) -> float | None:
    """Return the rate that a model is trained at: the median of the clips' known rates, None when none is known.

    Clips of an unknown rate are taken to have this one, which the log says.
    """
    known = [rate.fps for rate in rates if rate is not None]
    if not known:
        logger.warning(
            "the frame rate of the recordings is not known, so the model will take any rate for its own; tell it with "
            "--fps (fps=) or in frame_rates.json"
        )
        return None
    fps = float(np.median(known))
    if unknown := len(rates) - len(known):
        logger.warning(
            "the frame rate of %d of %d clips is not known; they are taken to have %.3g frames per second, as the "
            "others",
            unknown, len(rates), fps,
        )  # fmt: skip
    return fps
