from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runtime.cli import main
from runtime.config.schema import ScheduleOptions
from runtime.config.weekly_schedule import DAYS, WeeklySchedule, parse_period

BERLIN = ZoneInfo("Europe/Berlin")
MINUTES = st.integers(0, 24 * 60 - 1)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def schedule(*periods: str, zone: ZoneInfo = BERLIN) -> WeeklySchedule:
    return WeeklySchedule([parse_period(text) for text in periods], zone)


def seconds_armed(plan: WeeklySchedule, begin: float, end: float) -> int:
    return 60 * sum(plan.holds(begin + 60 * minute) for minute in range(int(end - begin) // 60))


@given(
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
    MINUTES,
    MINUTES,
    st.integers(at("2026-01-01T00:00") // 60, at("2027-06-01T00:00") // 60),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_a_period_holds_from_its_begin_to_its_end_by_the_clock_on_the_wall(
    days: list[str], begin: int, end: int, minute: int, zone: str
) -> None:
    """The days around the moment are looked through, each with its period as two times of the wall."""
    if begin == end:
        return
    text = f"{','.join(days)} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    utc = 60.0 * minute
    wall = datetime.fromtimestamp(utc, ZoneInfo(zone)).replace(tzinfo=None)
    found = False
    for back in (0, 1):
        midnight = datetime.combine(wall.date(), datetime.min.time()) - timedelta(days=back)
        first = midnight + timedelta(minutes=begin)
        last = midnight + timedelta(minutes=end, days=int(end < begin))
        found |= midnight.strftime("%a").lower() in days and first <= wall < last
    assert schedule(text, zone=ZoneInfo(zone)).holds(utc) == found


def test_a_night_in_which_clocks_change_is_an_hour_shorter_or_longer() -> None:
    plan = schedule("sat 22:00-06:00")
    usual, spring, autumn = (
        seconds_armed(plan, at(f"{day}T12:00"), at(f"{day}T12:00") + 86400)
        for day in ("2026-03-21", "2026-03-28", "2026-10-24")
    )
    assert (usual, spring, autumn) == (8 * 3600, 7 * 3600, 9 * 3600)
    for day in ("2026-03-29", "2026-10-25"):
        assert plan.holds(at(f"{day}T05:59"))
        assert not plan.holds(at(f"{day}T06:00"))
    # From 2:00 to 3:00 comes twice in the one night, and not at all in the other.
    hour = schedule("sun 02:00-03:00")
    assert seconds_armed(hour, at("2026-10-25T00:00"), at("2026-10-25T12:00")) == 2 * 3600
    assert seconds_armed(hour, at("2026-03-29T00:00"), at("2026-03-29T12:00")) == 0


def test_when_it_changes_next() -> None:
    plan = schedule("mon-fri 22:00-06:00")
    assert plan.next_change(at("2026-03-27T23:10:30")) == at("2026-03-28T06:00")
    assert plan.next_change(at("2026-03-28T06:00")) == at("2026-03-30T22:00"), (
        "through the change of the clocks"
    )
    assert plan.next_change(at("2026-03-30T21:59:59.5")) == at("2026-03-30T22:00")
    assert schedule("mon-sun 00:00-24:00").next_change(0) is None
    assert schedule().next_change(0) is None
    assert schedule("wed 10:00-10:01").next_change(at("2026-03-25T10:01")) == at("2026-04-01T10:00")


@pytest.mark.parametrize(
    "text",
    ["", "mon", "22:00-06:00", "mon 22:00", "mon 8:00-9:00", "mon 08:00-08:00", "mon 25:00-26:00", "mon 08:60-09:00",
     "mon 24:00-06:00", "mon 08:00-24:01", "day 08:00-09:00", "mon-tue-wed 08:00-09:00", "mon,  tue 08:00-09:00"],
)  # fmt: skip
def test_what_is_no_period_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_period(text)


def test_days_may_be_a_range_through_the_weekend_and_spelled_large() -> None:
    assert parse_period("FRI-Mon 08:00-24:00").days == {4, 5, 6, 0}
    assert parse_period("wed 08:00-24:00").days == {2}


def test_an_error_names_the_camera_and_the_text(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    for setting, said in (
        ('armed = ["mon 22:00"]', "'mon 22:00' is no period"),
        ('armed = ["mon 22:00-23:00"]\ntime_zone = "Mars/Base"', "This is no time zone"),
        ('time_zone = "../../etc/passwd"', "This is no time zone"),
    ):
        path.write_text(f'bundle = "b"\n[cameras.door]\nsource = "0"\n[cameras.door.schedule]\n{setting}\n')
        result = CliRunner().invoke(main, ["--config", str(path), "--check-config"])
        assert result.exit_code == 2
        assert "cameras.door.schedule." in result.stderr
        assert said in result.stderr


def test_a_camera_without_a_schedule_has_none_and_one_without_periods_is_never_armed() -> None:
    assert ScheduleOptions().weekly() is None
    never = ScheduleOptions(armed=()).weekly()
    assert never is not None
    assert not never.holds(0)
