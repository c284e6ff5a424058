"""A profile for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from runtime.profiling.compare import Change
from runtime.profiling.statistics import quartiles, windows

_NARROW = 100
_UNKNOWN = "not told by this machine"
_WIDE_COLUMNS = ("min", "mean", "p50", "p90", "p99", "max")
_NARROW_COLUMNS = ("p50", "p90", "p99")
_KINDS = {"without_poses": "without pose estimation", "with_poses": "with pose estimation"}
Row = tuple[str, str]


def profile_text(profile: Mapping[str, Any], width: int) -> Iterator[str]:
    """Yield the lines of a profile.

    Args:
        profile: as `daflow-profile --json` writes it.
        width: columns of the terminal; below 100 a shorter table is made.
    """
    yield f"Profile of {profile['bundle']} on {machine_words(profile['environment'])}"
    for heading, lines in (
        ("The scorer alone", _scorers(profile, width)),
        ("The whole edge", _edge(profile, width)),
        ("Cold start", _cold_start(profile)),
        ("Cost", _rows(cost_rows(profile), width)),
        ("Environment", _rows(environment_rows(profile["environment"]), width)),
        ("Before you trust these figures", _notes(profile["advice"], width)),
    ):
        yield from ("", heading, "-" * len(heading))
        yield from lines


def machine_words(facts: Mapping[str, Any]) -> str:
    """Name a machine in a few words."""
    words = [facts["board"] or facts["processor"], f"{facts['cores']} cores"]
    return ", ".join(str(word) for word in (*words, facts["gpu"], facts["power_mode"]) if word)


def _scorers(profile: Mapping[str, Any], width: int) -> Iterator[str]:
    alone, columns = profile["scorer_alone"], _columns(width)
    names = list(alone["scorers"])
    space = max(map(len, names))
    baseline = profile["baseline"]
    yield f"Milliseconds a call; {profile['rounds']} rounds in turn; ratio to {baseline}"
    yield f"{'windows':>7}  {'':<{space}}{_head(columns)}{'CV':>7}{'windows/s':>11}{'ratio':>8}"
    for size in alone["scorers"][names[0]]["batches"]:
        for name in names:
            row = alone["scorers"][name]["batches"][size]
            shown = size if name == names[0] else ""
            yield (
                f"{shown:>7}  {name:<{space}}{_cells(row['call'], columns)}{row['call']['cv']:>7.2f}"
                f"{row['windows_per_second']:>11,.0f}{row['ratio']:>7.2f}x"
            )
    yield from _phases(alone["scorers"])
    for name in names:
        yield from _wrap(f"{name}: {alone['scorers'][name]['bottleneck']}.", width)
    for text in profile["left_out"]:
        yield from _wrap(f"Left out: {text}", width)


def _phases(scorers: Mapping[str, Any]) -> Iterator[str]:
    """A table of what the GPU does in a call, where a scorer tells; one sentence where none does."""
    told = [
        (name, size, row)
        for name, scorer in scorers.items()
        for size, row in scorer["batches"].items()
        if row["compute"]
    ]
    if not told:
        yield "These scorers tell the whole call only: nothing is copied to a device and back."
        return
    yield f"{'of which, on the GPU, p50 ms':<34}{'to device':>11}{'compute':>10}{'to host':>10}"
    for name, size, row in told:
        cells = [row[phase]["p50_ms"] for phase in ("to_device", "compute", "to_host")]
        yield f"{f'{name}, {windows(size)}':<34}{cells[0]:>11.3f}{cells[1]:>10.3f}{cells[2]:>10.3f}"


def _edge(profile: Mapping[str, Any], width: int) -> Iterator[str]:
    edge, columns = profile["edge"], _columns(width)
    yield f"{profile['scorer']} on {profile['source']}; milliseconds a frame"
    yield f"{'stage':<13}{_head(columns)}{'CV':>7}{'share':>8}"
    for stage, row in profile["stages"].items():
        share = edge["share"].get(stage)
        shown = "" if share is None else f"{100 * share:.1f} %"
        yield f"{stage:<13}{_cells(row, columns)}{row['cv']:>7.2f}{shown:>8}"
    pace = profile["pace"]
    rows = [("delay", pace["delay"]), ("to event", pace["to_event"]), ("pose only", edge["pose_only"])]
    for name, row in rows:
        if row:
            yield f"{name:<13}{_cells(row, columns)}{row['cv']:>7.2f}"
    for sentence in edge_sentences(profile):
        yield from _wrap(sentence, width)


def edge_sentences(profile: Mapping[str, Any]) -> Iterator[str]:
    """Say what the figures of the edge mean."""
    edge, pace = profile["edge"], profile["pace"]
    largest = max(edge["share"], key=lambda stage: edge["share"][stage])
    yield (
        f"As fast as it goes: {edge['frames_per_second']:,.0f} frames and "
        f"{edge['person_frames_per_second']:,.0f} person-frames a second, {edge['people']:.1f} people in a frame; "
        f"{edge['processor']['p50_ms']:.2f} ms of processor time a frame. Most of the work is {largest}."
    )
    yield (
        f"At its own pace: {pace['frames_per_second']:.1f} frames a second, {pace['dropped']} left out. Delay is from "
        "the frame's time stamp to its result, to event to the delivered alarm message, which passed the store."
    )
    overhead = edge["overhead"]
    if overhead:
        yield (
            f"Around reading and pose estimation, the camera's thread does {100 * overhead['by_camera']:.1f} % more, "
            f"which is what lowers the frame rate, and all threads {100 * overhead['by_stages']:.1f} %. Against a loop "
            f"of these two alone, a frame takes {_percent(overhead['rounds_by_clock'])} more time and "
            f"{_percent(overhead['rounds_by_processor'])} more processor time (middle half of the rounds)."
        )


def _percent(rounds: Sequence[float]) -> str:
    low, middle, high = (100 * value for value in quartiles(rounds))
    return f"{middle:+.1f} % ({low:+.0f} to {high:+.0f})"


def _cold_start(profile: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'seconds from the start until':<28}{'Python':>8}{'imports':>9}{'opened':>8}{'a frame':>9}{'a score':>9}"
    for kind, words in _KINDS.items():
        start = profile["cold_start"][kind]
        if start:
            steps = [start[step] for step in ("python", "import", "open", "frame", "score")]
            cells = [f"{step['p50_ms'] / 1000:.2f}" if step else "-" for step in steps]
            yield f"{words:<28}{cells[0]:>8}{cells[1]:>9}{cells[2]:>8}{cells[3]:>9}{cells[4]:>9}"


def cost_rows(profile: Mapping[str, Any]) -> Iterator[Row]:
    """Yield name and value of what the edge costs."""
    cost, start = profile["cost"], profile["cold_start"]
    for kind, words in _KINDS.items():
        if start[kind] and start[kind]["memory_mb"]:
            yield f"memory {words}", f"{max(start[kind]['memory_mb']):.0f} MB after the first score"
    yield "peak memory of this profile", _or_unknown(cost["peak_memory_mb"], "{:.0f} MB")
    yield "peak memory of the GPU", _or_unknown(cost["gpu_memory_mb"], "{:.0f} MB, of all programs")
    if cost["engine_build_s"]:
        yield (
            "engine build",
            ", ".join(f"{name} {seconds:.1f} s" for name, seconds in cost["engine_build_s"].items()),
        )
    yield "power at rest", _or_unknown(cost["idle_watts"], "{:.2f} W")
    yield "power at the source's pace", _or_unknown(cost["watts"], f"{{:.2f}} W ({cost['meter']})")
    yield "energy of a frame", _or_unknown(cost["millijoules_per_frame"], "{:.2f} mJ")
    for name, energy in cost["millijoules_per_window"].items():
        yield f"energy of a window, {name}", f"{energy:.3f} mJ"
    yield "temperature", _or_unknown(cost["temperature_c"], "{0[0]:.0f} to {0[1]:.0f} C")
    yield "clock", _or_unknown(cost["clock_mhz"], "{0[0]:.0f} to {0[1]:.0f} MHz")
    yield "slowed down by heat", _or_unknown(cost["throttled"], "{} times")


def environment_rows(facts: Mapping[str, Any]) -> Iterator[Row]:
    """Yield name and value of the environment."""
    styles: dict[str, Callable[[Any], str]] = {
        "packages": lambda value: ", ".join(f"{name} {version}" for name, version in value.items()),
        "clock_limits_mhz": lambda value: f"{value[0]:.0f} to {value[1]:.0f}",
        "memory_mb": lambda value: f"{value:,}",
        "virtual": lambda value: "yes" if value else "no",
        "turbo": lambda value: "on" if value else "off",
    }
    for name, value in facts.items():
        words = (
            name.replace("_mhz", " (MHz)")
            .replace("_mb", " (MB)")
            .replace("_c", " (C)", name == "temperature_c")
        )
        yield words.replace("_", " "), _UNKNOWN if value is None else styles.get(name, str)(value)


def changes_text(changes: Sequence[Change], tolerance: float) -> Iterator[str]:
    """Yield the lines of a comparison."""
    space = max(len(change.name) for change in changes)
    yield f"{'':<{space}}{'before':>10}{'after':>10}     {'ratio':>6}  steady  verdict"
    for change in changes:
        steady = "" if change.steady_ratio is None else f"{change.steady_ratio:.2f}x"
        yield (
            f"{change.name:<{space}}{change.before:>10.3f}{change.after:>10.3f} {change.unit}  {change.ratio:>5.2f}x"
            f"{steady:>8}  {change.state.upper() if change.state == 'slower' else change.state}"
        )
    slower = [change.name for change in changes if change.state == "slower"]
    yield ""
    yield (
        f"{len(slower)} of {len(changes)} figures are worse by more than {100 * tolerance:g} % and beyond the noise"
        if slower
        else f"Nothing is worse by more than {100 * tolerance:g} % and beyond the noise"
    )


def _columns(width: int) -> tuple[str, ...]:
    return _WIDE_COLUMNS if width >= _NARROW else _NARROW_COLUMNS


def _head(columns: Sequence[str]) -> str:
    return "".join(f"{column:>9}" for column in columns)


def _cells(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return "".join(f"{row[f'{column}_ms']:>9.3f}" for column in columns)


def _rows(rows: Iterator[Row], width: int) -> Iterator[str]:
    for name, value in told_first(rows):
        first, *others = textwrap.wrap(value, max(20, width - 36)) or [""]
        yield f"{name:<36}{first}"
        yield from (f"{'':<36}{line}" for line in others)


def told_first(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows that are known, and a last one that names the others."""
    unknown = []
    for name, value in rows:
        if value == _UNKNOWN:
            unknown.append(name)
        else:
            yield name, value
    if unknown:
        yield _UNKNOWN, ", ".join(unknown)


def _notes(notes: Sequence[str], width: int) -> Iterator[str]:
    for note in notes:
        yield from textwrap.wrap(f"- {note}", width, subsequent_indent="  ")
    if not notes:
        yield "Nothing speaks against them: the clocks are fixed, the machine was quiet and the spread is small."


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _or_unknown(value: Any, style: str) -> str:
    return _UNKNOWN if value is None else style.format(value)
