"""The documentation says nothing that is not there: links, files, commands and their options, code that parses."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])


def load_script(name: str) -> ModuleType:
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_script("command_reference")


def blocks(language: str) -> list[tuple[str, str]]:
    """Every code block of a language in all pages, with the name of its page."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [(page.name, block) for page in PAGES for block in pattern.findall(page.read_text())]


def documented_commands() -> list[str]:
    """Every command line of every code block that begins with one of our commands."""
    text = "\n".join(block for _, block in blocks("bash"))
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.split(" ")[0] in reference.commands()]


def words_of_one_command(line: str) -> list[str]:
    """The words of a line up to a pipe, a redirection or the next command."""
    words = shlex.split(line, comments=True)
    ends = [index for index, word in enumerate(words) if re.fullmatch(r"[|>&;]+|\d?>.*", word)]
    return words[: min(ends, default=len(words))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts of Markdown make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_project_that_a_page_names_exist(page: Path) -> None:
    folders = "tests|daflow|export|calibration|runtime|benchmarks|scripts"
    for name in re.findall(rf"(?<![\w/])(?:{folders})/[\w/.-]+\.py\b", page.read_text()):
        assert (ROOT / name).is_file(), name


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("**/*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


@pytest.mark.parametrize("line", sorted(set(documented_commands())))
def test_documented_commands_and_options_exist(line: str) -> None:
    name, *words = words_of_one_command(line)
    command: click.Command = reference.load(name)
    while words and words[0] in (inner := reference.inner_commands(name, command)):
        name, command, words = f"{name} {words[0]}", inner[words[0]], words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"-h", "--help"}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in known, f"{word} in: {line}"


def test_the_readme_shows_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    for name in reference.commands():
        assert f"`{name}" in text
        for inner in reference.inner_commands(name, reference.load(name)):
            assert f"{name} {inner}" in text


def test_the_command_reference_is_what_the_commands_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "37")
    written = (ROOT / "docs" / "commands.md").read_text()
    assert written == reference.page() + "\n", "run scripts/command_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_rows_of_a_table_have_as_many_cells_as_its_head(page: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert set(cells) == {cells[0]}, table


def test_code_blocks_parse() -> None:
    parsers: dict[str, Callable[[str], object]] = {
        "python": ast.parse,
        "toml": tomllib.loads,
        "json": json.loads,
    }
    for language, parse in parsers.items():
        found = blocks(language)
        assert found, language
        for page, code in found:
            try:
                parse(code)
            except (SyntaxError, ValueError) as error:
                raise AssertionError(f"{page}: {error}\n{code}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_ends_and_is_of_a_language_that_is_checked(page: Path) -> None:
    text = page.read_text()
    fences = re.findall(r"^```(\w*)$", text, re.MULTILINE)
    assert len(fences) % 2 == 0
    assert set(fences[::2]) <= {"bash", "python", "toml", "json", "text", ""}


@pytest.mark.everything
def test_the_figures_of_the_model_can_be_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = load_script("draw_figures")
    monkeypatch.setattr(drawing, "_EPOCHS", 1)
    drawing.main(tmp_path)
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "docs" / "model.md").read_text())
    assert set(shown) == {path.name for path in tmp_path.iterdir()}
