"""What is kept of alarms, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat

from runtime.config.fields import Section


class ReplayOptions(Section):
    """What is kept of an alarm to be replayed: the skeletons of everybody around it."""

    before_seconds: Annotated[FiniteFloat, Field(ge=0, le=20)] = Field(
        5.0, description="Seconds before an alarm begins whose skeletons are kept with it."
    )
    after_seconds: Annotated[FiniteFloat, Field(ge=0, le=20)] = Field(
        5.0, description="Seconds after an alarm has ended whose skeletons are kept with it."
    )
    outline: bool = Field(
        False,
        description="Show an outline of the scene behind the skeletons: edges of what stands still while nobody is "
        "there, taken every ten minutes. It shows furniture and walls, also with --privacy skeletons.",
    )


class StoreOptions(Section):
    """Where events are kept until they are delivered, and after."""

    path: Path | None = Field(
        None, description="SQLite file of the events; unset, a temporary file that is deleted after the run."
    )
    keep_days: Annotated[FiniteFloat, Field(gt=0, le=36500)] = Field(
        30.0, description="How many days events are kept."
    )
    keep_messages: int = Field(
        100_000, ge=10, le=100_000_000, description="Largest number of messages that are kept."
    )
    keep_replay_megabytes: int = Field(
        500,
        ge=1,
        le=1_000_000,
        description="Megabytes of replays of alarms that are kept; beyond, those of the oldest alarms are removed.",
    )
