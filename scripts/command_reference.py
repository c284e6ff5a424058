#!/usr/bin/env python
"""Writes docs/commands.md, the reference of all commands, from their own help.

    .venv/bin/python scripts/command_reference.py            writes the page
    .venv/bin/python scripts/command_reference.py --check    fails when the page is out of date

The page does not depend on the width of a terminal or the version of click, because it is formatted here.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from daflow.core.command_line import OTHER_OPTIONS, CommandWithSubcommands, GroupedCommand, option_groups

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
PROJECT = PAGE.parents[1] / "pyproject.toml"
_HEAD = """# Commands

<!-- Written by scripts/command_reference.py. Change the commands and run it again. -->

`--help` of every command shows the same as this page. Exit code 0 means success, 1 a failed check, 2 wrong input.
`FILE` is a file, `PATH` a file or a folder.
"""


def page() -> str:
    """Return the whole page."""
    found = [(name, command) for top in commands() for name, command in _below(top, load(top))]
    index = "\n".join(
        f"- [`{name}`](#{_anchor(name)}): {_first_sentence(command)}"
        for name, command in found
        if _runs(command)
    )
    return "\n".join([_HEAD, index, *(line for name, command in found for line in _section(name, command))])


def commands() -> dict[str, str]:
    """Return `module:attribute` of each command by name."""
    scripts: dict[str, str] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["scripts"]
    return scripts


def load(name: str) -> click.Command:
    """Import a command."""
    module, _, attribute = commands()[name].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


def inner_commands(name: str, command: click.Command) -> dict[str, click.Command]:
    """Return the subcommands of a command, in the order of its help."""
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        found = {inner: command.get_command(context, inner) for inner in command.list_commands(context)}
        return {inner: below for inner, below in found.items() if below is not None}
    return command.subcommands if isinstance(command, CommandWithSubcommands) else {}


def _below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for inner, below in inner_commands(name, command).items():
        yield from _below(f"{name} {inner}", below)


def _runs(command: click.Command) -> bool:
    """Whether it runs by itself, which a group does not."""
    return not isinstance(command, click.Group)


def _section(name: str, command: click.Command) -> Iterator[str]:
    yield f"\n{'#' * min(4, 2 + name.count(' '))} {name}\n"
    yield _paragraphs(command.help or "")
    if not _runs(command):
        return
    shown = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    arguments = [argument for argument in command.params if isinstance(argument, click.Argument)]
    needed = [option for option in shown if option.required]
    words = [name, *(f"{_name(option)} {_metavar(option)}" for option in needed)]
    words += ["[OPTIONS]", *(_metavar(argument) for argument in arguments)]
    yield f"\n```\n{' '.join(words)}\n```\n"
    grouped = isinstance(command, GroupedCommand)
    for group, members in (option_groups(command) if grouped else {OTHER_OPTIONS: shown}).items():
        rows = [option for option in members if option in shown and option.name not in ("help", "version")]
        if rows:
            if grouped:
                yield f"**{group}**\n"
            yield "| option | | meaning | default |\n|---|---|---|---|"
            yield from map(_row, rows)
            if grouped:
                yield ""


def _row(option: click.Parameter) -> str:
    assert isinstance(option, click.Option)
    meaning, default = _meaning(option)
    cells = (_names(option), _code(_metavar(option)), meaning, default)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _paragraphs(text: str) -> str:
    """Return a help text as Markdown; a paragraph that click would not rewrap becomes a code block."""
    parts = []
    for part in inspect.cleandoc(text).split("\f")[0].strip().split("\n\n"):
        if part.startswith("\b\n"):
            parts.append("```\n" + part.removeprefix("\b\n") + "\n```")
        else:
            parts.append(" ".join(part.split()))
    return "\n\n".join(parts)


def _first_sentence(command: click.Command) -> str:
    return re.split(r"(?<=\.)\s", _paragraphs(command.help or ""), maxsplit=1)[0]


def _name(option: click.Option) -> str:
    return max(option.opts, key=len)


def _names(option: click.Option) -> str:
    names = ", ".join(_code(name) for name in option.opts)
    return f"{names} / {', '.join(map(_code, option.secondary_opts))}" if option.secondary_opts else names


def _metavar(parameter: click.Parameter) -> str:
    """The placeholder of the value; empty for a flag."""
    if isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count):
        return ""
    if parameter.metavar:
        return parameter.metavar
    if isinstance(parameter, click.Argument) and not isinstance(parameter.type, click.Choice):
        return (parameter.name or "").upper()
    text = _kind(parameter.type)
    return text if isinstance(parameter, click.Option) or parameter.required else f"[{text}]"


def _kind(kind: click.ParamType[Any]) -> str:
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    if isinstance(kind, click.Path):
        return "PATH" if kind.dir_okay else "FILE"
    if isinstance(kind, click.types.IntParamType):
        return "INTEGER" + _range(kind)
    if isinstance(kind, click.types.FloatParamType):
        return "NUMBER" + _range(kind)
    return "TEXT"


def _range(kind: click.ParamType[Any]) -> str:
    if not isinstance(kind, (click.IntRange, click.FloatRange)):
        return ""
    low, high = kind.min, kind.max
    if low is None and high is None:
        return ""
    if high is None:
        return f" {'>' if kind.min_open else '>='} {low:g}"
    if low is None:
        return f" {'<' if kind.max_open else '<='} {high:g}"
    return f" {low:.15g} to {high:.15g}"


def _meaning(option: click.Option) -> tuple[str, str]:
    """Return the help and the default; some options have the default in their help."""
    text, said, default = (option.help or "").partition("[default: ")
    if said:
        default = default.strip().removesuffix("]")
        default = _code(default) if " " not in default else default
    return re.sub(r"([<*])", r"\\\1", text.strip()), default or _default(option)


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.default
    if option.is_flag and option.secondary_opts and isinstance(value, bool):
        return _code((option.opts if value else option.secondary_opts)[0])
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Path)) or value == "":
        return ""
    return _code(f"{value:g}" if isinstance(value, float) else str(value))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare and do not write")
    check = parser.parse_args().check
    text = page() + "\n"
    if not check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.name} is out of date: run scripts/command_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
