"""How much of a camera has to be recorded for a rate of false alarms, and what is still missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from daflow.core.alarms.calibration import duration_text, least_hours

CALIBRATE_SHARE = 0.4
"""The share of the recordings that the alarm is calibrated on; as many are trained on, and the rest checks the rate."""

MIN_HOURS = 0.5
"""Hours with people that every rate needs: recordings of five minutes, to train on, calibrate on and check with."""

MIN_PEOPLE = 10
"""People below which `daflow train` calls its data too few."""


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a camera.

    Attributes:
        seconds: length of the recordings, from their first to their last frame with people.
        people: tracks of people.
        hours_of_day: hours of the day, 0 to 23 in local time, in which somebody was there.
    """

    seconds: float = 0.0
    people: int = 0
    hours_of_day: frozenset[int] = frozenset()

    def since(self, before: Recorded) -> Recorded:
        """Return what was recorded since there was so much."""
        return Recorded(
            max(0.0, self.seconds - before.seconds), max(0, self.people - before.people), self.hours_of_day
        )


@dataclass(frozen=True)
class Needs:
    """What a rate of false alarms needs.

    Attributes:
        per_day: the requested false alarms per day, above 0.
        at_least: hours of recordings with people, where fewer turned out to be too few.
    """

    per_day: float
    at_least: float = 0.0

    @property
    def hours(self) -> float:
        """Hours of recordings with people: a part of them must be long enough to calibrate on."""
        return max(MIN_HOURS, least_hours(self.per_day) / CALIBRATE_SHARE, self.at_least)

    def missing(self, recorded: Recorded) -> list[str]:
        """Return what is missing, in words; empty when the rate can be promised."""
        return list(self._missing(recorded))

    def _missing(self, recorded: Recorded) -> Iterator[str]:
        hours = recorded.seconds / 3600
        if hours < self.hours:
            yield f"{duration_text(self.hours - hours)} with people"
        if recorded.people < MIN_PEOPLE:
            yield f"{MIN_PEOPLE - recorded.people} more people"

    def share(self, recorded: Recorded) -> float:
        """Return how much of it is there, 0 to 1."""
        return min(1.0, recorded.seconds / 3600 / self.hours, recorded.people / MIN_PEOPLE)

    def ready_at(
        self, recorded: Recorded, before: Recorded, since: datetime, now: datetime
    ) -> datetime | None:
        """Return when everything will be there if it goes on as since then; None where that cannot be told.

        Args:
            recorded: what is there.
            before: what was there at `since`.
            since: when the camera began to be watched.
            now: the time.
        """
        gained = self.share(recorded) - self.share(before)
        passed = (now - since).total_seconds()
        if gained <= 0 or passed <= 0:
            return None
        seconds = (1 - self.share(recorded)) / gained * passed
        return now + timedelta(seconds=seconds) if math.isfinite(seconds) and seconds < 3e8 else None


def describe(recorded: Recorded, needs: Needs, ready_at: datetime | None = None) -> str:
    """Say how much was seen, what is missing, and when it is expected to be there.

    >>> describe(Recorded(5400, 31, frozenset({9, 10})), Needs(per_day=24))
    '1.5 hours with people of 37.5 minutes, 31 people, at 2 hours of the day; everything is there'
    """
    hours = f"{len(recorded.hours_of_day)} hour{'' if len(recorded.hours_of_day) == 1 else 's'} of the day"
    text = (
        f"{duration_text(recorded.seconds / 3600)} with people of {duration_text(needs.hours)}, {recorded.people} "
        f"people, at {hours}"
    )
    missing = needs.missing(recorded)
    if not missing:
        return f"{text}; everything is there"
    expected = f", expected about {ready_at:%A %d %B %H:%M}" if ready_at else ""
    return f"{text}; missing: {' and '.join(missing)}{expected}"
