"""What `daflow evaluate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daflow.evaluation.text import percent

if TYPE_CHECKING:
    from daflow.evaluation.auc import Evaluation
    from daflow.evaluation.baselines import Comparison


def print_tables(result: Evaluation, comparison: Comparison, counts: str) -> None:
    """Print the figures of each clip and of all, how many windows there were, and scores without a model."""
    click.echo(f"{'clip':<24}{'AUC':>8}{'AUC-PR':>8}{'EER':>8}{'frames':>9}{'abnormal':>10}")
    for clip, figures in [*result.clips.items(), ("all frames (micro)", result.micro)]:
        values = "".join(f"{percent(v):>8}" for v in (figures.auc, figures.auc_pr, figures.eer))
        click.echo(f"{clip:<24}{values}{figures.frames:>9}{figures.abnormal:>10}")
    click.echo(f"{'mean of clips (macro)':<24}{percent(result.macro_auc):>8}")
    if result.by_clip.auc is not None:
        kinds = f"{result.by_clip.abnormal} of {result.by_clip.frames} clips have abnormal frames"
        click.echo(f"{'highest score of a clip':<24}{percent(result.by_clip.auc):>8}  ({kinds})")
    click.echo(counts)
    click.echo("\n".join(["", *comparison.lines(), comparison.sentence]))
