"""A slow test for drift: whether the scores of today's normal people still fit the calibration.

They no longer do when the camera was moved or the season changed. While normal people behave as they did at the
calibration, their p-values are uniform with a mean of 0.5. Higher scores make p-values smaller, lower scores larger.

The test is a conformal test martingale, the Simple Jumper (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman,
"Retrain or not retrain: conformal test martingales for change-point detection", COPA 2021). A martingale is the capital
of a gambler in a fair game. Here three strategies share the capital: one bets that scores have become higher, one that
they have become lower, one that nothing has changed. A small share of the capital moves between them at every bet. A
high capital is evidence against "nothing has changed". The test differs from the paper's in two ways, because people in
front of a camera are not independent samples:

- One bet covers ten minutes. It is on the mean of all p-values of that time (of everybody present, twice a minute). A
  bet on the mean is fair however strongly the p-values depend on each other.
- A bet has a cost, as much as a mean p-value that is off by 0.1 wins. So the game is fair or unfavourable while the
  mean is between 0.4 and 0.6, and a calibration on few people causes no false drift.

Drift is reported when the Shiryaev-Roberts sum over all possible starts of the game reaches 10^6. While nothing has
changed, the mean of the sum is at most the number of bets, so the probability of a false report within n bets is at
most n / 10^6: 5 % in a year without a pause, for any distribution of scores. In simulations with 0.5 to 2 people at a
time who stay for 5 to 15 minutes, where half of the variance is between people, 24 years gave no false report. Scores
that were one standard deviation higher or lower were reported after about 10 hours with people, two after 6. The test
cannot know that the same one or two people stay for many hours and move in their own way. This is a change of normal
scores, and it is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.p_value import p_value
from daflow.core.errors import InputError

DriftState = Literal["learning", "fits", "drifting"]

EVERY_SECONDS = 30.0
"""Seconds between the moments at which p-values are taken."""

BET_SECONDS = 600.0
"""The time that one bet covers."""

LIMIT = 1e6
"""The Shiryaev-Roberts sum that reports drift: at least so many bets come before a false report, on average."""

HARMLESS = 0.1
"""How far the mean p-value may be from 0.5 without drift."""

_BETS = (
    -1.6,
    0.0,
    1.6,
)  # stakes of the strategies; the capital stays above 0 for stakes up to 1 / (0.5 + HARMLESS)
_JUMP = 0.01  # the share of the capital that moves between strategies at every bet, as in the paper
_MIN_BETS = 6  # before the first result: an hour with people
_RECOVERY_BETS = 288  # without new drift, after which drift is over: two days with people
_MEAN_BETS = 36.0  # that the reported mean covers: six hours with people
_INVALID_STATE = "The saved state of a drift watch is invalid. Delete it to restart the watch."


@dataclass(frozen=True)
class DriftVerdict:
    """The result of the watch.

    Attributes:
        state: `learning` during the first hour with people, then `fits` or `drifting`.
        bets: ten-minute periods with people so far.
        mean_p: mean p-value of about the last six hours with people; 0.5 while nothing has changed, lower when scores
            are higher. None before the first bet.
        p: an upper bound of the probability of such evidence within so many bets while nothing has changed.
        since: when drift was reported first, seconds since 1970; None unless drifting.
        message: the result as a phrase.
    """

    state: DriftState
    bets: int
    mean_p: float | None
    p: float
    since: float | None
    message: str


class DriftWatch:
    """Watches one camera.

    Args:
        alarm: its calibration.
        state: what `state()` returned before a restart; that of another calibration is ignored.

    Raises:
        InputError: the state is invalid.
    """

    def __init__(self, alarm: AlarmCalibration, state: Mapping[str, Any] | None = None) -> None:
        self._alarm = alarm
        self._martingale = _SimpleJumper()
        self._bets = 0
        self._mean: float | None = None
        self._since: float | None = None
        self._bets_since_drift = 0
        self._next = -math.inf
        self._period = -1
        self._total, self._count = 0.0, 0
        if state is not None and state.get("calibration") == self._calibration():
            self._restore(state)

    def update(self, time_utc: float, people: Mapping[int, float]) -> None:
        """Take the smoothed scores of everybody in a frame; only one frame in 30 seconds is used.

        Args:
            time_utc: seconds since 1970.
            people: smoothed scores by person.
        """
        if self._next - EVERY_SECONDS <= time_utc < self._next or not people:
            return
        self._next = (time_utc // EVERY_SECONDS + 1) * EVERY_SECONDS
        period = int(time_utc // BET_SECONDS)
        if period != self._period and self._count:
            self._bet(self._total / self._count, time_utc)
            self._total, self._count = 0.0, 0
        self._period = period
        for score in people.values():
            p = p_value(self._alarm, score)
            if p is not None:
                self._total += p
                self._count += 1

    def _bet(self, mean: float, time_utc: float) -> None:
        self._bets += 1
        weight = 1 / min(self._bets, _MEAN_BETS)
        self._mean = mean if self._mean is None else self._mean + weight * (mean - self._mean)
        self._bets_since_drift += 1
        if self._martingale.bet(mean) >= LIMIT:
            self._martingale = _SimpleJumper()
            self._bets_since_drift = 0
            self._since = time_utc if self._since is None else self._since
        elif self._bets_since_drift >= _RECOVERY_BETS:
            self._since = None

    @property
    def verdict(self) -> DriftVerdict:
        """The result of the p-values so far."""
        if self._since is not None and self._mean is not None:
            change = "higher" if self._mean < 0.5 else "lower"
            message = (
                f"normal scores have become {change} than at the calibration (mean p-value {self._mean:.2f} instead of "
                "0.5): check whether the camera moved or normal behaviour changed, and calibrate again"
            )
            return DriftVerdict("drifting", self._bets, self._mean, self._chance(LIMIT), self._since, message)
        p = self._chance(self._martingale.highest)
        if self._bets < _MIN_BETS:
            message = f"{10 * self._bets} of the first {10 * _MIN_BETS} minutes with people"
            return DriftVerdict("learning", self._bets, self._mean, p, None, message)
        message = f"the scores of {self._bets / 6:.0f} hours with people fit the calibration"
        return DriftVerdict("fits", self._bets, self._mean, p, None, message)

    def _chance(self, total: float) -> float:
        return min(1.0, self._bets / max(total, 1.0))

    def state(self) -> dict[str, Any]:
        """Return the state to save for a restart, as JSON values; at most ten minutes of p-values are lost."""
        return {
            "calibration": self._calibration(),
            "bets": self._bets,
            "mean": self._mean,
            "since": self._since,
            "quiet": self._bets_since_drift,
            "capital": list(self._martingale.capital),
            "sum": self._martingale.sum,
            "highest": self._martingale.highest,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            self._bets, self._bets_since_drift = int(state["bets"]), int(state["quiet"])
            self._mean, self._since = _optional(state["mean"]), _optional(state["since"])
            capital = tuple(float(value) for value in state["capital"])
            self._martingale = _SimpleJumper(capital, float(state["sum"]), float(state["highest"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(_INVALID_STATE) from None
        numbers = (
            *capital, self._martingale.sum, self._martingale.highest, self._mean or 0.0, self._since or 0.0,
            self._bets, self._bets_since_drift,
        )  # fmt: skip
        valid = all(math.isfinite(number) and number >= 0 for number in numbers)
        if not valid or len(capital) != len(_BETS) or sum(capital) <= 0:
            raise InputError(_INVALID_STATE)

    def _calibration(self) -> list[float]:
        """Values that differ between calibrations."""
        return [self._alarm.threshold, self._alarm.hours, self._alarm.windows]


class _SimpleJumper:
    """The capital of the strategies, scaled to a total of 1 after each bet, and the Shiryaev-Roberts sum."""

    def __init__(
        self, capital: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3), total: float = 0.0, highest: float = 0.0
    ) -> None:
        self.capital = capital
        self.sum = total
        self.highest = highest

    def bet(self, mean: float) -> float:
        """Bet on the next mean p-value and return the sum."""
        jumped = [(1 - _JUMP) * own + _JUMP / len(_BETS) * sum(self.capital) for own in self.capital]
        won = [
            own * (1 + bet * (mean - 0.5) - abs(bet) * HARMLESS)
            for own, bet in zip(jumped, _BETS, strict=True)
        ]
        gain = math.fsum(won)
        self.capital = tuple(own / gain for own in won)
        self.sum = (self.sum + 1) * gain
        self.highest = max(self.highest, self.sum)
        return self.sum


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
