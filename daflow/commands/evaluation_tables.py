"""What `daflow evaluate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daflow.evaluation.text import percent

if TYPE_CHECKING:
    from daflow.evaluation.auc import Evaluation
    from daflow.evaluation.baselines import Comparison


_MAX_NAME = 48


def _fitting(name: str) -> str:
    """Return the name of a clip without the middle of a long one: names of recordings differ at their ends.

    >>> _fitting("a" * 20 + "-" * 60 + "b" * 20)
    'aaaaaaaaaaaaaaaaaaaa--...---bbbbbbbbbbbbbbbbbbbb'
    """
    half = (_MAX_NAME - 3) // 2
    return name if len(name) <= _MAX_NAME else f"{name[:half]}...{name[len(name) - half - 1 :]}"


def print_tables(result: Evaluation, comparison: Comparison, counts: str) -> None:
    """Print the figures of each clip and of all, how many windows there were, and scores without a model."""
    shown = {clip: _fitting(clip) for clip in result.clips}
    width = max(22, *map(len, shown.values())) + 2
    click.echo(f"{'clip':<{width}}{'AUC':>8}{'AUC-PR':>8}{'EER':>8}{'frames':>9}{'abnormal':>10}")
    for clip, figures in [*result.clips.items(), ("all frames (micro)", result.micro)]:
        values = "".join(f"{percent(v):>8}" for v in (figures.auc, figures.auc_pr, figures.eer))
        click.echo(f"{shown.get(clip, clip):<{width}}{values}{figures.frames:>9}{figures.abnormal:>10}")
    click.echo(f"{'mean of clips (macro)':<{width}}{percent(result.macro_auc):>8}")
    if result.by_clip.auc is not None:
        kinds = f"{result.by_clip.abnormal} of {result.by_clip.frames} clips have abnormal frames"
        click.echo(f"{'highest score of a clip':<{width}}{percent(result.by_clip.auc):>8}  ({kinds})")
    click.echo(counts)
    click.echo("\n".join(["", *comparison.lines(), comparison.sentence]))
