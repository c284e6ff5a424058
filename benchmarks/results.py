"""What a run measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from benchmarks.scaling import Curve
from benchmarks.stgnf_algorithm import SpeedComparison
from benchmarks.targets import Target
from runtime.profiling.edge import EdgeMeasurement
from runtime.profiling.profile import ScorerComparison


@dataclass
class Results:
    """What was measured so far; None is what was not asked for, or not measured yet."""

    edge: EdgeMeasurement | None = None
    targets: list[Target] | None = None
    forms: dict[str, ScorerComparison] | None = None
    scaling: list[Curve] | None = None
    training: SpeedComparison | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values for JSON, with the verdicts."""
        plain: dict[str, Any] = {}
        for name in (field.name for field in fields(self) if getattr(self, field.name) is not None):
            value = getattr(self, name)
            if isinstance(value, dict):
                plain[name] = {key: part.model_dump(mode="json") for key, part in value.items()}
            else:
                plain[name] = [asdict(part) for part in value] if isinstance(value, list) else asdict(value)
        if self.edge:
            timings = {name: timing.model_dump() for name, timing in self.edge.stages.items()}
            plain["edge"] |= {"stages": timings, "edge": self.edge.edge.model_dump()}
        for curve, row in zip(self.scaling or (), plain.get("scaling", ()), strict=True):
            row["fast_growing"] = curve.fast_growing
        for target, row in zip(self.targets or (), plain.get("targets", ()), strict=True):
            row |= {"met": target.met, "conclusive": target.conclusive}
        return plain
