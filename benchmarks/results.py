"""What a run measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from benchmarks.edge import EdgeCost, Skipped
from benchmarks.reference import Reference
from benchmarks.scaling import Curve
from benchmarks.scorers import Scorers
from benchmarks.targets import Target


@dataclass
class Results:
    """What was measured so far; None is what was not asked for, or not measured yet."""

    scorers: Scorers | None = None
    reference: Reference | None = None
    edge: EdgeCost | Skipped | None = None
    scaling: list[Curve] | None = None
    targets: list[Target] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the verdicts."""
        plain: dict[str, Any] = {
            field.name: [asdict(part) for part in value] if isinstance(value, list) else asdict(value)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        for curve, row in zip(self.scaling or (), plain.get("scaling", ()), strict=True):
            row["fast_growing"] = curve.fast_growing
        for target, row in zip(self.targets or (), plain.get("targets", ()), strict=True):
            row |= {"met": target.met, "sure": target.sure}
        return plain
