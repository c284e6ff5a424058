"""How many of the labelled alarms were real, by camera and week."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

_Z = 1.959964  # of a 95 % interval


@dataclass(frozen=True)
class WeeklyPrecision:
    """The alarms of a camera in a week, and what was said of them.

    Attributes:
        camera: the name of the camera.
        week: such as `2026-W48`, by ISO 8601.
        alarms: how many began.
        real: how many of them are labelled real.
        false: how many of them are labelled false.
    """

    camera: str
    week: str
    alarms: int
    real: int
    false: int

    @property
    def precision(self) -> float | None:
        """The share of the labelled alarms that is real; None without any."""
        labelled = self.real + self.false
        return self.real / labelled if labelled else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the precision, by Wilson; None without labels."""
        labelled = self.real + self.false
        return wilson_interval(self.real, labelled) if labelled else None

    def facts(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {
            "camera": self.camera, "week": self.week, "alarms": self.alarms, "real": self.real, "false": self.false,
            "precision": self.precision, "interval": self.interval,
        }  # fmt: skip


def weekly_precision(
    alarms: Iterable[Mapping[str, Any]], zone: tzinfo | None = None
) -> list[WeeklyPrecision]:
    """Count the alarms of each camera and week, the newest week first, and in it by the names of the cameras.

    Args:
        alarms: as `EventStore.recent` returns them; one that does not say when it began is left out.
        zone: in which weeks begin; None is that of this machine.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    for alarm in alarms:
        if (week := week_of(alarm.get("began_utc"), zone)) is None:
            continue
        count = counts.setdefault((week, str(alarm["camera"])), [0, 0, 0])
        count[0] += 1
        count[1] += alarm.get("label") == "real"
        count[2] += alarm.get("label") == "false"
    found = [WeeklyPrecision(camera, week, *count) for (week, camera), count in counts.items()]
    found.sort(key=lambda row: row.camera)
    return sorted(found, key=lambda row: row.week, reverse=True)


def week_of(utc: object, zone: tzinfo | None = None) -> str | None:
    """Return the week of a time in ISO 8601; None of anything else.

    >>> week_of("2026-01-01T08:00:00+00:00"), week_of(None)
    ('2026-W01', None)
    """
    try:
        year, week, _ = datetime.fromisoformat(str(utc)).astimezone(zone).isocalendar()
    except (ValueError, OverflowError):
        return None
    return f"{year}-W{week:02d}"


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a probability, from the number of successes in one or more trials.

    >>> [round(bound, 3) for bound in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    share, square = successes / trials, _Z * _Z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)
