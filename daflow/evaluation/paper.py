"""What a paper needs of an evaluation: the tables as CSV and LaTeX, and the curves as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from daflow.core.data.frame_masks import Labels
from daflow.core.progress import track
from daflow.evaluation.alarms import DelayPoint
from daflow.evaluation.auc import Evaluation, Figures
from daflow.evaluation.baselines import Comparison
from daflow.evaluation.bootstrap import Interval
from daflow.evaluation.figures import draw_clip, draw_curves, draw_delays, equal_error_threshold
from daflow.evaluation.plots import TEXT_WIDTH, printed, save
from daflow.evaluation.tables import Table
from daflow.evaluation.text import percent


def write_paper(
    folder: Path,
    result: Evaluation,
    comparison: Comparison,
    masks: Mapping[str, Labels],
    formats: Sequence[str],
    curve: Sequence[DelayPoint] = (),
) -> None:
    """Write `clips` and `baselines` as .csv and .tex, and `curves`, `delays` and `clips/<clip>` as figures.

    Args:
        folder: where to write.
        result: the figures.
        comparison: with scores that need no model.
        masks: the labels of each frame by clip name.
        formats: of the figures, of `daflow.evaluation.plots.FORMATS`.
        curve: delay against false alarms; without points there is no figure of it.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    clips_table(result).write(folder, "clips")
    baselines_table(result, comparison).write(folder, "baselines")
    with printed():
        save(draw_curves(result.frame_scores, masks, (TEXT_WIDTH, 2.6)), folder, "curves", formats)
        if curve:
            save(draw_delays(curve, (TEXT_WIDTH, 2.4)), folder, "delays", formats)
        threshold = equal_error_threshold(result.frame_scores, masks)
        for name in track(list(result.clips), "figures of clips"):
            drawn = draw_clip(result.frame_scores[name], masks[name], threshold, (TEXT_WIDTH, 1.3))
            save(drawn, folder / "clips", name.replace("/", "_"), formats)


def clips_table(result: Evaluation) -> Table:
    """Return the figures of each clip, of all frames together, and their mean over clips."""
    rows = [_row(name, figures) for name, figures in result.clips.items()]
    rows += [_row("all frames (micro)", result.micro)]
    rows += [["mean of clips (macro)", percent(result.macro_auc), "-", "-", "-", "-"]]
    return Table(["clip", "AUC", "AUC-PR", "EER", "frames", "abnormal"], rows, [len(result.clips)])


def baselines_table(result: Evaluation, comparison: Comparison) -> Table:
    """Return the model among scores without a model, the best first."""
    rows = [
        [
            "the model",
            percent(comparison.auc),
            percent(result.macro_auc),
            "-",
            _interval(comparison.interval),
            "-",
        ]
    ]
    for each in comparison.baselines:
        correlation = "-" if each.correlation is None else f"{each.correlation:.2f}"
        rows.append([
            each.name, percent(each.auc), percent(each.macro_auc), f"{100 * each.ahead:+.2f}",
            _interval(each.interval), correlation,
        ])  # fmt: skip
    return Table(
        ["score", "micro AUC", "macro AUC", "ahead", "95 % over clips", "rank correlation"], rows, [1]
    )


def _row(name: str, figures: Figures) -> list[str]:
    values = (percent(value) for value in (figures.auc, figures.auc_pr, figures.eer))
    return [name, *values, str(figures.frames), str(figures.abnormal)]


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"
