"""The threshold that normal behaviour exceeds as often as was asked for.

The alarm begins when the level (what the worst person's smoothed score stayed above for `begin_seconds`) exceeds the
threshold. Neighbouring frames are almost the same, so it is not frames that are counted but episodes: the times in
which an alarm at a lower level would have been on. The peaks of the episodes above that level are fitted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration import poisson_interval as poisson
from calibration.pareto_tail import Pareto, Values, fit, fit_open, goodness
from calibration.replay import Signal, episodes
from daflow.core.alarms.rule import AlarmRule
from daflow.core.errors import InputError

DAY = 86400.0
REFUSED = 0.1
"""Goodness of fit at or below which a level is refused."""

MIN_EPISODES = 30
MAX_EPISODES = 100
MIN_BLOCKS = 10
_LEVELS = 1 - np.geomspace(0.25, 1e-4, 20)
_ROUNDS = 400
_SEED = 5


@dataclass(frozen=True)
class Choice:
    """A threshold and what it rests on.

    Attributes:
        threshold: bits per dimension.
        method: as in `daflow.core.alarms.calibration.AlarmCalibration`.
        expected_per_day: false alarms a day; None is not known.
        interval_per_day: its 95 % interval; None is not known.
        episodes: what was counted: episodes above the level, blocks of time, or alarms.
        blocks: pieces of time that the interval rests on.
        level: above which the tail was fitted, None without a fit.
        tail: the fitted distribution of the excesses, None without a fit.
        goodness: of that fit.
        per_peak: alarms for each peak above the threshold, for an alarm may end and begin again within an episode.
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


def choose_threshold(signals: Sequence[Signal], rule: AlarmRule, per_day: float) -> Choice:
    """Choose the threshold at which normal behaviour is expected to raise so many alarms a day.

    The level above which the tail is fitted is the lowest of 20 (from the 75 % to the 99.99 % quantile of the levels)
    with 30 to 100 episodes that the goodness of fit does not refuse; more would be of the bulk and not of the tail. A
    tail that ends is continued as an exponential one. The expected rate at a threshold is the mean over fits to
    resampled blocks of time, so that a short recording gives a higher threshold. When every level is refused, the
    threshold is an order statistic of the highest levels of blocks of time.

    Args:
        signals: of normal recordings.
        rule: as calibrated; its threshold does not matter.
        per_day: above 0.
    """
    target = per_day / DAY
    rng = np.random.default_rng(_SEED)
    levels = np.concatenate([s.levels[~np.isnan(s.levels)] for s in signals])
    if not len(levels):
        raise InputError(
            f"Nobody is scored for {rule.begin_seconds:g} s without a break: the recordings are too short, or "
            "--begin-seconds is too long."
        )
    lengths = _blocks(signals, min(600.0, max(60.0, _seconds(signals) / 30)))
    for level in np.unique(np.quantile(levels, _LEVELS)).tolist():
        found = _peaks(signals, rule, level, lengths)
        if len(found.peaks) > MAX_EPISODES:
            continue
        if len(found.peaks) < MIN_EPISODES or len(found.peaks) / _seconds(signals) <= target:
            break
        tail = fit(found.peaks - level)
        if tail is None:
            continue
        fits = goodness(found.peaks - level, tail, rng)
        if fits <= REFUSED:
            continue
        believed = fit_open(found.peaks - level) or tail
        choice = _extrapolate(signals, rule, target, found, believed, np.concatenate(lengths), rng)
        if choice:
            return replace(choice, goodness=fits)
    return _of_block_maxima(signals, target)


def choose_quantile(signals: Sequence[Signal], rule: AlarmRule, quantile: float) -> Choice:
    """Take a quantile of all people's scores in all frames, and count the alarms that it gives in the recordings."""
    threshold = float(np.quantile(np.concatenate([s.people for s in signals]), quantile))
    count = sum(
        1 for s in signals for _ in episodes(s, replace(rule, threshold=threshold, release=threshold))
    )
    low, high = poisson.interval(count)
    day = DAY / _seconds(signals)
    return Choice(threshold, "quantile", count * day, (low * day, high * day), count, len(signals))


def _seconds(signals: Sequence[Signal]) -> float:
    return math.fsum(s.seconds for s in signals)


def _blocks(signals: Sequence[Signal], seconds: float) -> list[Values]:
    """Cut each signal into equal blocks of about so many seconds; return their lengths for each signal."""
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
            blocks.append(first + min(int(episode.begin / length[0]), len(length) - 1))
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
) -> Choice | None:
    """Find the threshold at which the mean of the resampled rates is the target; None when there is none."""
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
    return Choice(
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
    """Draw blocks with replacement; return the rate of episodes a second and the fitted tail of each draw."""
    rates, tails = [], []
    for _ in range(_ROUNDS):
        drawn = np.bincount(rng.integers(len(lengths), size=len(lengths)), minlength=len(lengths))
        excesses = np.repeat(found.peaks, drawn[found.blocks]) - found.level
        rates.append(len(excesses) / float(drawn @ lengths))
        tails.append(fit_open(excesses) or tail)
    return np.array(rates), tails


def _of_block_maxima(signals: Sequence[Signal], target: float) -> Choice:
    """Take the threshold that so many blocks of time exceed as the target says, without a model of the tail."""
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
    threshold = float(falling[beyond])  # an alarm is above it, so as many blocks can have one as are higher
    count = int((falling > threshold).sum())
    day = DAY / (length * len(falling))
    low, high = poisson.interval(count)
    expected = -math.log1p(-max(count, 1) / (len(falling) + 1)) * DAY / length
    return Choice(threshold, "block-maxima", expected, (low * day, high * day), len(falling), len(falling))
