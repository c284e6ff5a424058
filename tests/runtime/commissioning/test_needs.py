"""How much a rate of false alarms needs, what is missing, and when it will be there."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.alarms.calibration import least_hours
from runtime.commissioning.needs import CALIBRATE_SHARE, MIN_HOURS, MIN_PEOPLE, Needs, Recorded, describe

NOON = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)

recorded = st.builds(Recorded, st.floats(0, 1e7), st.integers(0, 1000))


@given(st.floats(0.01, 1e4), recorded)
def test_what_is_there_is_enough_to_calibrate_on_or_something_is_missing(
    per_day: float, found: Recorded
) -> None:
    needs = Needs(per_day)
    enough = CALIBRATE_SHARE * found.seconds / 3600 >= least_hours(per_day) * (1 - 1e-9)
    if not needs.missing(found):
        assert enough
        assert found.people >= MIN_PEOPLE
        assert found.seconds >= 3600 * MIN_HOURS
        assert needs.share(found) == 1
    else:
        assert needs.share(found) < 1
        assert "missing" in describe(found, needs)


def test_it_is_ready_when_as_much_again_is_there_after_as_long_again() -> None:
    needs = Needs(per_day=1)
    assert needs.hours == pytest.approx(15)
    half = Recorded(7.5 * 3600, 40, frozenset({9}))
    ready = needs.ready_at(half, Recorded(), NOON - timedelta(hours=24), NOON)
    assert ready == NOON + timedelta(hours=24)
    text = describe(half, needs, ready)
    assert text.startswith(
        "7.5 hours with people of 15 hours, 40 people, at 1 hour of the day; missing: 7.5 hours"
    )
    assert text.endswith("expected about Saturday 28 November 12:00")


@pytest.mark.parametrize("before", [Recorded(7.5 * 3600, 40), Recorded(8 * 3600, 40)])
def test_nobody_comes_so_that_nobody_knows_when(before: Recorded) -> None:
    now = Recorded(7.5 * 3600, 40)
    assert Needs(1).ready_at(now, before, NOON - timedelta(hours=2), NOON) is None
    assert "expected" not in describe(now, Needs(1), None)
