"""How far a camera is with being commissioned: measured once a minute, for the terminal, the health and the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.commissioning.needs import Needs, Recorded, describe
from runtime.json_values import iso

MEASURE_SECONDS = 60.0


@dataclass(frozen=True)
class _Measured:
    recorded: Recorded
    ready_at: datetime | None


class Progress:
    """Measures what was recorded of a camera since it was commissioned last, against what its rate needs.

    `facts` may be called from any thread.

    Args:
        total: returns everything that was recorded.
        needs: of the requested rate.
        used: what was there when the camera was commissioned last.
        now: gives the time.
    """

    def __init__(
        self,
        total: Callable[[], Recorded],
        needs: Needs,
        used: Recorded,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._total = total
        self._needs = needs
        self._used = used
        self._now = now
        self._since, self._before = now(), total().since(used)
        self._last = self._since
        self._measured = _Measured(self._before, None)

    def measure(self) -> Recorded | None:
        """Return what was recorded; None where the last time was less than a minute ago."""
        now = self._now()
        if (now - self._last).total_seconds() < MEASURE_SECONDS:
            return None
        self._last = now
        recorded = self._total().since(self._used)
        self._measured = _Measured(recorded, self._needs.ready_at(recorded, self._before, self._since, now))
        return recorded

    def words(self) -> str:
        """Say how much that is, what is missing, and when it is expected to be there."""
        return describe(self._measured.recorded, self._needs, self._measured.ready_at)

    def facts(self) -> dict[str, Any]:
        """Return the last measurement as values for JSON.

        Keys: `seconds` with people and `people` that were recorded, `hours_of_day` (0 to 23, by the device's clock),
        `needed_seconds` and `per_day` (the requested false alarms), `missing` (in words; empty when everything is
        there), `share` (0 to 1), and `ready_at_utc`, None where that cannot be told.
        """
        recorded, ready_at = self._measured.recorded, self._measured.ready_at
        return {
            "seconds": round(recorded.seconds, 1),
            "people": recorded.people,
            "hours_of_day": sorted(recorded.hours_of_day),
            "needed_seconds": round(3600 * self._needs.hours, 1),
            "per_day": self._needs.per_day,
            "missing": self._needs.missing(recorded),
            "share": round(self._needs.share(recorded), 3),
            "ready_at_utc": None if ready_at is None else iso(ready_at.timestamp()),
        }
