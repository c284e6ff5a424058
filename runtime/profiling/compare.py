"""Two profiles compared: what is slower by more than the noise, and what only looks so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from daflow.core.errors import InputError
from runtime.machine.environment import SAME_MACHINE, SAME_SOFTWARE, differences
from runtime.profiling.statistics import quartiles, windows

FORMAT = 1
State = Literal["same", "slower", "faster", "within noise"]
_MIN_MS = 0.005
"""Differences below this are the timer's and the cache's."""
_MIN_ROUNDS = 4


@dataclass(frozen=True)
class Change:
    """How a figure of one profile became another.

    Attributes:
        name: of the figure.
        before: its median over the rounds, in `unit`.
        after: the same in the other profile.
        unit: `ms` or `MB`; more is worse.
        ratio: after over before.
        steady_ratio: the same once each is divided by the yardstick's time in its own profile; None for memory.
        overlap: whether the interquartile ranges of the rounds overlap.
        state: `slower` when both ratios are beyond the tolerance and the ranges do not overlap, with and without the
            yardstick; `faster` likewise; `within noise` when a ratio is beyond the tolerance, and that is all.
    """

    name: str
    before: float
    after: float
    unit: str
    ratio: float
    steady_ratio: float | None
    overlap: bool
    state: State


def read_profile(path: Path) -> dict[str, Any]:
    """Read what `daflow-profile --json` wrote.

    Raises:
        InputError: it is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path} is no profile of this version; 'daflow-profile --bundle BUNDLE --json {path.name}' writes one."
        )
    return content


def compare(before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float) -> list[Change]:
    """Compare all figures that two profiles share.

    Args:
        before: the profile to compare with.
        after: the one in question.
        tolerance: the share by which a figure may be worse, such as 0.1.

    Raises:
        InputError: they share no figure.
    """
    ours, others = dict(_series(before)), dict(_series(after))
    changes = [
        _change(name, ours[name], others[name], tolerance) for name in ours if name in others
    ]  # fmt: skip
    if not changes:
        raise InputError("The profiles share no figure: measure both with the same scorers and batches.")
    return changes


def machine_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say in what the machines of two profiles differ, or their state: times do not compare then."""
    return differences(before["environment"], after["environment"], SAME_MACHINE)


def other_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say in what else two profiles differ, which may explain a difference: software, bundle, source."""
    found = differences(before["environment"], after["environment"], SAME_SOFTWARE)
    return found + differences(dict(before), dict(after), ("bundle_hash", "source"))


def to_json(changes: Sequence[Change], tolerance: float, notes: Sequence[str]) -> dict[str, Any]:
    """Return the verdict as plain values for JSON."""
    return {
        "tolerance": tolerance,
        "regressions": [change.name for change in changes if change.state == "slower"],
        "changes": [asdict(change) for change in changes],
        "notes": list(notes),
    }


@dataclass(frozen=True)
class _Series:
    rounds: list[float]
    yardstick: list[float] | None
    unit: str


def _series(profile: Mapping[str, Any]) -> Iterator[tuple[str, _Series]]:
    scorers = profile["scorer_alone"]
    steady = scorers["yardstick"]["rounds_ms"]
    for name, scorer in scorers["scorers"].items():
        for size, row in scorer["batches"].items():
            yield f"{name}, {windows(size)}", _Series(row["call"]["rounds_ms"], steady, "ms")
    edge = profile.get("edge")
    if edge:
        steady = edge["yardstick"]["rounds_ms"]
        yield "edge: a frame, processor", _Series(edge["processor"]["rounds_ms"], steady, "ms")
        for stage, found in profile["stages"].items():
            yield f"edge: {stage}", _Series(found["rounds_ms"], steady, "ms")
    starts = profile.get("cold_start") or {}
    for kind in ("without_poses", "with_poses"):
        start = starts.get(kind)
        if start and start["processor"]:
            words = f"cold start {kind.replace('_', ' ')}, processor"
            yield words, _Series(start["processor"]["rounds_ms"], None, "ms")
            if start["memory_mb"]:
                yield f"memory {kind.replace('_', ' ')}", _Series(start["memory_mb"], None, "MB")


def _change(name: str, before: _Series, after: _Series, tolerance: float) -> Change:
    plain = _verdict(before.rounds, after.rounds, tolerance)
    steady = plain
    steady_ratio = None
    if before.yardstick and after.yardstick:
        ours, others = _steadied(before), _steadied(after)
        steady = _verdict(ours, others, tolerance)
        steady_ratio = _ratio(ours, others)
    (_, middle, _), (_, other, _) = quartiles(before.rounds), quartiles(after.rounds)
    state: State = "same"
    if plain == steady and abs(other - middle) >= _MIN_MS:
        state = plain
    elif plain != "same":
        state = "within noise"
    return Change(
        name, middle, other, before.unit, _ratio(before.rounds, after.rounds), steady_ratio,
        _overlap(before.rounds, after.rounds), state,
    )  # fmt: skip


def _steadied(series: _Series) -> list[float]:
    """Divide each round by the yardstick's time in the same round, as multiples of it."""
    assert series.yardstick is not None
    if len(series.yardstick) == len(series.rounds):
        return (np.array(series.rounds) / np.array(series.yardstick)).tolist()  # type: ignore[no-any-return]
    return (np.array(series.rounds) / np.median(series.yardstick)).tolist()  # type: ignore[no-any-return]


def _verdict(before: Sequence[float], after: Sequence[float], tolerance: float) -> State:
    ratio = _ratio(before, after)
    if 1 / (1 + tolerance) <= ratio <= 1 + tolerance:
        return "same"
    if _overlap(before, after) or min(len(before), len(after)) < _MIN_ROUNDS:
        return "within noise"
    return "slower" if ratio > 1 else "faster"


def _ratio(before: Sequence[float], after: Sequence[float]) -> float:
    return quartiles(after)[1] / max(quartiles(before)[1], 1e-12)


def _overlap(before: Sequence[float], after: Sequence[float]) -> bool:
    (low, _, high), (other_low, _, other_high) = quartiles(before), quartiles(after)
    return low <= other_high and other_low <= high
