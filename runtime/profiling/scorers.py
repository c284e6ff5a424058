"""The scorers of a bundle alone, side by side: they take turns, so that noise of the machine hits all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from daflow.core.bundle import Bundle
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import CheckFailed, InputError
from daflow.core.gpu import find_gpu
from daflow.core.scoring.scorer import Scorer
from runtime.profiling.reference_work import yardstick
from runtime.profiling.statistics import figure, windows
from runtime.scorers.registry import open_scorer
from runtime.scorers.tensorrt import PhasedScorer

_WARM_UP = 20
_MIN_CALLS = 3
_YARDSTICK_SHARE = 0.1
PHASES = ("to_device", "compute", "to_host")


@dataclass(frozen=True)
class Candidate:
    """A scorer that was opened, and how long that took, seconds."""

    scorer: Scorer
    opened: float
    precision: str


@contextlib.contextmanager
def open_candidates(
    bundle: Bundle, names: Sequence[str], precisions: Sequence[str], left_out: list[str]
) -> Iterator[list[Candidate]]:
    """Open every scorer in every precision that the bundle has.

    Args:
        bundle: whose scorers.
        names: `onnxruntime` and `tensorrt`; none is whatever runs here.
        precisions: which of the bundle's; none is all.
        left_out: takes a sentence for each that cannot be opened here.

    Raises:
        InputError: none can be opened, or the bundle has no such precision.
    """
    wanted = precisions or tuple(bundle.manifest.precisions)
    missing = [name for name in wanted if name not in bundle.manifest.precisions]
    if missing:
        raise InputError(
            f"{bundle.folder} has no {missing[0]}; it has {', '.join(bundle.manifest.precisions)}."
        )
    chosen = names or ("onnxruntime", *(("tensorrt",) if find_gpu() else ()))
    if not names and "tensorrt" not in chosen:
        left_out.append("tensorrt: no NVIDIA GPU is here")
    with contextlib.ExitStack() as stack:
        opened: list[Candidate] = []
        for name in chosen:
            for precision in wanted:
                began = time.perf_counter()
                try:
                    scorer = stack.enter_context(open_scorer(bundle, name, precision))
                except (InputError, CheckFailed) as error:
                    left_out.append(f"{name} {precision}: {error.message}")
                    continue
                opened.append(Candidate(scorer, time.perf_counter() - began, precision))
        if not opened:
            raise InputError(f"No scorer can be opened. {' '.join(left_out)}")
        yield opened


def measure(
    candidates: Sequence[Candidate],
    window: int,
    sizes: Sequence[int],
    seconds: float,
    rounds: int,
    progress: Callable[[Sequence[int]], Any] = iter,
) -> dict[str, Any]:
    """Time every scorer with every number of windows in turn, round after round.

    Args:
        candidates: the scorers.
        window: poses in a window.
        sizes: windows in a call.
        seconds: for everything together, warm-up aside.
        rounds: how often each has its turn.
        progress: wraps the rounds.

    Returns:
        `scorers` by name, each with `open_ms` and its `batches` by size: the figure of the whole call as `call`, of
        the phases `to_device`, `compute` and `to_host` where the scorer can tell them, else None, and
        `windows_per_second`; and `yardstick`, the figure of a fixed piece of work in the same rounds.
    """
    inputs = {size: windows_of(window, size) for size in sizes}
    turns = [(candidate, size) for size in sizes for candidate in candidates]
    for candidate, size in turns:
        for _ in range(_WARM_UP):
            candidate.scorer.score(inputs[size])
    each = seconds * (1 - _YARDSTICK_SHARE) / (rounds * len(turns))
    calls: dict[tuple[str, int], list[list[float]]] = {(c.scorer.name, size): [] for c, size in turns}
    phases: dict[tuple[str, int], list[Mapping[str, float]]] = {key: [] for key in calls}
    steady: list[list[float]] = []
    for number in progress(range(rounds)):
        steady.append(yardstick(seconds * _YARDSTICK_SHARE / rounds))
        # Whoever goes first after the pause would be at a disadvantage: each round begins with another.
        first = number % len(turns)
        for candidate, size in turns[first:] + turns[:first]:
            key = candidate.scorer.name, size
            calls[key].append(time_calls(candidate.scorer, inputs[size], each))
            phases[key] += _phases(candidate.scorer, inputs[size])
    return {
        "yardstick": figure(steady),
        "scorers": {
            c.scorer.name: {
                "open_ms": c.opened * 1000,
                "precision": c.precision,
                "batches": {
                    str(size): _row(size, calls[c.scorer.name, size], phases[c.scorer.name, size])
                    for size in sizes
                },
            }
            for c in candidates
        },
    }


def time_calls(scorer: Scorer, poses: Poses, seconds: float) -> list[float]:
    """Call a scorer again and again for so long, at least three times; return the seconds of each call."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < _MIN_CALLS or time.perf_counter() < end:
        began = time.perf_counter()
        scorer.score(poses)
        taken.append(time.perf_counter() - began)
    return taken


def _phases(scorer: Scorer, poses: Poses) -> list[Mapping[str, float]]:
    return [scorer.phases(poses) for _ in range(_MIN_CALLS)] if isinstance(scorer, PhasedScorer) else []


def _row(size: int, calls: list[list[float]], phases: list[Mapping[str, float]]) -> dict[str, Any]:
    whole = figure(calls)
    return {
        "call": whole,
        **{name: figure([[phase[name] for phase in phases]]) if phases else None for name in PHASES},
        "windows_per_second": size / (whole["p50_ms"] / 1000),
    }


def windows_of(window: int, size: int) -> Poses:
    """Real windows, of walkers: a model may be slower on numbers that never occur."""
    clip, _ = generate_clip("walkers", 0, Scene(frames=100, people=8, event=None))
    poses = make_windows([clip], window).poses
    return np.ascontiguousarray(np.resize(poses, (size, *poses.shape[1:])))


def bottleneck(batches: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in a sentence what a scorer's calls spend their time on.

    Args:
        batches: of one scorer, as `measure` returns them.
    """
    sizes = sorted(batches, key=int)
    row = batches[sizes[0]]
    if all(row[name] for name in PHASES):
        whole = row["call"]["p50_ms"]
        parts = {name: row[name]["p50_ms"] for name in PHASES}
        parts["host"] = max(0.0, whole - sum(parts.values()))
        name = max(parts, key=lambda key: parts[key])
        words = {"to_device": "copying to the GPU", "compute": "computing", "to_host": "copying back",
                 "host": "Python and launching"}  # fmt: skip
        return (
            f"{words[name]} takes {parts[name]:.3f} of the {whole:.3f} ms of a call with {windows(sizes[0])}"
        )
    if len(sizes) < 2:
        return "not told by one number of windows: measure several with --batch 1,8"
    counts = np.array([int(size) for size in sizes], dtype=np.float64)
    times = np.array([batches[size]["call"]["p50_ms"] for size in sizes])
    # Weighted by 1 / time, so that the small calls count as much as the large ones.
    per_window, fixed = np.polyfit(counts, times, 1, w=1 / times).tolist()
    share = min(1.0, max(0.0, fixed / times[0]))
    if share >= 0.5:
        return (
            f"the fixed cost of a call: {100 * share:.0f} % of a call with {windows(sizes[0])} is there whatever "
            f"their number, and each further window adds {1000 * max(0.0, per_window):.0f} us. More windows in "
            "a call are cheap"
        )
    return f"the windows: each takes {1000 * per_window:.0f} us, and a call costs {1000 * max(0.0, fixed):.0f} us more"
