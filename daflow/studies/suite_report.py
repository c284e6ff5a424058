"""What the suite leaves: one table of all sets in Markdown, CSV and LaTeX, and all figures in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from daflow.core.files import write_text
from daflow.core.version import __version__
from daflow.evaluation.tables import Table, with_spread
from daflow.studies.report import smoke_test_lines
from daflow.studies.suite import POSITION, ROWS, WITHOUT_MODEL, SuiteFigure


@dataclass(frozen=True)
class Cell:
    """Mean and standard deviation over seeds, percent; the deviation of a single seed is None."""

    auc: float
    deviation: float | None
    macro_auc: float | None

    def __str__(self) -> str:
        return with_spread(self.auc, self.deviation, 1)


@dataclass(frozen=True)
class Row:
    """A row of the table: a cell for each set (None where its trials failed), their mean, and the lowest."""

    name: str
    cells: tuple[Cell | None, ...]

    @property
    def mean(self) -> float | None:
        """The mean of the sets; None where one is missing."""
        known = [cell.auc for cell in self.cells if cell is not None]
        return float(np.mean(known)) if len(known) == len(self.cells) else None

    @property
    def worst(self) -> float | None:
        """The lowest of the sets; None where one is missing."""
        known = [cell.auc for cell in self.cells if cell is not None]
        return min(known) if len(known) == len(self.cells) else None

    def texts(self) -> list[str]:
        """The row as texts: name, cells, mean and lowest."""
        ends = ["-" if value is None else f"{value:.1f}" for value in (self.mean, self.worst)]
        return [self.name, *("-" if cell is None else str(cell) for cell in self.cells), *ends]


def rows_of(figures: Sequence[SuiteFigure], sets: Sequence[str]) -> list[Row]:
    """Return the rows of the table, models first."""
    return [
        Row(name, tuple(_cell([f for f in figures if (f.data, f.row) == (data, name)]) for data in sets))
        for name in (*ROWS, WITHOUT_MODEL, POSITION)
    ]


def write_suite(
    folder: Path,
    figures: Sequence[SuiteFigure],
    sets: Sequence[str],
    epochs: int,
    window: int,
    failed: Sequence[str],
    smoke_test: str = "",
) -> str:
    """Write `suite.md`, `suite.csv`, `suite.tex` and `suite.json`, each whole or not at all, and return the Markdown.

    `smoke_test` is as for `daflow.studies.report.write_report`.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    rows = rows_of(figures, sets)
    header = [
        smoke_test,
        *(f"{name}{'*' if _is_by_clip(figures, name) else ''}" for name in sets),
        "mean",
        "worst",
    ]
    table = Table(header, [row.texts() for row in rows], [len(ROWS)])
    markdown = _markdown(table, rows, figures, epochs, window, failed, smoke_test)
    content = {
        "study": "suite", "daflow": __version__, "epochs": epochs, "window": window, "sets": list(sets),
        "smoke_test": smoke_test or None, "figures": [asdict(figure) for figure in figures], "failed": list(failed),
    }  # fmt: skip
    table.write(folder, "suite")
    write_text(folder / "suite.json", json.dumps(content, indent=1) + "\n")
    write_text(folder / "suite.md", markdown)
    return markdown


def _cell(figures: Sequence[SuiteFigure]) -> Cell | None:
    if not figures:
        return None
    aucs = 100 * np.array([figure.auc for figure in figures])
    macro = [100 * figure.macro_auc for figure in figures if figure.macro_auc is not None]
    deviation = float(aucs.std(ddof=1)) if len(aucs) > 1 else None
    return Cell(float(aucs.mean()), deviation, float(np.mean(macro)) if macro else None)


def _is_by_clip(figures: Sequence[SuiteFigure], data: str) -> bool:
    return any(figure.by_clip for figure in figures if figure.data == data)


def _markdown(
    table: Table, rows: Sequence[Row], figures: Sequence[SuiteFigure], epochs: int, window: int,
    failed: Sequence[str], smoke_test: str,
) -> str:  # fmt: skip
    seeds = len({figure.seed for figure in figures})
    spread = (
        f"mean and standard deviation (where they differ) of {seeds} seeds"
        if seeds > 1
        else "one seed, which says nothing of its spread"
    )
    lines = [
        "# The suite", "", *smoke_test_lines(smoke_test),
        f"Micro AUC in %, {spread}, {epochs} epochs, windows of {window} poses. Of sets with * each clip is wholly "
        "normal or wholly abnormal, and the highest score of each clip is compared. Last: the mean of the sets, and "
        "the worst.",
        "", *table.markdown(), "",
    ]  # fmt: skip
    if any(cell is not None and cell.macro_auc is not None for row in rows for cell in row.cells):
        lines += ["The mean AUC of the clips that hold both kinds of frames:", ""]
        macro = [[row.name, *(_macro(cell) for cell in row.cells)] for row in rows]
        lines += [*Table(table.head[:-2], macro).markdown(), ""]
    best = [f"{figure.data}: {figure.of}" for figure in figures if figure.row == WITHOUT_MODEL]
    lines += (
        [f"The best score without a model, in its better direction, is of {'; '.join(best)}.", ""]
        if best
        else []
    )
    if failed:
        lines += ["Failed trials:", "", *(f"- {text}" for text in failed), ""]
    return "\n".join(lines)


def _macro(cell: Cell | None) -> str:
    return "-" if cell is None or cell.macro_auc is None else f"{cell.macro_auc:.1f}"
