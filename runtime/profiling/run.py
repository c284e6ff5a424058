"""A whole profile: every part measured one after the other, and put together."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daflow.core.bundle import MANIFEST, Bundle
from daflow.core.engines.cache import engine_folder
from daflow.core.engines.file import read_engine
from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.progress import track
from daflow.core.version import __version__
from runtime.json_values import iso
from runtime.machine.board import Machine
from runtime.machine.environment import advice, environment
from runtime.machine.power import PowerMeter, find_power_meter
from runtime.profiling.cold_start import measure_cold_start
from runtime.profiling.edge import EdgeRun, measure_edge, measure_pace
from runtime.profiling.machine_watch import MachineWatch, peak_memory_mb
from runtime.profiling.profile import Cost, Profile, ScorerComparison, windows_text
from runtime.profiling.scorers import (
    Candidate,
    measure_scorers,
    open_candidates,
    scorers_of_this_machine,
    walker_windows,
)
from runtime.profiling.statistics import Quartiles
from runtime.profiling.timing import time_calls
from runtime.scorers.tensorrt import PhasedScorer
from runtime.sources.redaction import redacted

_COLD_STARTS = 5
_IDLE_SECONDS = 2.0
_ENERGY_SECONDS = 2.0
_LARGE_RANGE = 0.1  # the default tolerance of 'compare'
_CLOCK_CHANGE = 1.05


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        run: the edge and its source.
        scorers: measured alone; empty for all that run here.
        precisions: of these; empty for all of the bundle.
        sizes: windows in a call.
        seconds: for each part.
        rounds: turns of the scorers; the edge has half as many.
        baseline: the scorer that the others are compared with, None for the first.
    """

    run: EdgeRun
    scorers: Sequence[str]
    precisions: Sequence[str]
    sizes: Sequence[int]
    seconds: float
    rounds: int
    baseline: str | None = None


def take_profile(bundle: Bundle, request: Request, machine: Machine | None = None) -> Profile:
    """Measure everything.

    Args:
        bundle: whose scorers are measured.
        request: what and for how long.
        machine: whose power, heat and clocks are read; None is this one.

    Raises:
        InputError: a part cannot be opened, or the baseline is no scorer that was measured.
    """
    run = request.run
    run.check()
    machine = machine or Machine()
    facts = environment(machine)
    skipped: list[str] = []
    scorers = request.scorers or scorers_of_this_machine(skipped)
    meter = find_power_meter(machine, run.on_gpu)
    per_window: dict[str, float] = {}
    with MachineWatch(machine, meter) as idle:
        time.sleep(_IDLE_SECONDS if meter else 0.0)
    with MachineWatch(machine, meter) as whole:
        with open_candidates(bundle, scorers, request.precisions, skipped) as candidates:
            baseline = _baseline(request.baseline, candidates)
            window = bundle.manifest.window
            alone = measure_scorers(
                candidates, window, request.sizes, request.seconds, request.rounds,
                lambda rounds: track(rounds, "rounds of the scorers"), baseline,
            )  # fmt: skip
            if meter:
                per_window = _energy_per_window(machine, meter, candidates, window)
        cold = measure_cold_start(run, _COLD_STARTS, lambda rounds: track(rounds, "cold starts"))
        edge = measure_edge(
            run, request.seconds, max(4, request.rounds // 2), lambda rounds: track(rounds, "rounds of the edge")
        )  # fmt: skip
        with MachineWatch(machine, meter) as paced:
            pace = measure_pace(run, request.seconds)
    during, at_pace = whole.readings(), paced.readings()
    watts = at_pace.watts
    cost = Cost(
        peak_memory_mb=peak_memory_mb(),
        gpu_memory_mb=during.gpu_memory_mb,
        engine_build_s=engine_seconds(bundle.folder),
        meter=at_pace.meter,
        idle_watts=idle.readings().watts,
        watts=watts,
        millijoules_per_frame=1000 * watts * pace.seconds / pace.frames if watts else None,
        millijoules_per_window=per_window,
        temperature_c=during.temperature_c,
        clock_mhz=during.clock_mhz,
        throttled=during.throttled,
    )
    return Profile(
        created=iso(time.time()),
        daflow=__version__,
        bundle=bundle.folder.name,
        bundle_hash=sha256(bundle.folder / MANIFEST),
        scorer=edge.scorer,
        source=redacted(run.source),
        seconds=request.seconds,
        rounds=request.rounds,
        baseline=baseline,
        environment=facts,
        advice=[*advice(facts), *measurement_advice(alone, cost)],
        skipped=skipped,
        scorer_alone=alone,
        stages=edge.stages,
        edge=edge.edge,
        pace=pace,
        cold_start=cold,
        cost=cost,
    )


def measurement_advice(scorers: ScorerComparison, cost: Cost) -> list[str]:
    """Say what in the measurement itself makes its figures doubtful, and what to do about it."""
    found = []
    ranges = {
        f"{name} with {windows_text(size)}": Quartiles.of(batch.call.rounds_ms).relative_range
        for name, scorer in scorers.scorers.items()
        for size, batch in scorer.batches.items()
    }
    worst = max(ranges, key=lambda name: ranges[name])
    if ranges[worst] > _LARGE_RANGE:
        found.append(
            f"The rounds differ by {100 * ranges[worst]:.0f} % ({worst}, interquartile range): stop other programs, "
            "fix the clocks (Jetson: sudo nvpmodel -m 0, sudo jetson_clocks; else sudo cpupower frequency-set -g "
            "performance), pin the profile to cores of its own (taskset -c), or give more --seconds."
        )
    if cost.throttled:
        found.append(
            f"The processor slowed down {cost.throttled} times because of heat: cool it, and measure again."
        )
    if cost.clock_mhz and cost.clock_mhz[1] > _CLOCK_CHANGE * cost.clock_mhz[0]:
        low, high = cost.clock_mhz
        found.append(f"The clock varied from {low:.0f} to {high:.0f} MHz during the measurement.")
    return found


def engine_seconds(bundle: Path) -> dict[str, float]:
    """Return the build seconds of each engine that is kept for a bundle, by file name."""
    found = {}
    for path in sorted({*(bundle / "engines").glob("*.engine"), *engine_folder(bundle).glob("*.engine")}):
        try:
            header, _ = read_engine(path)
        except (InputError, OSError):
            continue  # opening the scorer reports it
        found[path.name] = header.seconds
    return found


def _baseline(wanted: str | None, candidates: Sequence[Candidate]) -> str:
    names = [candidate.scorer.name for candidate in candidates]
    if wanted is not None and wanted not in names:
        raise InputError(f"There is no scorer {wanted!r} to compare with; measured are {', '.join(names)}.")
    return wanted or names[0]


def _energy_per_window(
    machine: Machine, meter: PowerMeter, candidates: Sequence[Candidate], window: int
) -> dict[str, float]:
    """Return the millijoules of one window that is scored alone, idle power included, by scorer."""
    found = {}
    poses = walker_windows(window, 1)
    for candidate in candidates:
        if not meter.sees(on_gpu=isinstance(candidate.scorer, PhasedScorer)):
            continue
        with MachineWatch(machine, meter) as watch:
            calls = len(time_calls(functools.partial(candidate.scorer.score, poses), _ENERGY_SECONDS))
        if watch.joules:
            found[candidate.scorer.name] = 1000 * watch.joules / calls
    return found
