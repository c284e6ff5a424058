"""How often normal behaviour really raises the alarm of a bundle, and whether that refutes what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration import poisson_interval as poisson
from calibration.replay import Signal, episodes
from daflow.core.alarms.calibration import AlarmCalibration

UNLIKELY = 0.05
"""Probability at or below which so many alarms refute the rate."""


@dataclass(frozen=True)
class ClipCheck:
    """What came of one recording."""

    clip: str
    seconds: float
    alarms: int
    highest: float | None


@dataclass(frozen=True)
class Check:
    """What came of all recordings.

    Attributes:
        clips: one by one.
        hours: their length.
        alarms: how many began.
        per_day: that many in a day.
        interval_per_day: its 95 % interval, as if alarms came independently of each other.
        expected_per_day: what the calibration says; None when it says nothing.
        probability: of so many alarms or more if that were true; None when it says nothing.
        refuted: whether that is too unlikely.
    """

    clips: tuple[ClipCheck, ...]
    hours: float
    alarms: int
    per_day: float
    interval_per_day: tuple[float, float]
    expected_per_day: float | None
    probability: float | None
    refuted: bool

    def verdict(self, promised: bool) -> str:
        """Say it in a sentence."""
        low, high = self.interval_per_day
        came = (
            f"{self.alarms} false alarms in {self.hours:.3g} hours: {self.per_day:.3g} a day "
            f"(95 % interval {low:.3g} to {high:.3g})"
        )
        if self.expected_per_day is None or self.probability is None:
            return f"{came}; the calibration expects no rate"
        said = f"{'promised' if promised else 'expected, not promised'}: {self.expected_per_day:.3g} a day"
        if self.refuted:
            return f"{came}; {said}, which is refuted (so many or more have a probability of {self.probability:.2g})"
        return f"{came}; {said}, which agrees (so many or more have a probability of {self.probability:.2g})"


def check(signals: Sequence[Signal], alarm: AlarmCalibration) -> Check:
    """Raise the alarms of normal recordings and compare their number with what was expected.

    Args:
        signals: of recordings that the calibration did not see.
        alarm: the calibration; the rate is compared when a rate was asked for.
    """
    rule = alarm.rule()
    clips = []
    for signal in signals:
        known = [float(level) for level in signal.levels if level == level]  # noqa: PLR0124
        count = sum(1 for _ in episodes(signal, rule))
        clips.append(ClipCheck(signal.name, signal.seconds, count, max(known, default=None)))
    days = sum(c.seconds for c in clips) / 86400
    count = sum(c.alarms for c in clips)
    low, high = poisson.interval(count)
    expected = alarm.expected_per_day if alarm.target_per_day is not None else None
    probability = None if expected is None else 1 - poisson.at_most(count - 1, expected * days)
    return Check(
        tuple(clips),
        days * 24,
        count,
        count / days,
        (low / days, high / days),
        expected,
        probability,
        probability is not None and probability <= UNLIKELY,
    )
