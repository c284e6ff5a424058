"""The tables and sentences of a profile, which the text for the terminal and the page have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.profiling.profile import EdgeTiming, PacedTiming, Profile, ScorerComparison, windows_text
from runtime.profiling.statistics import Quartiles, Timing

COLUMNS = ("min", "mean", "p50", "p90", "p99", "max")
WHOLE_CALLS_ONLY = "These scorers report the whole call only: nothing is copied to a GPU and back."
NO_ADVICE = "No objections: the clocks are fixed, the machine was quiet and the spread is small."
_UNKNOWN = "not reported by this machine"
Fact = tuple[str, str | None]
"""A name and a value; None where the machine does not report it."""


@dataclass(frozen=True)
class Table:
    """A table whose first `text_columns` hold words, and whose others hold numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1


def machine_name(facts: Mapping[str, Any]) -> str:
    """Name a machine in a few words."""
    words = [facts["board"] or facts["processor"], f"{facts['cores']} cores"]
    return ", ".join(str(word) for word in (*words, facts["gpu"], facts["power_mode"]) if word)


def scorer_table(comparison: ScorerComparison, columns: Sequence[str] = COLUMNS) -> Table:
    """The calls of each scorer by number of windows, milliseconds."""
    scorers = comparison.scorers
    rows = [
        [str(size), name, *_cells(batch.call, columns), f"{batch.windows_per_second:,.0f}", f"{batch.ratio:.2f}x"]
        for size in next(iter(scorers.values())).batches
        for name, batch in ((name, scorer.batches[size]) for name, scorer in scorers.items())
    ]  # fmt: skip
    return Table(["windows", "scorer", *columns, "CV", "windows/s", "ratio"], rows, 2)


def phase_table(profile: Profile) -> Table | None:
    """The phases of a call on the GPU, None when no scorer reports them."""
    rows = [
        [f"{name}, {windows_text(size)}", *(f"{timing.p50_ms:.3f}" for timing in batch.phases.values())]
        for name, scorer in profile.scorer_alone.scorers.items()
        for size, batch in scorer.batches.items()
        if batch.phases
    ]
    return Table(["on the GPU, p50 ms", "to device", "compute", "to host"], rows) if rows else None


def scorer_sentences(profile: Profile) -> Iterator[str]:
    """Say what each scorer spends its time on, and which were skipped."""
    for name, scorer in profile.scorer_alone.scorers.items():
        yield f"{name}: {scorer.bottleneck}."
    for reason in profile.skipped:
        yield f"Skipped: {reason}"


def delays(profile: Profile) -> dict[str, Timing]:
    """What is measured from a frame on, by name."""
    found = {
        "delay": profile.pace.delay,
        "to event": profile.pace.to_event,
        "pose only": profile.edge.pose_only,
    }
    return {name: timing for name, timing in found.items() if timing}  # fmt: skip


def stage_table(
    timings: Mapping[str, Timing], share: Mapping[str, float], columns: Sequence[str] = COLUMNS
) -> Table:
    """The stages of a frame, milliseconds, and the share of each in the work."""
    rows = [
        [name, *_cells(timing, columns), f"{100 * share[name]:.1f} %" if name in share else ""]
        for name, timing in timings.items()
    ]
    return Table(["stage", *columns, "CV", "share"], rows)


def with_or_without_poses(edge: EdgeTiming) -> str:
    """Say whether the figures of the edge include pose estimation."""
    return "with pose estimation" if "pose" in edge.share else "without pose estimation"


def edge_sentences(edge: EdgeTiming, pace: PacedTiming | None = None) -> Iterator[str]:
    """Say what the figures of the edge mean."""
    largest = max(edge.share, key=lambda stage: edge.share[stage])
    yield (
        f"At full speed, {with_or_without_poses(edge)}: {edge.frames_per_second:,.0f} frames per second and "
        f"{edge.person_frames_per_second:,.0f} person-frames per second, {edge.people:.1f} people in a frame; "
        f"{edge.processor.p50_ms:.2f} ms of processor "
        f"time per frame. Most of the work is {largest}."
    )
    if pace:
        yield (
            f"At the source's pace: {pace.frames_per_second:.1f} frames per second, {pace.dropped} skipped. The delay "
            "is from the frame's time stamp to its result; 'to event' is to the delivered alarm message, after the "
            "store."
        )
    if edge.overhead:
        overhead = edge.overhead
        yield (
            f"Besides reading and pose estimation, the camera's thread does {100 * overhead.by_camera:.1f} % more, "
            f"which lowers the frame rate, and all threads together {100 * overhead.by_stages:.1f} %. Against a loop "
            f"of these two alone, a frame takes {percent(overhead.rounds_by_clock)} more time and "
            f"{percent(overhead.rounds_by_processor)} more processor time (median and quartiles of the rounds)."
        )


def percent(fractions: Sequence[float]) -> str:
    """Format the median of fractions and their quartiles.

    >>> percent([0.02, 0.04, 0.06])
    '+4.0 % (+3.0 to +5.0)'
    """
    rounds = Quartiles.of([100 * value for value in fractions])
    return f"{rounds.median:+.1f} % ({rounds.low:+.1f} to {rounds.high:+.1f})"


def start_table(profile: Profile) -> Table:
    """The cold starts, seconds."""
    starts = profile.cold_start.by_kind()
    rows = [
        [kind, *(f"{step.p50_ms / 1000:.2f}" if step else "-" for step in start.steps.values())]
        for kind, start in starts.items()
    ]
    steps = next(iter(starts.values())).steps if starts else ()
    return Table(["seconds from the start until", *steps], rows)


def cost_facts(profile: Profile) -> Iterator[Fact]:
    """What the edge costs."""
    cost = profile.cost
    for kind, start in profile.cold_start.by_kind().items():
        if start.memory_mb:
            yield f"memory {kind}", f"{max(start.memory_mb):.0f} MB after the first score"
    yield "peak memory of this profile", _format(cost.peak_memory_mb, "{:.0f} MB")
    yield "peak memory of the GPU", _format(cost.gpu_memory_mb, "{:.0f} MB, of all programs")
    if cost.engine_build_s:
        builds = (f"{name} {seconds:.1f} s" for name, seconds in cost.engine_build_s.items())
        yield "engine build", ", ".join(builds)
    yield "idle power", _format(cost.idle_watts, "{:.2f} W")
    yield "power at the source's pace", _format(cost.watts, f"{{:.2f}} W ({cost.meter})")
    yield "energy of a frame", _format(cost.millijoules_per_frame, "{:.2f} mJ")
    for name, energy in cost.millijoules_per_window.items():
        yield f"energy of a window, {name}", f"{energy:.3f} mJ"
    yield "temperature", _format(cost.temperature_c, "{0[0]:.0f} to {0[1]:.0f} C")
    yield "clock", _format(cost.clock_mhz, "{0[0]:.0f} to {0[1]:.0f} MHz")
    yield "throttled by heat", _format(cost.throttled, "{} times")


def environment_facts(facts: Mapping[str, Any]) -> Iterator[Fact]:
    """The machine and its software."""
    styles: dict[str, Callable[[Any], str]] = {
        "packages": lambda value: ", ".join(f"{name} {version}" for name, version in value.items()),
        "clock_limits_mhz": lambda value: f"{value[0]:.0f} to {value[1]:.0f}",
        "memory_mb": lambda value: f"{value:,}",
        "virtual": lambda value: "yes" if value else "no",
        "turbo": lambda value: "on" if value else "off",
    }
    units = {"_mhz": " (MHz)", "_mb": " (MB)", "_c": " (C)"}
    for name, value in facts.items():
        unit = next((suffix for suffix in units if name.endswith(suffix)), "")
        words = name.removesuffix(unit).replace("_", " ") + units.get(unit, "")
        yield words, None if value is None else styles.get(name, str)(value)


def known_facts(facts: Iterable[Fact]) -> Iterator[tuple[str, str]]:
    """Yield the facts that are known, and a last one that names the others."""
    unknown = []
    for name, value in facts:
        if value is None:
            unknown.append(name)
        else:
            yield name, value
    if unknown:
        yield _UNKNOWN, ", ".join(unknown)


def _cells(timing: Timing, columns: Sequence[str]) -> list[str]:
    return [*(f"{getattr(timing, f'{column}_ms'):.3f}" for column in columns), f"{timing.cv:.2f}"]


def _format(value: Any, style: str) -> str | None:
    return None if value is None else style.format(value)
