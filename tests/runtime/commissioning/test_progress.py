from __future__ import annotations

from datetime import datetime, timedelta, timezone

from runtime.commissioning.needs import Needs, Recorded
from runtime.commissioning.progress import Progress

BEGAN = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)


def test_what_was_recorded_is_measured_once_a_minute_and_told_with_what_is_missing() -> None:
    needs = Needs(per_day=24)
    there, now = [Recorded(3600, 10, frozenset({8}))], [BEGAN]
    progress = Progress(lambda: there[0], needs, used=Recorded(3600, 10), now=lambda: now[0])
    assert progress.facts()["share"] == 0
    assert progress.facts()["missing"] == ["37.5 minutes with people", "10 more people"]
    assert not progress.measured
    assert not progress.complete
    assert progress.measure() == Recorded(0, 0, frozenset({8}))
    assert progress.measure() is None
    there[0] = Recorded(3600 + 1125, 16, frozenset({8, 21}))
    now[0] = BEGAN + timedelta(minutes=30)
    recorded = progress.measure()
    assert recorded is not None
    assert (recorded.seconds, recorded.people) == (1125, 6)
    assert progress.measure() is None, "once a minute"
    assert progress.facts() == {
        "seconds": 1125, "people": 6, "hours_of_day": [8, 21], "needed_seconds": 2250, "per_day": 24,
        "missing": ["18.8 minutes with people", "4 more people"], "share": 0.5,
        "ready_at_utc": "2026-03-02T09:00:00.000+00:00",
    }  # fmt: skip
    assert "missing: 18.8 minutes with people and 4 more people, expected about Monday" in progress.words()
    there[0], now[0] = Recorded(3600 + 2300, 25), now[0] + timedelta(minutes=2)
    assert progress.measure()
    assert (progress.facts()["missing"], progress.facts()["share"]) == ([], 1)
