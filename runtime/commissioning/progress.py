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
        self._since: datetime | None = None
        self._last: datetime | None = None
        self._before = Recorded()
        self._measured = _Measured(self._before, None)

    def measure(self) -> Recorded | None:
        """Return what was recorded; None where the last time was less than a minute ago.

        Raises:
            InputError: the recordings cannot be listed.
        """
        now = self._now()
        if self._last is not None and (now - self._last).total_seconds() < MEASURE_SECONDS:
            return None
        self._last = now
        recorded = self._total().since(self._used)
        if self._since is None:
            self._since, self._before = now, recorded
        ready_at = self._needs.ready_at(recorded, self._before, self._since, now)
        self._measured = _Measured(recorded, ready_at)
        return recorded

    @property
    def measured(self) -> bool:
        """Whether it was measured once: many recordings take a while to read."""
        return self._since is not None

    @property
    def share(self) -> float:
        """How much of what is needed is there, 0 to 1."""
        return self._needs.share(self._measured.recorded)

    @property
    def complete(self) -> bool:
        """Whether everything is there."""
        return self.measured and not self._needs.missing(self._measured.recorded)

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
            "share": round(self.share, 3),
            "ready_at_utc": None if ready_at is None else iso(ready_at.timestamp()),
        }
