"""Choose the threshold that normal behaviour exceeds at a requested rate.

The alarm begins when the level (what the highest smoothed score stayed above for `begin_seconds`) exceeds the
threshold. Neighbouring frames are almost the same, so episodes are counted and not frames: the times in which an alarm
at a lower level would have been on. A tail is fitted to the peaks of the episodes above that level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration import poisson_interval as poisson
from calibration.pareto_tail import Pareto, Values, fit, fit_unbounded, goodness_of_fit
from daflow.core.alarms.replay import Signal, episodes
from daflow.core.alarms.rule import AlarmRule
from daflow.core.errors import InputError

DAY = 86400.0
# All settings of this module were chosen on generated people, to reach the requested rate there (docs/alarms.md).
REJECTED_GOODNESS = 0.1
"""Goodness of fit at or below which a level is rejected."""

MIN_EPISODES = 30
MAX_EPISODES = 100
MIN_BLOCKS = 10
"""Blocks of time that an interval of the rate needs at least."""

_LEVELS = 1 - np.geomspace(0.25, 1e-4, 20)  # quantiles of the levels, from 75 % to 99.99 %
_BOOTSTRAP_ROUNDS = 400
_MIN_BLOCK_SECONDS, _MAX_BLOCK_SECONDS, _BLOCKS = 60.0, 600.0, 30  # about 30 blocks, of one to ten minutes
_SEED = 5  # any number; the same recordings give the same threshold


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and what it is based on.

    Attributes:
        threshold: in the unit of the bundle.
        method: as in `daflow.core.alarms.calibration.AlarmCalibration`.
        expected_per_day: false alarms per day; None when unknown.
        interval_per_day: its 95 % interval; None when unknown.
        episodes: the number of episodes above the level, of blocks of time, or of alarms, by method.
        blocks: blocks of time that the interval is based on.
        level: above which the tail was fitted; None without a fit.
        tail: the fitted distribution of the excesses; None without a fit.
        goodness: p-value of that fit; None without a fit.
        per_peak: alarms per peak above the threshold, because an alarm may end and begin again within an episode.
    """

    threshold: float
    method: Literal["pot", "block-maxima", "quantile"]
    expected_per_day: float | None
    interval_per_day: tuple[float, float] | None
    episodes: int
    blocks: int
    level: float | None = None
    tail: Pareto | None = None
    goodness: float | None = None
    per_peak: float = 1.0


@dataclass(frozen=True)
class _Peaks:
    """The peaks of the episodes above a level, with the block of time of each, `(N,)` both."""

    level: float
    peaks: Values
    blocks: np.ndarray[tuple[int], np.dtype[np.int64]]


def choose_threshold(signals: Sequence[Signal], rule: AlarmRule, per_day: float) -> ThresholdChoice:
    """Choose the threshold at which normal behaviour is expected to raise so many alarms per day.

    The tail is fitted above the lowest of 20 levels (from the 75 % to the 99.99 % quantile of the levels) that has 30
    to 100 episodes and is not rejected by the goodness of fit; more episodes would belong to the bulk and not to the
    tail. A bounded tail is replaced by an exponential one. The expected rate at a threshold is the mean over fits to
    resampled blocks of time, so that a short recording gives a higher threshold. When every level is rejected, the
    threshold is an order statistic of the highest levels of blocks of time.

    Args:
        signals: of normal recordings.
        rule: as calibrated; its threshold does not matter.
        per_day: the requested false alarms per day, above 0.

    Raises:
        InputError: nobody is scored for long enough.
    """
    target = per_day / DAY
    rng = np.random.default_rng(_SEED)
    levels = np.concatenate([s.levels[~np.isnan(s.levels)] for s in signals])
    if not len(levels):
        raise InputError(
            f"Nobody is scored for {rule.begin_seconds:g} s without a break. The recordings are too short, or "
            "--begin-seconds is too long."
        )
    lengths = _blocks(signals, min(_MAX_BLOCK_SECONDS, max(_MIN_BLOCK_SECONDS, _seconds(signals) / _BLOCKS)))
    for level in np.unique(np.quantile(levels, _LEVELS)).tolist():
        found = _peaks(signals, rule, level, lengths)
        if len(found.peaks) > MAX_EPISODES:
            continue
        if len(found.peaks) < MIN_EPISODES or len(found.peaks) / _seconds(signals) <= target:
            break
        tail = fit(found.peaks - level)
        if tail is None:
            continue
        goodness = goodness_of_fit(found.peaks - level, tail, rng)
        if goodness <= REJECTED_GOODNESS:
            continue
        unbounded = fit_unbounded(found.peaks - level) or tail
        choice = _extrapolate(signals, rule, target, found, unbounded, np.concatenate(lengths), rng)
        if choice:
            return replace(choice, goodness=goodness)
    return choose_block_maxima(signals, per_day)


def choose_block_maxima(signals: Sequence[Signal], per_day: float) -> ThresholdChoice:
    """Take the threshold that blocks of time exceed at the requested rate, without a model of the tail."""
    target = per_day / DAY
    # Blocks of 1 second to 10 minutes: about 200 in all, and not longer than half the time between two alarms.
    wanted = min(600.0, max(10.0, _seconds(signals) / 200), max(1.0, 0.5 / target))
    maxima, seconds = [], []
    for signal, lengths in zip(signals, _blocks(signals, wanted), strict=True):
        block = np.minimum((signal.times / lengths[0]).astype(np.int64), len(lengths) - 1)
        highest = np.full(len(lengths), -np.inf)
        known = ~np.isnan(signal.levels)
        np.maximum.at(highest, block[known], signal.levels[known])
        maxima.append(highest)
        seconds.append(lengths)
    falling = np.sort(np.concatenate(maxima))[::-1]
    length = float(np.concatenate(seconds).mean())
    share = -math.expm1(-target * length)
    beyond = min(int(share * (len(falling) + 1)), int(np.isfinite(falling).sum()) - 1)
    threshold = float(falling[beyond])  # an alarm must exceed it, so only higher blocks can have one
    count = int((falling > threshold).sum())
    day = DAY / (length * len(falling))
    low, high = poisson.interval(count)
    expected = -math.log1p(-max(count, 1) / (len(falling) + 1)) * DAY / length
    return ThresholdChoice(
        threshold, "block-maxima", expected, (low * day, high * day), len(falling), len(falling)
    )


def choose_quantile(signals: Sequence[Signal], rule: AlarmRule, quantile: float) -> ThresholdChoice:
    """Take a quantile of the scores of all people in all frames, and count its alarms in the recordings."""
    threshold = float(np.quantile(np.concatenate([s.people for s in signals]), quantile))
    count = sum(
        1 for s in signals for _ in episodes(s, replace(rule, threshold=threshold, release=threshold))
    )
    low, high = poisson.interval(count)
    day = DAY / _seconds(signals)
    return ThresholdChoice(threshold, "quantile", count * day, (low * day, high * day), count, len(signals))


def _seconds(signals: Sequence[Signal]) -> float:
    return math.fsum(s.seconds for s in signals)


def _blocks(signals: Sequence[Signal], seconds: float) -> list[Values]:
    """Cut each signal into equal blocks of about so many seconds; return the lengths of the blocks of each signal."""
    counts = [max(1, round(s.seconds / seconds)) for s in signals]
    return [np.full(count, s.seconds / count) for s, count in zip(signals, counts, strict=True)]


def _peaks(signals: Sequence[Signal], rule: AlarmRule, level: float, lengths: Sequence[Values]) -> _Peaks:
    rule = replace(rule, threshold=level, release=level)
    peaks: list[float] = []
    blocks: list[int] = []
    first = 0
    for signal, length in zip(signals, lengths, strict=True):
        for episode in episodes(signal, rule):
            peaks.append(episode.peak)
            blocks.append(first + min(int(signal.times[episode.first] / length[0]), len(length) - 1))
        first += len(length)
    return _Peaks(level, np.array(peaks), np.array(blocks, dtype=np.int64))


def _extrapolate(
    signals: Sequence[Signal],
    rule: AlarmRule,
    target: float,
    found: _Peaks,
    tail: Pareto,
    lengths: Values,
    rng: np.random.Generator,
) -> ThresholdChoice | None:
    """Find the threshold at which the mean of the resampled rates is the target; None when it does not exist."""
    middle = float(np.median(found.peaks))
    again = sum(1 for s in signals for _ in episodes(s, replace(rule, threshold=middle, release=middle)))
    per_peak = max(1.0, again / max(1, int((found.peaks > middle).sum())))
    rates, tails = _resample(found, tail, lengths, rng)

    def rates_at(threshold: float) -> Values:
        excess = threshold - found.level
        return np.asarray(rates * per_peak * np.array([float(t.survival(excess)) for t in tails]))

    low, step = found.level, tail.scale
    for _ in range(60):
        if rates_at(low + step).mean() <= target:
            break
        low, step = low + step, 2 * step
    else:
        return None
    high = low + step
    for _ in range(50):
        between = (low + high) / 2
        low, high = (between, high) if rates_at(between).mean() > target else (low, between)
    if not abs(high) < 1e9:
        return None
    there = rates_at(high) * DAY
    bounds = np.quantile(there, (0.025, 0.975)).tolist() if len(lengths) >= MIN_BLOCKS else None
    return ThresholdChoice(
        high,
        "pot",
        float(there.mean()),
        (bounds[0], bounds[1]) if bounds else None,
        len(found.peaks),
        len(lengths),
        found.level,
        tail,
        per_peak=per_peak,
    )


def _resample(
    found: _Peaks, tail: Pareto, lengths: Values, rng: np.random.Generator
) -> tuple[Values, list[Pareto]]:
    """Draw blocks with replacement; return the rate of episodes per second and the fitted tail of each draw."""
    rates, tails = [], []
    for _ in range(_BOOTSTRAP_ROUNDS):
        drawn = np.bincount(rng.integers(len(lengths), size=len(lengths)), minlength=len(lengths))
        excesses = np.repeat(found.peaks, drawn[found.blocks]) - found.level
        rates.append(len(excesses) / float(drawn @ lengths))
        tails.append(fit_unbounded(excesses) or tail)
    return np.array(rates), tails
