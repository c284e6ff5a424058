"""A slow test that tells when today's normal no longer fits the calibration: the camera moved, the season changed.

While normal people are as they were at the calibration their p-values are uniform, with a mean of 0.5; high scores
make them small, low scores large. A game bets against that. Its capital is a conformal test martingale, the Simple
Jumper (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman, "Retrain or not retrain: conformal test martingales
for change-point detection", COPA 2021): three players bet that scores have become higher, have become lower, or have
not changed, and change sides now and then. It differs from the paper's in two ways, because people in front of a
camera are not independent draws:

- One bet is made for ten minutes, on the mean of all p-values of that time (twice a minute, of everybody there). The
  mean of bets is a fair bet however much these depend on each other.
- A bet costs as much as the mean p-value may be off without any harm, 0.1. So the game is fair or worse for the
  players as long as the mean is between 0.4 and 0.6, and a calibration of few people gives no false verdict.

The verdict is the Shiryaev-Roberts sum over all moments at which the game may have begun. While nothing has changed
its mean is at most the number of bets, so that the chance of a false verdict within n bets is at most n / 10^6: 5 % in
a year without a pause, whatever the distribution of scores. In simulations with 0.5 to 2 people at a time who stay for
5 to 15 minutes, half of whose variance is their own way of moving, 24 years gave no false verdict; scores that are one
standard deviation higher or lower were told after about 10 hours with people, two after 6. What the test cannot know
is that the same one or two people stay for many hours and move in their own way; that is a change of what is normal,
and it is told as one.
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
"""How far apart the moments are at which p-values are taken."""

BET_SECONDS = 600.0
"""The time that one bet is about."""

LIMIT = 1e6
"""The mean number of bets before a false verdict is at least this."""

HARMLESS = 0.1
"""How far the mean p-value may be from 0.5."""

_BETS = (-1.6, 0.0, 1.6)  # the capital stays above 0 up to 1 / (0.5 + HARMLESS)
_JUMP = 0.01  # the share of each player's capital that changes sides, as in the paper
_LEARN = 6  # bets before the verdict is worth something
_RECOVER = 288  # bets without a new verdict after which an old one is taken back: two days of people
_MEMORY = 36.0  # bets that the shown mean is over
_DAMAGED = "The kept state of a drift watch is damaged; delete it, and the watch begins anew."


@dataclass(frozen=True)
class DriftVerdict:
    """What the watch says.

    Attributes:
        state: `learning` during the first hour of people, `fits`, `drifting`.
        bets: ten-minute periods with people so far.
        mean_p: of about the last six hours; 0.5 when all is as it was, lower when scores are higher. None before the
            first bet.
        p: an upper bound of the probability of evidence like this, in so many bets, while all is as it was.
        since: when it began to drift, seconds since 1970; None unless drifting.
        message: a sentence for people.
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
        state: what `state()` gave before a restart; one of another calibration is left out.

    Raises:
        InputError: the state is damaged.
    """

    def __init__(self, alarm: AlarmCalibration, state: Mapping[str, Any] | None = None) -> None:
        self._alarm = alarm
        self._game = _Game()
        self._bets = 0
        self._mean: float | None = None
        self._since: float | None = None
        self._quiet = 0
        self._next = -math.inf
        self._period = -1
        self._total, self._count = 0.0, 0
        if state is not None and state.get("calibration") == self._calibration():
            self._restore(state)

    def update(self, time_utc: float, people: Mapping[int, float]) -> None:
        """Take the smoothed scores of everybody in a frame; most frames are looked at only by their time.

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
        weight = 1 / min(self._bets, _MEMORY)
        self._mean = mean if self._mean is None else self._mean + weight * (mean - self._mean)
        self._quiet += 1
        if self._game.bet(mean) >= LIMIT:
            self._game = _Game()
            self._quiet = 0
            self._since = time_utc if self._since is None else self._since
        elif self._quiet >= _RECOVER:
            self._since = None

    @property
    def verdict(self) -> DriftVerdict:
        """What the p-values so far say."""
        if self._since is not None and self._mean is not None:
            change = "higher" if self._mean < 0.5 else "lower"
            message = (
                f"normal scores have become {change} than at the calibration (mean p-value {self._mean:.2f} instead of "
                "0.5): look whether the camera moved or what is usual there changed, and calibrate again"
            )
            return DriftVerdict("drifting", self._bets, self._mean, self._chance(LIMIT), self._since, message)
        p = self._chance(self._game.highest)
        if self._bets < _LEARN:
            message = f"{10 * self._bets} of {10 * _LEARN} minutes with people that a verdict needs"
            return DriftVerdict("learning", self._bets, self._mean, p, None, message)
        message = f"the scores of {self._bets / 6:.0f} hours with people fit the calibration"
        return DriftVerdict("fits", self._bets, self._mean, p, None, message)

    def _chance(self, total: float) -> float:
        return min(1.0, self._bets / max(total, 1.0))

    def state(self) -> dict[str, Any]:
        """Return what must survive a restart, ready for JSON; at most ten minutes of p-values are lost."""
        return {
            "calibration": self._calibration(),
            "bets": self._bets,
            "mean": self._mean,
            "since": self._since,
            "quiet": self._quiet,
            "capital": list(self._game.capital),
            "sum": self._game.sum,
            "highest": self._game.highest,
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            self._bets, self._quiet = int(state["bets"]), int(state["quiet"])
            self._mean, self._since = _optional(state["mean"]), _optional(state["since"])
            capital = tuple(float(value) for value in state["capital"])
            self._game = _Game(capital, float(state["sum"]), float(state["highest"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(_DAMAGED) from None
        numbers = (*capital, self._game.sum, self._game.highest, self._mean or 0.0, self._since or 0.0)
        sound = all(math.isfinite(number) and number >= 0 for number in (*numbers, self._bets, self._quiet))
        if not sound or len(capital) != len(_BETS) or sum(capital) <= 0:
            raise InputError(_DAMAGED)

    def _calibration(self) -> list[float]:
        """What tells one calibration from another."""
        return [self._alarm.threshold, self._alarm.hours, self._alarm.windows]


class _Game:
    """The Simple Jumper's capital, scaled to 1 after each bet, and the Shiryaev-Roberts sum."""

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
