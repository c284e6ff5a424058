"""Tables for papers: Markdown that stays a table, CSV that reads back, LaTeX without a letter of its own meaning."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from daflow.evaluation.tables import Table, with_spread

TABLE = Table(["clip", "AUC, %"], [["a|b_1", "85.0 ± 7.1"], [r"c\d{~^$#&%}", "-"]], rules=[1])


def test_latex_escapes_every_letter_that_means_something_there() -> None:
    lines = TABLE.latex().splitlines()
    assert lines[4:7] == [
        r"a|b\_1 & 85.0 $\pm$ 7.1 \\",
        r"\midrule",
        r"c\textbackslash{}d\{\textasciitilde{}\textasciicircum{}\$\#\&\%\} & - \\",
    ]


def test_csv_reads_back(tmp_path: Path) -> None:
    TABLE.write(tmp_path, "t")
    assert list(csv.reader((tmp_path / "t.csv").read_text().splitlines())) == [TABLE.head, *TABLE.rows]
    assert (tmp_path / "t.tex").read_text() == TABLE.latex()


def test_a_name_with_a_bar_stays_in_its_cell_of_markdown() -> None:
    assert TABLE.markdown()[2] == r"| a\|b_1 | 85.0 ± 7.1 |"


@pytest.mark.parametrize(
    ("deviation", "text"), [(None, "80.00"), (0.0, "80.00"), (0.004, "80.00"), (0.005001, "80.00 ± 0.01")]
)
def test_one_seed_or_equal_seeds_claim_no_spread(deviation: float | None, text: str) -> None:
    assert with_spread(80, deviation, 2) == text
