"""A profile, or a comparison of two, for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from runtime.profiling.compare import Change
from runtime.profiling.profile import Profile
from runtime.profiling.tables import (
    COLUMNS,
    NO_ADVICE,
    WHOLE_CALLS_ONLY,
    Fact,
    Table,
    cost_facts,
    delays,
    edge_sentences,
    environment_facts,
    known_facts,
    machine_name,
    phase_table,
    scorer_sentences,
    scorer_table,
    stage_table,
    start_table,
)

_NARROW = 100
_NARROW_COLUMNS = ("p50", "p90", "p99")
_NAME_WIDTH = 38


def profile_text(profile: Profile, width: int) -> Iterator[str]:
    """Yield the lines of a profile.

    Args:
        profile: what was measured.
        width: columns of the terminal; below 100 the tables have fewer columns.
    """
    columns = COLUMNS if width >= _NARROW else _NARROW_COLUMNS
    yield from _wrap(f"Profile of {profile.bundle} on {machine_name(profile.environment)}", width)
    yield from _heading("The scorer alone")
    yield f"Milliseconds per call; {profile.rounds} rounds in turn; ratio to {profile.baseline}"
    yield from table_text(scorer_table(profile.scorer_alone, columns))
    phases = phase_table(profile)
    yield from table_text(phases) if phases else [WHOLE_CALLS_ONLY]
    for sentence in scorer_sentences(profile):
        yield from _wrap(sentence, width)
    yield from _heading("The whole edge")
    yield from _wrap(f"{profile.scorer} on {profile.source}; milliseconds per frame", width)
    yield from table_text(stage_table({**profile.stages, **delays(profile)}, profile.edge.share, columns))
    for sentence in edge_sentences(profile.edge, profile.pace):
        yield from _wrap(sentence, width)
    yield from _heading("Cold start")
    yield from table_text(start_table(profile))
    yield from _heading("Cost")
    yield from _facts(cost_facts(profile), width)
    yield from _heading("Environment")
    yield from _facts(environment_facts(profile.environment), width)
    yield from _heading("How reliable these figures are")
    for note in profile.advice:
        yield from textwrap.wrap(f"- {note}", width, subsequent_indent="  ")
    if not profile.advice:
        yield NO_ADVICE


def changes_text(changes: Sequence[Change], tolerance: float) -> Iterator[str]:
    """Yield the lines of a comparison."""
    rows = [
        [
            change.name, f"{change.before:.3f}", f"{change.after:.3f}", change.unit, f"{change.ratio:.2f}x",
            "" if change.normalized_ratio is None else f"{change.normalized_ratio:.2f}x",
            change.state.upper() if change.state == "slower" else change.state,
        ]
        for change in changes
    ]  # fmt: skip
    yield from table_text(Table(["", "before", "after", "", "ratio", "normalized", "verdict"], rows))
    slower = [change.name for change in changes if change.state == "slower"]
    yield ""
    yield (
        f"{len(slower)} of {len(changes)} figures are worse by more than {100 * tolerance:g} % and beyond the noise"
        if slower
        else f"Nothing is worse by more than {100 * tolerance:g} % and beyond the noise"
    )


def table_text(table: Table) -> Iterator[str]:
    """Yield the lines of a table: words to the left, numbers to the right."""
    lines = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if number < table.text_columns else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _heading(text: str) -> list[str]:
    return ["", text, "-" * len(text)]


def _facts(facts: Iterable[Fact], width: int) -> Iterator[str]:
    for name, value in known_facts(facts):
        first, *others = textwrap.wrap(value, max(20, width - _NAME_WIDTH)) or [""]
        yield f"{name:<{_NAME_WIDTH}}{first}"
        yield from (f"{'':<{_NAME_WIDTH}}{line}" for line in others)


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
