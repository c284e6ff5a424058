"""The scorers of a bundle alone, timed in turn, so that noise of the machine affects all of them alike."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daflow.core.bundle import Bundle
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import CheckFailed, InputError
from daflow.core.gpu import tensorrt_of_this_machine
from daflow.core.scoring.scorer import Scorer
from runtime.profiling.profile import BatchTiming, ScorerComparison, ScorerTiming, windows_text
from runtime.profiling.reference_work import time_reference_work
from runtime.profiling.statistics import Timing, summarize
from runtime.profiling.timing import Progress, interleave, time_calls
from runtime.scorers.registry import open_scorer
from runtime.scorers.tensorrt import PhasedScorer

_WARM_UP = 20
_PHASE_CALLS = 3
_REFERENCE_SHARE = 0.1  # of the time
_PHASES = ("to_device", "compute", "to_host")
_Turn = tuple[list[float], list[Mapping[str, float]]]


@dataclass(frozen=True)
class Candidate:
    """A scorer that was opened, and how long that took, seconds."""

    scorer: Scorer
    opened: float
    precision: str


def scorers_of_this_machine(skipped: list[str]) -> tuple[str, ...]:
    """Return the names of the scorers that run here; `skipped` takes a sentence for each that does not."""
    try:
        tensorrt_of_this_machine("tensorrt", "")
    except InputError as error:
        skipped.append(error.message.strip())
        return ("onnxruntime",)
    return ("onnxruntime", "tensorrt")


@contextlib.contextmanager
def open_candidates(
    bundle: Bundle, names: Sequence[str], precisions: Sequence[str], skipped: list[str]
) -> Iterator[list[Candidate]]:
    """Open every scorer in every precision that the bundle has.

    Args:
        bundle: whose scorers.
        names: `onnxruntime` and `tensorrt`.
        precisions: which of the bundle's; empty for all.
        skipped: takes a sentence for each that cannot be opened here.

    Raises:
        InputError: none can be opened, or the bundle has no such precision.
    """
    wanted = precisions or tuple(bundle.manifest.precisions)
    missing = [name for name in wanted if name not in bundle.manifest.precisions]
    if missing:
        raise InputError(
            f"{bundle.folder} has no {missing[0]}; it has {', '.join(bundle.manifest.precisions)}."
        )
    with contextlib.ExitStack() as stack:
        opened: list[Candidate] = []
        for name in names:
            for precision in wanted:
                began = time.perf_counter()
                try:
                    scorer = stack.enter_context(open_scorer(bundle, name, precision))
                except (InputError, CheckFailed) as error:
                    skipped.append(f"{name} {precision}: {error.message}")
                    continue
                opened.append(Candidate(scorer, time.perf_counter() - began, precision))
        if not opened:
            reasons = "; ".join(reason.rstrip(".") for reason in skipped)
            raise InputError(f"No scorer can be opened: {reasons}.")
        yield opened


def measure_scorers(
    candidates: Sequence[Candidate],
    window: int,
    sizes: Sequence[int],
    seconds: float,
    rounds: int,
    progress: Progress = iter,
    baseline: str | None = None,
) -> ScorerComparison:
    """Time every scorer with every number of windows in turn, and the reference workload, round after round.

    Args:
        candidates: the scorers.
        window: poses in a window.
        sizes: windows in a call.
        seconds: for everything together, without the warm-up.
        rounds: how often each has its turn.
        progress: wraps the rounds.
        baseline: name of the scorer that the others are compared with, None for the first.
    """
    inputs = {size: walker_windows(window, size) for size in sizes}
    turns = [(candidate.scorer, size) for size in sizes for candidate in candidates]
    for scorer, size in turns:
        for _ in range(_WARM_UP):
            scorer.score(inputs[size])
    each = seconds * (1 - _REFERENCE_SHARE) / (rounds * len(turns))
    tasks: dict[tuple[str, int], Callable[[], _Turn]] = {
        (scorer.name, size): functools.partial(_turn, scorer, inputs[size], each) for scorer, size in turns
    }
    reference = ("reference workload", 0)
    tasks[reference] = lambda: (time_reference_work(seconds * _REFERENCE_SHARE / rounds), [])
    results = interleave(tasks, rounds, progress)
    calls = {key: summarize([taken for taken, _ in of_rounds]) for key, of_rounds in results.items()}
    base = baseline or candidates[0].scorer.name
    scorers = {}
    for candidate in candidates:
        name = candidate.scorer.name
        batches = {}
        for size in sizes:
            call = calls[name, size]
            batches[size] = BatchTiming(
                call=call,
                **_phase_timings([row for _, rows in results[name, size] for row in rows]),
                windows_per_second=1000 * size / call.p50_ms,
                ratio=call.p50_ms / calls[base, size].p50_ms,
            )
        scorers[name] = ScorerTiming(
            open_ms=candidate.opened * 1000, precision=candidate.precision, batches=batches,
            bottleneck=find_bottleneck(batches),
        )  # fmt: skip
    return ScorerComparison(reference_workload=calls[reference], scorers=scorers)


def _turn(scorer: Scorer, poses: Poses, seconds: float) -> _Turn:
    taken = time_calls(lambda: scorer.score(poses), seconds)
    phases: list[Mapping[str, float]] = (
        [scorer.phases(poses) for _ in range(_PHASE_CALLS)] if isinstance(scorer, PhasedScorer) else []
    )
    return taken, phases


def _phase_timings(rows: Sequence[Mapping[str, float]]) -> dict[str, Timing | None]:
    return {name: summarize([[row[name] for row in rows]]) if rows else None for name in _PHASES}


def walker_windows(window: int, count: int) -> Poses:
    """Return `(count, 2, window, 18)` windows of walkers: a model may be slower on numbers that never occur."""
    clip, _ = generate_clip("walkers", 0, Scene(frames=100, people=8, event=None))
    poses = make_windows([clip], window).poses
    return np.ascontiguousarray(np.resize(poses, (count, *poses.shape[1:])))


def find_bottleneck(batches: Mapping[int, BatchTiming]) -> str:
    """Say in a sentence what a scorer's calls spend their time on.

    Args:
        batches: of one scorer, by number of windows.
    """
    sizes = sorted(batches)
    first = batches[sizes[0]]
    if first.phases:
        whole = first.call.p50_ms
        parts = {
            {"to device": "copying to the GPU", "compute": "computing", "to host": "copying back"}[name]: timing.p50_ms
            for name, timing in first.phases.items()
        }  # fmt: skip
        parts["Python and launching"] = max(0.0, whole - sum(parts.values()))
        largest = max(parts, key=lambda name: parts[name])
        return f"{largest} takes {parts[largest]:.3f} of the {whole:.3f} ms of a call with {windows_text(sizes[0])}"
    if len(sizes) < 2:
        return "unknown from one number of windows: measure several with --batch 1,8"
    counts = np.array(sizes, dtype=np.float64)
    times = np.array([batches[size].call.p50_ms for size in sizes])
    # Weighted by 1 / time, so that the small calls count as much as the large ones.
    per_window, fixed = np.polyfit(counts, times, 1, w=1 / times).tolist()
    share = min(1.0, max(0.0, fixed / times[0]))
    if share >= 0.5:
        return (
            f"the fixed cost of a call, which is {100 * share:.0f} % of a call with {windows_text(sizes[0])}; each "
            f"further window adds {1000 * max(0.0, per_window):.0f} us, so more windows in a call are cheap"
        )
    return f"the windows: each takes {1000 * per_window:.0f} us, and a call costs {1000 * max(0.0, fixed):.0f} us more"
