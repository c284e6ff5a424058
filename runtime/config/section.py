"""What all sections of the configuration have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section: fields that it does not have are an error, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
