"""What every study leaves: a table in Markdown, all figures in JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.track_files import short_names
from daflow.core.files import write_text, written_whole
from daflow.core.version import __version__
from daflow.evaluation.auc import Figures
from daflow.evaluation.plots import figure
from daflow.evaluation.text import percent
from daflow.studies.runner import Settings, Study, TrialResult


def write_report(
    folder: Path,
    name: str,
    study: Study,
    settings: Settings,
    results: Sequence[TrialResult],
    failed: Sequence[str],
    without_model: Mapping[str, Figures],
) -> str:
    """Write `<name>.md`, `<name>.json` and `<name>.png`, each whole or not at all, and return the Markdown.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    data = {
        "train": short_names(settings.train), "test": short_names(settings.test.poses), "epochs": settings.epochs,
        "seeds": settings.seeds,
    }  # fmt: skip
    content = {
        "study": name, "daflow": __version__, "data": data, "rows": summary(results),
        "results": [asdict(result) for result in results], "failed": list(failed),
        "without_model": {score: asdict(figures) for score, figures in without_model.items()},
    }  # fmt: skip
    markdown = _markdown(name, study, settings, results, failed, without_model)
    _draw(folder / f"{name}.png", study.title, results)
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
    name: str,
    study: Study,
    settings: Settings,
    results: Sequence[TrialResult],
    failed: Sequence[str],
    without_model: Mapping[str, Figures],
) -> str:
    lines = [
        f"# {study.title}", "", study.question, "",
        f"Trained on `{short_names(settings.train)}`, {settings.epochs} epochs; evaluated on "
        f"`{short_names(settings.test.poses)}`. Figures in %, mean and standard deviation over seeds; seconds are of "
        "training on one core.", "",
        "| | seeds | micro AUC | mean AUC of clips | EER | parameters | training, s | windows |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for row in summary(results):
        spread = "" if row["auc_sd"] is None else f" ± {100 * row['auc_sd']:.2f}"
        macro = "-" if row["macro_auc"] is None else f"{100 * row['macro_auc']:.2f}"
        lines.append(
            f"| {row['row'] or 'flow'} | {row['seeds']} | {100 * row['auc']:.2f}{spread} | {macro} | "
            f"{100 * row['eer']:.2f} | {row['parameters']} | {row['seconds']:.1f} | {row['windows']} |"
        )
    lines += ["", f"![micro AUC of each seed]({name}.png)", ""]
    lines += ["Scores without a model on the same recordings, each in its better direction:", ""]
    lines += ["| taken for abnormal | micro AUC | EER |", "|---|---:|---:|"]
    for score, figures in sorted(without_model.items(), key=lambda item: -(item[1].auc or 0.0)):
        lines.append(f"| {score} | {percent(figures.auc)} | {percent(figures.eer)} |")
    lines.append("")
    if failed:
        lines += ["Failed trials:", "", *(f"- {text}" for text in failed), ""]
    return "\n".join(lines)


def _draw(path: Path, title: str, results: Sequence[TrialResult]) -> None:
    import matplotlib.pyplot as plt

    rows = summary(results)
    drawn, (axis,) = figure(figsize=(8, 1.2 + 0.34 * len(rows)))
    for position, row in enumerate(rows):
        aucs = [100 * result.auc for result in results if result.row == row["row"]]
        axis.plot(aucs, [position] * len(aucs), "o", color="#1f5fa8", alpha=0.35, markersize=5)
        axis.plot(100 * row["auc"], position, "|", color="#b23a48", markersize=14, markeredgewidth=2)
    axis.set(yticks=range(len(rows)), yticklabels=[row["row"] or "flow" for row in rows], title=title)
    axis.set_xlabel("micro AUC, % (dots: seeds; bar: mean)")
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(axis="x", color="#e6e9ee")
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        drawn.savefig(temporary, dpi=130)
    plt.close(drawn)
