"""A weekly schedule: at which hours of which days something holds, by the clock on a wall."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_PERIOD = re.compile(r"([a-z]{3}(?:[-,][a-z]{3})*) (\d\d):(\d\d)-(\d\d):(\d\d)")
_MINUTES = 24 * 60
_MINUTE_S = 60
_AHEAD = 8 * _MINUTES  # a schedule repeats after a week, of which a change of the clocks may take a part


@dataclass(frozen=True)
class Period:
    """Hours that begin on some days of the week.

    Attributes:
        days: on which it begins, 0 is Monday.
        begin: minute of the day.
        end: minute of the day up to which it lasts; not after the begin, it is one of the day after.
    """

    days: frozenset[int]
    begin: int
    end: int

    def holds(self, day: int, minute: int) -> bool:
        """Whether it holds in a minute of a day."""
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or (
            (day - 1) % len(DAYS) in self.days and minute < self.end
        )


def parse_period(text: str) -> Period:
    """Read a period such as `mon-fri 22:00-06:00` or `sat,sun 00:00-24:00`.

    Raises:
        ValueError: it is none; the message says what is wrong.

    >>> sorted(parse_period("fri-mon,wed 22:00-06:00").days)
    [0, 2, 4, 5, 6]
    """
    match = _PERIOD.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no period; write it as 'mon-fri 22:00-06:00' or 'sat,sun 00:00-24:00'")
    begin, end = (60 * int(match[part]) + int(match[part + 1]) for part in (2, 4))
    if int(match[3]) > 59 or int(match[5]) > 59 or begin >= _MINUTES or end > _MINUTES:
        raise ValueError(f"{text!r} has a time that no clock shows, from 00:00 to 24:00")
    if begin == end:
        raise ValueError(f"{text!r} ends when it begins; the whole day is 00:00-24:00")
    days: set[int] = set()
    for part in match[1].split(","):
        names = part.split("-")
        if len(names) > 2 or any(name not in DAYS for name in names):
            raise ValueError(f"{text!r} has days other than {', '.join(DAYS)}")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        days |= {(first + step) % len(DAYS) for step in range((last - first) % len(DAYS) + 1)}
    return Period(frozenset(days), begin, end)


class WeeklySchedule:
    """When something holds, such as that a camera is armed.

    Every moment is looked up by the local clock, so that a period ends when the clock on a wall shows its end, also in
    nights in which clocks change: an hour that comes twice counts twice, and one that is left out does not come.

    Args:
        periods: when it holds.
        time_zone: whose clock counts.

    >>> schedule = WeeklySchedule([parse_period("sun 22:00-06:00")], ZoneInfo("UTC"))
    >>> monday = datetime(2026, 3, 2, 5, 59, tzinfo=ZoneInfo("UTC")).timestamp()
    >>> schedule.holds(monday), schedule.holds(monday + 60), schedule.next_change(monday) == monday + 60
    (True, False, True)
    """

    def __init__(self, periods: Sequence[Period], time_zone: ZoneInfo) -> None:
        self._periods = tuple(periods)
        self._zone = time_zone

    def holds(self, utc: float) -> bool:
        """Whether it holds at a time, seconds since 1970."""
        local = datetime.fromtimestamp(utc, self._zone)
        day, minute = local.weekday(), 60 * local.hour + local.minute
        return any(period.holds(day, minute) for period in self._periods)

    def next_change(self, utc: float) -> float | None:
        """Return when it begins or ends next after a time, seconds since 1970; None when it never changes."""
        now = self.holds(utc)
        minute = int(utc // _MINUTE_S) * _MINUTE_S
        times = (float(minute + _MINUTE_S * step) for step in range(1, _AHEAD + 1))
        return next((time for time in times if self.holds(time) != now), None)
