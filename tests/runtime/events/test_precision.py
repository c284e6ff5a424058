"""The share of real alarms by camera and week."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from scipy.stats import binomtest

from runtime.events.precision import weekly_precision, wilson_interval


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (3, 7), (0, 40), (40, 40), (500, 1000)])
def test_the_interval_is_wilsons(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def alarm(began: Any, camera: str = "door", label: str | None = None) -> dict[str, Any]:
    return {"began_utc": began, "camera": camera, "label": label}


def test_weeks_begin_on_monday_by_the_clock_on_the_wall() -> None:
    sunday_evening = "2026-11-22T22:30:00.000+00:00"  # half past eleven in Berlin
    monday = "2026-11-22T23:30:00.000+00:00"  # half past midnight
    alarms = [
        alarm(sunday_evening, label="real"),
        alarm(monday, label="false"),
        alarm(monday),
        alarm(monday, "attic", "real"),
        alarm(monday, label="real"),
        alarm(None, label="real"),
    ]
    rows = weekly_precision(alarms, ZoneInfo("Europe/Berlin"))
    assert [(row.week, row.camera, row.alarms, row.real, row.false) for row in rows] == [
        ("2026-W48", "attic", 1, 1, 0),
        ("2026-W48", "door", 3, 1, 1),
        ("2026-W47", "door", 1, 1, 0),
    ]
    assert rows[1].precision == 0.5
    assert rows[1].facts()["interval"] == wilson_interval(1, 2)
    (unlabelled,) = weekly_precision([alarm(monday)])
    assert (unlabelled.precision, unlabelled.interval) == (None, None)
