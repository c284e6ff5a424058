"""The commissioning of cameras while they are watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat

from runtime.config.fields import Section

BUNDLE = "bundle"
"""The name of the bundle in the folder of cameras that are commissioned."""


class CommissioningOptions(Section):
    """Where cameras are commissioned, and for which rate of false alarms."""

    folder: Path | None = Field(
        None,
        description="Commission the cameras in this folder: record their skeletons there until they are enough, then "
        "make FOLDER/bundle of them and watch with it; until then 'bundle' is watched with. Unset, no camera is "
        "commissioned. A camera with commission = false is left out.",
    )
    false_alarms_per_day: Annotated[FiniteFloat, Field(gt=0, le=1e6)] = Field(
        1.0,
        description="False alarms per day that normal behaviour of a camera may cause; it decides how much has to be "
        "recorded.",
    )
    again: bool = Field(
        False,
        description="Go on with cameras that are commissioned: record them too, and each time that as much again is "
        "there make another bundle, which replaces theirs unless it is worse. The recordings grow without a limit.",
    )

    @property
    def bundle(self) -> Path | None:
        """The bundle that is watched with, once it is there; None without a folder."""
        return self.folder / BUNDLE if self.folder else None
