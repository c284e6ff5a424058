"""The documentation says nothing that is not there: links, files, commands and their options."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
COMMANDS = {
    "daflow": "daflow.cli",
    "daflow-export": "export.cli",
    "daflow-calibrate": "calibration.cli",
    "daflow-edge": "runtime.cli",
    "daflow-profile": "runtime.profiling",
}


def documented_commands() -> list[str]:
    """Every line of every code block that begins with one of our commands."""
    blocks = [
        block for page in PAGES for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.split(" ")[0] in COMMANDS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("line", documented_commands())
def test_documented_commands_and_options_exist(line: str) -> None:
    name, *words = shlex.split(line, comments=True)
    command: click.Command = importlib.import_module(COMMANDS[name]).main
    context = click.Context(command, info_name=name)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, line
        command, words = found, words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        if word.startswith("-") and word != "-":
            assert word in known, f"{word} in: {line}"


def test_the_readme_shows_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    for name in COMMANDS:
        assert f"`{name}" in text
    group = importlib.import_module("daflow.cli").main
    for name in group.list_commands(click.Context(group)):
        assert f"daflow {name}" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_rows_of_a_table_have_as_many_cells_as_its_head(page: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert set(cells) == {cells[0]}, table
