"""Whether a recording is long enough to promise a rate of false alarms, in words and numbers."""

from __future__ import annotations

from calibration.threshold import MIN_BLOCKS, Choice

FARTHEST = 4.0
"""How many recordings of this length a fitted tail may reach into: rarer alarms than that are a guess."""

SEEN = 5.0
"""How many alarms an empirical threshold must have room for in the recording."""

WIDEST = 3.0
"""How many times the rate that was asked for the upper end of its 95 % interval may be."""


def objection(choice: Choice, hours: float, per_day: float) -> str | None:
    """Say why the rate cannot be promised, or None when it can."""
    apart = 24 / per_day
    short = f"the recordings are too short to promise {per_day:g} false alarms a day"
    if hours < apart / FARTHEST:
        return (
            f"{short}: one in {_hours(apart)} lies {apart / hours:.3g} times as far apart as these {_hours(hours)} "
            f"reach, and a tail may be continued {FARTHEST:g} times; at least {_hours(apart / FARTHEST)} are needed"
        )
    if choice.method != "pot" and hours < apart * SEEN:
        return (
            f"{short}: no tail could be fitted to these {_hours(hours)}, and without one {SEEN:g} alarms must "
            f"have room in them; at least {_hours(apart * SEEN)} are needed"
        )
    if choice.blocks < MIN_BLOCKS:
        return (
            f"{short}: {choice.blocks} pieces of at least a minute say nothing of how much the rate varies; "
            f"{MIN_BLOCKS} are needed"
        )
    high = choice.interval_per_day[1] if choice.interval_per_day else float("inf")
    if high > WIDEST * per_day:
        return (
            f"the recordings vary too much to promise {per_day:g} false alarms a day: it may be up to {high:.3g}; more "
            f"hours than these {_hours(hours)} are needed"
        )
    return None


def _hours(hours: float) -> str:
    return f"{hours:.3g} hours" if hours >= 1 else f"{hours * 60:.3g} minutes"
