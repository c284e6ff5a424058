"""Two profiles compared: what is slower beyond the noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from daflow.core.errors import InputError
from runtime.machine.environment import SAME_MACHINE, SAME_SOFTWARE, differences
from runtime.profiling.profile import Profile, windows_text
from runtime.profiling.statistics import Quartiles

State = Literal["same", "slower", "faster", "within noise"]
_MIN_MS = 0.005
"""Smaller differences are those of the timer and the caches."""
_MIN_ROUNDS = 4  # the quartiles of fewer say nothing


@dataclass(frozen=True)
class Change:
    """How a figure of one profile became another.

    Attributes:
        name: of the figure.
        before: its median over the rounds, in `unit`.
        after: the same in the other profile.
        unit: `ms` or `MB`; more is worse.
        ratio: after over before.
        normalized_ratio: the same after each is divided by the time of the reference workload in its own profile;
            None where that was not timed in the same rounds.
        overlap: whether the interquartile ranges of the rounds overlap.
        state: `slower` when both ratios are beyond the tolerance and the ranges do not overlap, with and without
            normalization; `faster` likewise; `within noise` when only a part of that holds.
    """

    name: str
    before: float
    after: float
    unit: str
    ratio: float
    normalized_ratio: float | None
    overlap: bool
    state: State


def compare(before: Profile, after: Profile, tolerance: float) -> list[Change]:
    """Compare all figures that two profiles share.

    Args:
        before: the profile to compare with.
        after: the one in question.
        tolerance: the fraction by which a figure may be worse, such as 0.1.

    Raises:
        InputError: they share no figure.
    """
    old, new = dict(_series(before)), dict(_series(after))
    changes = [_change(name, old[name], new[name], tolerance) for name in old if name in new]
    if not changes:
        raise InputError("The profiles share no figure: measure both with the same scorers and batches.")
    return changes


def machine_differences(before: Profile, after: Profile) -> list[str]:
    """Say how the machines of two profiles differ, or their state: their times are not comparable then."""
    return differences(before.environment, after.environment, SAME_MACHINE)


def other_differences(before: Profile, after: Profile) -> list[str]:
    """Say in what else two profiles differ, which may explain a change: software, bundle, source."""
    found = differences(before.environment, after.environment, SAME_SOFTWARE)
    names = {"bundle_hash", "source"}
    return found + differences(
        before.model_dump(include=names), after.model_dump(include=names), ("bundle_hash", "source")
    )


def to_json(changes: Sequence[Change], tolerance: float, notes: Sequence[str]) -> dict[str, Any]:
    """Return the verdict as plain values for JSON, under the keys that it has always had."""
    rows = [asdict(change) for change in changes]
    for row in rows:
        row["steady_ratio"] = row.pop("normalized_ratio")
    return {
        "tolerance": tolerance,
        "regressions": [change.name for change in changes if change.state == "slower"],
        "changes": rows,
        "notes": list(notes),
    }


@dataclass(frozen=True)
class _Series:
    """The rounds of a figure, and of the reference workload beside it."""

    rounds: list[float]
    reference: list[float] | None = None
    unit: str = "ms"

    def normalized(self) -> list[float]:
        """Divide each round by the reference workload of the same round, or by its median if the rounds differ."""
        if self.reference is None:
            return self.rounds
        same = len(self.reference) == len(self.rounds)
        divisor = np.array(self.reference) if same else np.median(self.reference)
        return (np.array(self.rounds) / divisor).tolist()  # type: ignore[no-any-return]


def _series(profile: Profile) -> Iterator[tuple[str, _Series]]:
    reference = profile.scorer_alone.reference_workload.rounds_ms
    for name, scorer in profile.scorer_alone.scorers.items():
        for size, batch in scorer.batches.items():
            yield f"{name}, {windows_text(size)}", _Series(batch.call.rounds_ms, reference)
    reference = profile.edge.reference_workload.rounds_ms
    yield "edge: a frame, processor", _Series(profile.edge.processor.rounds_ms, reference)
    for stage, timing in profile.stages.items():
        yield f"edge: {stage}", _Series(timing.rounds_ms, reference)
    for kind, start in profile.cold_start.by_kind().items():
        if start.processor:
            yield f"cold start {kind}, processor", _Series(start.processor.rounds_ms)
        if start.memory_mb:
            yield f"memory {kind}", _Series(start.memory_mb, unit="MB")


def _change(name: str, before: _Series, after: _Series, tolerance: float) -> Change:
    rounds = min(len(before.rounds), len(after.rounds))
    old, new = Quartiles.of(before.rounds), Quartiles.of(after.rounds)
    plain = _verdict(old, new, rounds, tolerance)
    normalized, normalized_ratio = plain, None
    if before.reference and after.reference:
        old_normalized, new_normalized = Quartiles.of(before.normalized()), Quartiles.of(after.normalized())
        normalized = _verdict(old_normalized, new_normalized, rounds, tolerance)
        normalized_ratio = _ratio(old_normalized, new_normalized)
    state: State = "same"
    if plain == normalized and abs(new.median - old.median) >= _MIN_MS:
        state = plain
    elif plain != "same":
        state = "within noise"
    return Change(
        name, old.median, new.median, before.unit, _ratio(old, new), normalized_ratio, old.overlaps(new), state
    )  # fmt: skip


def _verdict(before: Quartiles, after: Quartiles, rounds: int, tolerance: float) -> State:
    ratio = _ratio(before, after)
    if 1 / (1 + tolerance) <= ratio <= 1 + tolerance:
        return "same"
    if before.overlaps(after) or rounds < _MIN_ROUNDS:
        return "within noise"
    return "slower" if ratio > 1 else "faster"


def _ratio(before: Quartiles, after: Quartiles) -> float:
    return after.median / max(before.median, 1e-12)
