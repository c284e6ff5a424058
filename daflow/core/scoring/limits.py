"""The limits that a form of the model must keep before it is written or used, and whether a comparison keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from daflow.core.errors import InputError
from daflow.core.evidence import Channel
from daflow.core.scoring.comparison import Comparison, Precision


class Limits(BaseModel):
    """The limits of a comparison; None checks nothing.

    Attributes:
        max_error: maximum change of a score / max(1, |score|) of any window that is not extreme.
        spearman: minimum rank correlation.
        tail_spearman: minimum rank correlation over the tenth of the windows with the highest scores.
        alarm_agreement: minimum fraction of the windows on the same side of the alarm threshold. A single window on the
            other side never misses it: where one lies at the threshold, the last digit decides.
        auc_delta: maximum |dAUC| in percentage points.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_error: float | None = None
    spearman: float | None = None
    tail_spearman: float | None = None
    alarm_agreement: float | None = None
    auc_delta: float | None = None


LIMITS: dict[Precision, Limits] = {
    "fp32": Limits(
        max_error=1e-4, spearman=0.9999, tail_spearman=0.9999, alarm_agreement=0.9999, auc_delta=0.01
    ),
    "fp16": Limits(spearman=0.9995, tail_spearman=0.999, alarm_agreement=0.999, auc_delta=0.05),
    "int8": Limits(spearman=0.99, tail_spearman=0.97, alarm_agreement=0.99, auc_delta=0.5),
}


class Verdict(BaseModel):
    """A comparison, its limits, and a phrase for each limit that it missed.

    Attributes:
        comparison: of the scores.
        limits: what it had to keep.
        missed: a phrase for each limit that the scores or a channel of evidence missed.
        channels: the comparison of each channel of evidence; none of the flow alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    comparison: Comparison
    limits: Limits
    missed: tuple[str, ...] = ()
    channels: dict[Channel, Comparison] = Field(default_factory=dict)


def check_limits(
    comparison: Comparison, limits: Limits, channels: Mapping[Channel, Comparison] | None = None
) -> Verdict:
    """Check the comparisons of scores and channels against limits; what is not finite always misses."""
    missed = _missed(comparison, limits)
    of_channels = limits.model_copy(update={"alarm_agreement": None})  # a channel alone raises no alarm
    for channel, compared in (channels or {}).items():
        missed += [f"{channel}: {phrase}" for phrase in _missed(compared, of_channels)]
    return Verdict(comparison=comparison, limits=limits, missed=tuple(missed), channels=dict(channels or {}))


def _missed(comparison: Comparison, limits: Limits) -> list[str]:
    missed = []
    if comparison.non_finite:
        missed.append(f"{comparison.non_finite} scores are NaN or infinite")
    for name, limit in limits.model_dump(exclude_none=True).items():
        value = getattr(comparison, name)
        if value is None:
            continue
        if name in ("max_error", "auc_delta") and not abs(value) <= limit:
            missed.append(f"{name} is {abs(value):.3g}, at most {limit:g} is allowed")
        if name == "alarm_agreement" and value >= 1 - 1.5 / comparison.windows:
            continue
        if name not in ("max_error", "auc_delta") and not value >= limit:
            missed.append(f"{name} is {value:.6f}, at least {limit:g} is required")
    return missed


def parse_limits(settings: dict[str, float]) -> dict[Precision, Limits]:
    """Return the default limits with some replaced.

    Args:
        settings: `{"fp16.spearman": 0.9999}`.

    Raises:
        InputError: a limit does not exist.

    >>> parse_limits({"int8.auc_delta": 1.0})["int8"].auc_delta
    1.0
    """
    limits = dict(LIMITS)
    for name, value in settings.items():
        precision, _, field = name.partition(".")
        if precision not in LIMITS or field not in Limits.model_fields:
            known = ", ".join(Limits.model_fields)
            raise InputError(
                f"{name!r} is not a limit. Use PRECISION.NAME=VALUE, where PRECISION is one of "
                f"{', '.join(LIMITS)} and NAME one of {known}."
            )
        key: Any = precision
        limits[key] = limits[key].model_copy(update={field: value})
    return limits
