"""What every study leaves: a table in Markdown, CSV and LaTeX, all figures in JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.track_files import short_names
from daflow.core.files import write_text
from daflow.core.version import __version__
from daflow.evaluation.auc import Figures
from daflow.evaluation.plots import TEXT_WIDTH, figure, printed, save
from daflow.evaluation.tables import Table, with_spread
from daflow.evaluation.text import percent
from daflow.studies.runner import Settings, Study, TrialResult

_WITHOUT_MODEL = "without a model: "


def write_report(
    folder: Path,
    name: str,
    study: Study,
    settings: Settings,
    results: Sequence[TrialResult],
    failed: Sequence[str],
    without_model: Mapping[str, Figures],
    smoke_test: str = "",
    formats: Sequence[str] = ("png",),
) -> str:
    """Write `<name>.md`, `.csv`, `.tex`, `.json` and the picture, each whole or not at all, and return the Markdown.

    Args:
        folder: where to write.
        name: of the study.
        study: its question.
        settings: what it worked with.
        results: of each row and seed.
        failed: the messages of trials that failed.
        without_model: the figures of scores that need no model.
        smoke_test: what kind of smoke test this was, in a few words; empty for a study that means something.
        formats: of the picture; the first is the one in the Markdown, which shows `png` where it is among them.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    data = {
        "train": short_names(settings.train), "test": short_names(settings.test.poses), "epochs": settings.epochs,
        "seeds": settings.seeds, "smoke_test": smoke_test or None,
    }  # fmt: skip
    content = {
        "study": name, "daflow": __version__, "data": data, "rows": summary(results),
        "results": [asdict(result) for result in results], "failed": list(failed),
        "without_model": {score: asdict(figures) for score, figures in without_model.items()},
    }  # fmt: skip
    shown = f"{name}.{'png' if 'png' in formats else formats[0]}"
    markdown = _markdown(shown, study, settings, results, failed, without_model, smoke_test)
    _draw(folder, name, study.title, results, smoke_test, formats)
    _table(results, without_model, smoke_test).write(folder, name)
    write_text(folder / f"{name}.json", json.dumps(content, indent=1) + "\n")
    write_text(folder / f"{name}.md", markdown)
    return markdown


def summary(results: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """Return mean and spread of each row over its seeds, in the order in which rows came.

    Figures are fractions; `auc_sd` is the standard deviation over seeds, None for a single one.
    """
    rows = []
    for row in dict.fromkeys(result.row for result in results):
        of_row = [result for result in results if result.row == row]
        aucs = np.array([result.auc for result in of_row])
        macro = [result.macro_auc for result in of_row if result.macro_auc is not None]
        rows.append(
            {
                "row": row,
                "seeds": len(of_row),
                "auc": float(aucs.mean()),
                "auc_sd": float(aucs.std(ddof=1)) if len(aucs) > 1 else None,
                "macro_auc": float(np.mean(macro)) if macro else None,
                "eer": float(np.mean([result.eer for result in of_row])),
                "parameters": of_row[0].parameters,
                "seconds": float(np.mean([result.seconds for result in of_row])),
                "windows": of_row[0].windows,
            }
        )
    return rows


def _markdown(
    picture: str,
    study: Study,
    settings: Settings,
    results: Sequence[TrialResult],
    failed: Sequence[str],
    without_model: Mapping[str, Figures],
    smoke_test: str,
) -> str:
    table = _table(results, without_model, smoke_test)
    trained = len(table.rows) - len(without_model)
    columns = [[row[0].removeprefix(_WITHOUT_MODEL), row[2], row[4]] for row in table.rows[trained:]]
    without = Table(["taken for abnormal", "micro AUC", "EER"], columns)
    lines = [
        f"# {study.title}", "", *smoke_test_lines(smoke_test), study.question, "",
        f"Trained on `{short_names(settings.train)}`, {settings.epochs} epochs; evaluated on "
        f"`{short_names(settings.test.poses)}`. Figures in %, the mean of the seeds, and ± their standard deviation "
        "where they differ; seconds are of training on one core, without the start.", "",
        *Table(table.head, table.rows[:trained]).markdown(), "",
        f"![micro AUC of each seed]({picture})", "",
        "Scores without a model on the same recordings, each in its better direction:", "",
        *without.markdown(), "",
    ]  # fmt: skip
    if failed:
        lines += ["Failed trials:", "", *(f"- {text}" for text in failed), ""]
    return "\n".join(lines)


def smoke_test_lines(smoke_test: str) -> list[str]:
    """Return what Markdown says of a smoke test, above its figures; nothing for another one."""
    return [f"**Figures of a {smoke_test}, which mean nothing.**", ""] if smoke_test else []


def _table(results: Sequence[TrialResult], without_model: Mapping[str, Figures], smoke_test: str) -> Table:
    """Return the rows that were trained, and those of scores that need no model, best first."""
    rows = []
    for row in summary(results):
        deviation = None if row["auc_sd"] is None else 100 * row["auc_sd"]
        rows.append([
            row["row"] or "flow", str(row["seeds"]), with_spread(100 * row["auc"], deviation, 2),
            percent(row["macro_auc"]), percent(row["eer"]), str(row["parameters"]), f"{row['seconds']:.1f}",
            str(row["windows"]),
        ])  # fmt: skip
    trained = len(rows)
    for score, figures in sorted(without_model.items(), key=lambda item: -(item[1].auc or 0.0)):
        rows.append(
            [f"{_WITHOUT_MODEL}{score}", "-", percent(figures.auc), "-", percent(figures.eer), "-", "-", "-"]
        )
    head = [
        smoke_test,
        "seeds",
        "micro AUC",
        "mean AUC of clips",
        "EER",
        "parameters",
        "training, s",
        "windows",
    ]
    return Table(head, rows, [trained])


def _draw(
    folder: Path,
    name: str,
    title: str,
    results: Sequence[TrialResult],
    smoke_test: str,
    formats: Sequence[str],
) -> None:
    rows = summary(results)
    with printed():
        drawn, (axis,) = figure(figsize=(TEXT_WIDTH, 0.9 + 0.25 * len(rows)))
        for position, row in enumerate(rows):
            aucs = [100 * result.auc for result in results if result.row == row["row"]]
            axis.plot(aucs, [position] * len(aucs), "o", color="#1f5fa8", alpha=0.35, markersize=4)
            axis.plot(100 * row["auc"], position, "|", color="#b23a48", markersize=11, markeredgewidth=1.6)
        axis.set(yticks=range(len(rows)), yticklabels=[row["row"] or "flow" for row in rows])
        axis.set_title(f"{title} ({smoke_test})" if smoke_test else title)
        axis.set_xlabel("micro AUC, % (dots: seeds; bar: mean)")
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.grid(axis="x", color="#e6e9ee")
        save(drawn, folder, name, formats)
