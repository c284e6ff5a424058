"""Windows that mean time: poses of any frame rate, sampled at the rate that a model was trained at.

A window of a model that was trained at `fps` holds 24 poses that are `1 / fps` seconds apart. A recording or a camera
of another rate has its poses at other moments; between two neighbouring poses a person's joints are interpolated. Rates
within `SAME_RATE` of each other count as equal and keep their poses, as the field's protocol has it. Batches of tracks
(`daflow.core.data.windows`) and the edge's stream (`runtime.pipeline.pose_memory`) share the rules of this module.

Measured (`daflow study frame-rate`): on AI-Hub, interpolation keeps the AUC within 0.2 points and the quantiles of
normal scores down to a sixth of the rate. Without it the AUC falls from 84 to 68 %.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAME_RATE = 0.02
"""Rates that differ by less than this share count as equal: a window is at most half a frame longer or shorter."""

MIN_RATIO = 1 / 6
"""The slowest rate that can be scored, as a share of the model's: slower ones were not measured."""

MAX_RATIO = 16.0
"""The fastest rate that can be scored, as a multiple of the model's: the edge keeps so many poses."""

_MAX_STEPS = 2.5  # frames of a slow source between two poses that are joined: one may be missing

_ROUNDING = 1e-6  # of a frame: n / fps * fps is not always n


def is_same_rate(fps: float | None, model_fps: float | None) -> bool:
    """Whether the poses of a source are used as they are; a rate that is not known counts as the model's.

    >>> is_same_rate(29.97, 30.0), is_same_rate(30.0, 25.0), is_same_rate(None, 25.0)
    (True, False, True)
    """
    return fps is None or model_fps is None or abs(fps / model_fps - 1) <= SAME_RATE


def reason_against_rate(fps: float, model_fps: float) -> str | None:
    """Return why a source cannot be scored at its rate, None when it can.

    >>> reason_against_rate(3.0, 25.0)
    '3 frames per second are too few for a model of 25: at least 4.17 are needed'
    """
    if fps < MIN_RATIO * model_fps * (1 - _ROUNDING):
        need = f"too few for a model of {model_fps:.3g}: at least {MIN_RATIO * model_fps:.3g} are needed"
    elif fps > MAX_RATIO * model_fps:
        need = f"too many for a model of {model_fps:.3g}: at most {MAX_RATIO * model_fps:.3g} can be used"
    else:
        return None
    return f"{fps:.3g} frames per second are {need}"


def max_step(fps: float, model_fps: float, max_missing: int) -> float:
    """Return the longest time between two poses that are joined, in frames of the model's rate.

    As many frames may be missing as in a window of the model's own rate; of a slower source one.
    """
    return max(max_missing + 1.0, _MAX_STEPS * model_fps / fps) + _ROUNDING


def sample(
    positions: npt.NDArray[np.float64], points: npt.NDArray[np.float32], moments: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Interpolate poses linearly.

    Args:
        positions: `(N,)` rising moments of the poses; at least one.
        points: `(N, ...)` the poses.
        moments: `(...)` where to sample, within `positions`, in the same unit.

    Returns:
        `(*moments.shape, ...)` float32. A moment within 1e-6 of a pose gives this pose exactly.

    >>> sample(np.array([0.0, 2.0]), np.array([[0.0], [4.0]], np.float32), np.array([0.0, 0.5, 2.0])).tolist()
    [[0.0], [1.0], [4.0]]
    """
    before, after, weight = neighbours(positions, moments)
    return interpolate(
        points[before], points[after], weight.reshape(*weight.shape, *(1,) * (points.ndim - 1))
    )


def neighbours(
    positions: npt.NDArray[np.float64], moments: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the poses before and after each moment, and the weight of the second, from 0 to 1; as for `sample`."""
    after = np.minimum(positions.searchsorted(moments), len(positions) - 1)
    before = np.maximum(after - 1, 0)
    step, since = positions[after] - positions[before], moments - positions[before]
    weight = since / np.maximum(step, _ROUNDING)
    weight[since < _ROUNDING] = 0.0
    weight[step - since < _ROUNDING] = 1.0
    return before, after, weight.astype(np.float32)


def interpolate(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return what lies between two poses; the pose itself where the weight is 0 or 1, also beside an infinite one."""
    with np.errstate(invalid="ignore", over="ignore"):
        between = first + weight * (second - first)
    np.copyto(between, first, where=weight == 0)
    np.copyto(between, second, where=weight == 1)
    return between


def ends_of_windows(
    positions: npt.NDArray[np.float64], length: int, longest_step: float
) -> npt.NDArray[np.int64]:
    """Return the indices of the poses at which a window can end: its `length` moments lie within joined poses.

    Args:
        positions: `(N,)` rising moments of a person's poses, in frames of the model's rate.
        length: poses in a window.
        longest_step: between two poses that are joined, see `max_step`.
    """
    begins = np.flatnonzero(np.diff(positions) > longest_step) + 1
    runs = np.searchsorted(begins, np.arange(len(positions)), side="right")
    first = positions[np.concatenate([[0], begins])[runs]]
    return np.flatnonzero(positions - (length - 1) >= first - _ROUNDING)
