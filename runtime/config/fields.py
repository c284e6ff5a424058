"""Kinds of fields that several sections of the configuration have."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from runtime.config.weekly_schedule import parse_period
from runtime.sources.redaction import HIDDEN

Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e6)]


class Section(BaseModel):
    """A section of the configuration; unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _not_hidden(address: str) -> str:
    if HIDDEN in address:
        raise PydanticCustomError(
            "hidden_address",
            HIDDEN
            + " stands where --print-config left out what may be a secret; write the whole address, with "
            "${NAME} for an environment variable that holds the secret",
        )
    return address


Address = Annotated[str, Field(min_length=1), AfterValidator(_not_hidden)]
"""A source or a URL, perhaps with `${NAME}` in it."""


def _checked_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError(
            "time_zone",
            "This is no time zone that is known here; Europe/Berlin is one. If it is one, install the package tzdata",
        ) from None
    return name


def _checked_period(text: str) -> str:
    try:
        parse_period(text)
    except ValueError as error:
        raise PydanticCustomError("period", "{error}", {"error": str(error)}) from None
    return text


TimeZone = Annotated[str, AfterValidator(_checked_time_zone)]
"""The name of a time zone that is known here."""

Periods = Annotated[tuple[Annotated[str, AfterValidator(_checked_period)], ...], Field(max_length=64)]
"""Hours of the week, see `parse_period`."""
