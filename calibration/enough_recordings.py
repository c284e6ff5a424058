"""Whether recordings are long enough for a threshold: for a rate of false alarms, or for a quantile."""

from __future__ import annotations

from calibration.threshold import MIN_BLOCKS, ThresholdChoice
from daflow.core.alarms.calibration import MAX_EXTRAPOLATION, duration_text, least_hours

# All limits are conventions of this toolkit; docs/alarms.md explains what they mean in hours.
MIN_ALARMS = 15.0
"""Without a fitted tail the recordings must be long enough for so many alarms at the requested rate."""

MAX_INTERVAL_RATIO = 3.0
"""The upper end of the 95 % interval of the rate may be so many times the requested rate."""

MIN_BEYOND_QUANTILE = 10
"""So many scores should lie above a quantile."""


def reason_against_rate(choice: ThresholdChoice, hours: float, per_day: float) -> str | None:
    """Return why the recordings do not support a rate of false alarms, or None when they do.

    Args:
        choice: the threshold that was chosen for the rate.
        hours: length of the recordings.
        per_day: the requested false alarms per day.
    """
    between = 24 / per_day
    short = f"the recordings are too short for {per_day:g} false alarms per day"
    if hours < least_hours(per_day):
        return (
            f"{short}: one alarm in {duration_text(between)} is {between / hours:.3g} times their length of "
            f"{duration_text(hours)}, and a fitted tail may be extrapolated to {MAX_EXTRAPOLATION:g} times the length; "
            f"at least {duration_text(least_hours(per_day))} are needed"
        )
    if choice.method != "pot" and hours < between * MIN_ALARMS:
        return (
            f"{short}: no tail could be fitted to these {duration_text(hours)}, and without one they must be long "
            f"enough for {MIN_ALARMS:g} alarms; at least {duration_text(between * MIN_ALARMS)} are needed"
        )
    if choice.blocks < MIN_BLOCKS:
        return (
            f"{short}: {choice.blocks} blocks of at least a minute do not show how much the rate varies; {MIN_BLOCKS} "
            "are needed"
        )
    high = choice.interval_per_day[1] if choice.interval_per_day else float("inf")
    if high > MAX_INTERVAL_RATIO * per_day:
        return (
            f"the rate in the recordings varies too much for {per_day:g} false alarms per day: it may be up to "
            f"{high:.3g}; more than these {duration_text(hours)} are needed"
        )
    return None


def reason_against_quantile(windows: int, quantile: float) -> str | None:
    """Return why a number of scored windows is not enough for a quantile, or None when it is."""
    needed = round(MIN_BEYOND_QUANTILE / (1 - quantile))
    if windows >= needed:
        return None
    return (
        f"{windows} windows are few for the quantile {quantile:g}: about {needed} are needed, "
        "and the threshold may be far from the true quantile"
    )
