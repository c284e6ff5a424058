"""A whole profile: every part measured one after the other, and put together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from runtime.profiling.compare import FORMAT
from runtime.profiling.edge import EdgeRun, measure_edge, measure_pace
from runtime.profiling.machine_watch import Watch, peak_memory_mb
from runtime.profiling.scorers import Candidate, bottleneck, measure, open_candidates, time_calls, windows_of
from runtime.profiling.statistics import spread, windows
from runtime.sources.redaction import redacted

_COLD_STARTS = 5
_IDLE_SECONDS = 2.0
_ENERGY_SECONDS = 2.0
_LARGE_SPREAD = 0.1


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        run: the edge and its source.
        scorers: measured alone; none is all that run here.
        precisions: of these; none is all of the bundle.
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


def take_profile(bundle: Bundle, request: Request, machine: Machine | None = None) -> dict[str, Any]:
    """Measure everything; return plain values for JSON.

    Args:
        bundle: whose scorers are measured.
        request: what and for how long.
        machine: what is asked about power, heat and clocks; None is this one.

    Raises:
        InputError: a part cannot be opened, or the baseline is no scorer that was measured.
    """
    request.run.check()
    machine = machine or Machine()
    facts = environment(machine)
    meter = find_power_meter(machine)
    run, edge_rounds = request.run, max(4, request.rounds // 2)
    left_out: list[str] = []
    per_window: dict[str, float] = {}
    with Watch(machine, meter) as idle:
        time.sleep(_IDLE_SECONDS if meter else 0.0)
    with Watch(machine, meter) as whole:
        with open_candidates(bundle, request.scorers, request.precisions, left_out) as candidates:
            baseline = _baseline(request.baseline, candidates)
            window = bundle.manifest.window
            alone = measure(
                candidates, window, request.sizes, request.seconds, request.rounds,
                lambda rounds: track(rounds, "rounds of the scorers"),
            )  # fmt: skip
            if meter:
                per_window = _energy_per_window(machine, meter, candidates, window)
        cold = measure_cold_start(run, _COLD_STARTS, lambda rounds: track(rounds, "cold starts"))
        edge = measure_edge(
            run, request.seconds, edge_rounds, lambda rounds: track(rounds, "rounds of the edge")
        )
        with Watch(machine, meter) as paced:
            pace = measure_pace(run, request.seconds)
    _judge_scorers(alone["scorers"], baseline)
    stages = edge.pop("stages")
    seen, at_pace = whole.facts(), paced.facts()
    watts = at_pace["watts"]
    profile: dict[str, Any] = {
        "format": FORMAT,
        "created": iso(time.time()),
        "daflow": __version__,
        "bundle": bundle.folder.name,
        "bundle_hash": sha256(bundle.folder / MANIFEST),
        "scorer": edge.pop("scorer"),
        "source": redacted(run.source),
        "seconds": request.seconds,
        "rounds": request.rounds,
        "baseline": baseline,
        "environment": facts,
        "advice": [],
        "left_out": left_out,
        "scorer_alone": alone,
        "stages": stages,
        "edge": {**edge, "source": redacted(run.source)},
        "pace": pace,
        "cold_start": cold,
        "cost": {
            "peak_memory_mb": peak_memory_mb(),
            "gpu_memory_mb": seen["gpu_memory_mb"],
            "engine_build_s": engine_seconds(bundle.folder),
            "meter": at_pace["meter"],
            "idle_watts": idle.facts()["watts"],
            "watts": watts,
            "millijoules_per_frame": 1000 * watts * pace["seconds"] / pace["frames"] if watts else None,
            "millijoules_per_window": per_window,
            "temperature_c": seen["temperature_c"],
            "clock_mhz": seen["clock_mhz"],
            "throttled": seen["throttled"],
        },
    }
    profile["advice"] = [*advice(facts), *doubts(profile)]
    return profile


def doubts(profile: Mapping[str, Any]) -> list[str]:
    """Say what in the measured times themselves speaks against them."""
    found = []
    scorers = profile["scorer_alone"]["scorers"]
    spreads = {
        f"{name} with {windows(size)}": spread(row["call"]["rounds_ms"])
        for name, scorer in scorers.items()
        for size, row in scorer["batches"].items()
    }
    worst = max(spreads, key=lambda name: spreads[name])
    if spreads[worst] > _LARGE_SPREAD:
        found.append(
            f"The rounds differ by {100 * spreads[worst]:.0f} % ({worst}, interquartile range): stop other programs, "
            "fix the clocks (Jetson: sudo nvpmodel -m 0, sudo jetson_clocks; else sudo cpupower frequency-set -g "
            "performance), pin the profile to cores of its own (taskset -c), or give more --seconds."
        )
    slowed = profile["cost"]["throttled"]
    if slowed:
        found.append(
            f"The processor slowed itself down {slowed} times because of heat: cool it, and measure again."
        )
    clocks = profile["cost"]["clock_mhz"]
    if clocks and clocks[1] > 1.05 * clocks[0]:
        found.append(f"The clock went from {clocks[0]:.0f} to {clocks[1]:.0f} MHz during the run.")
    return found


def engine_seconds(bundle: Path) -> dict[str, float]:
    """Return how long each engine that is kept for a bundle took to build, by file name."""
    found = {}
    for path in sorted({*(bundle / "engines").glob("*.engine"), *engine_folder(bundle).glob("*.engine")}):
        try:
            header, _ = read_engine(path)
        except (InputError, OSError):
            continue  # the scorer says so when it is wanted
        found[path.name] = header.seconds
    return found


def _baseline(wanted: str | None, candidates: Sequence[Candidate]) -> str:
    names = [candidate.scorer.name for candidate in candidates]
    if wanted is not None and wanted not in names:
        raise InputError(f"There is no scorer {wanted!r} to compare with; measured are {', '.join(names)}.")
    return wanted or names[0]


def _judge_scorers(scorers: dict[str, Any], baseline: str) -> None:
    """Add to each scorer the ratio to the baseline, by size, and its bottleneck."""
    for scorer in scorers.values():
        for size, row in scorer["batches"].items():
            row["ratio"] = row["call"]["p50_ms"] / scorers[baseline]["batches"][size]["call"]["p50_ms"]
        scorer["bottleneck"] = bottleneck(scorer["batches"])


def _energy_per_window(
    machine: Machine, meter: PowerMeter, candidates: Sequence[Candidate], window: int
) -> dict[str, float]:
    """Return the millijoules of one window that is scored alone, power at rest included, by scorer."""
    found = {}
    poses = windows_of(window, 1)
    for candidate in candidates:
        with Watch(machine, meter) as watch:
            calls = len(time_calls(candidate.scorer, poses, _ENERGY_SECONDS))
        if watch.joules:
            found[candidate.scorer.name] = 1000 * watch.joules / calls
    return found
