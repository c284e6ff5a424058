"""Tables for papers: Markdown, CSV, and LaTeX for the package booktabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daflow.core.files import write_text

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    **{letter: f"\\{letter}" for letter in "&%#_${}"},
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table whose first column holds names, and whose others hold figures.

    Attributes:
        head: the names of the columns.
        rows: the cells of each row, as many as the head has.
        rules: numbers of the rows above which LaTeX has a rule.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    rules: Sequence[int] = ()

    def markdown(self) -> list[str]:
        """Return the lines of the table in Markdown."""
        lines = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in (self.head, *self.rows)]
        head, *rows = (f"| {line} |" for line in lines)
        return [head, "|---|" + "---:|" * (len(self.head) - 1), *rows]

    def csv(self) -> str:
        """Return the table as comma-separated values."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()

    def latex(self) -> str:
        r"""Return a `tabular` environment for booktabs.

        >>> print(Table(["", "AUC, %"], [["a_1", "85.0 ± 7.1"]]).latex())
        \begin{tabular}{lr}
        \toprule
         & AUC, \% \\
        \midrule
        a\_1 & 85.0 $\pm$ 7.1 \\
        \bottomrule
        \end{tabular}
        <BLANKLINE>
        """
        lines = [
            rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}",
            r"\toprule",
            _line(self.head),
            r"\midrule",
        ]
        for number, row in enumerate(self.rows):
            lines += [r"\midrule"] if number in self.rules else []
            lines.append(_line(row))
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    def write(self, folder: Path, name: str) -> None:
        """Write `<name>.csv` and `<name>.tex`, each whole or not at all.

        Raises:
            OSError: the folder cannot be written or is full.
        """
        write_text(folder / f"{name}.csv", self.csv())
        write_text(folder / f"{name}.tex", self.latex())


def with_spread(mean: float, deviation: float | None, digits: int) -> str:
    """Return a mean with its standard deviation; without one where it is None or less than the last digit.

    >>> with_spread(85, 7.07, 1), with_spread(60, None, 1), with_spread(60, 1e-9, 1)
    ('85.0 ± 7.1', '60.0', '60.0')
    """
    spread = "" if deviation is None else f"{deviation:.{digits}f}"
    return f"{mean:.{digits}f} ± {spread}" if spread.strip("0.") else f"{mean:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    escaped = (re.sub(r"[\\~^±&%#_${}]", lambda found: _SPECIAL[found[0]], cell) for cell in cells)
    return " & ".join(escaped) + r" \\"
