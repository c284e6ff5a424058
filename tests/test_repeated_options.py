"""An option that is given twice takes all values or is refused, in every command."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from calibration.cli import main as calibrate
from daflow.cli import main as daflow
from daflow.core.command_line import CommandWithSubcommands
from export.cli import main as export
from runtime.cli import main as edge
from runtime.profiling.cli import main as profile

ROOTS: dict[str, click.Command] = {
    "daflow": daflow, "daflow-calibrate": calibrate, "daflow-export": export, "daflow-edge": edge,
    "daflow-profile": profile,
}  # fmt: skip


def commands(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that takes options, with the words that run it."""
    below: dict[str, click.Command] = {}
    if isinstance(command, click.Group):
        context = click.Context(command)
        below = {
            name: command.get_command(context, name) or command for name in command.list_commands(context)
        }
    elif isinstance(command, CommandWithSubcommands):
        below = command.subcommands
    if not isinstance(command, click.Group):
        yield words, command
    for name, inner in below.items():
        yield from commands(inner, (*words, name))


EVERY = [found for name, root in ROOTS.items() for found in commands(root, (name,))]


def single_options(command: click.Command) -> list[click.Option]:
    options = [option for option in command.params if isinstance(option, click.Option)]
    return [option for option in options if not (option.multiple or option.is_eager)]


@pytest.mark.parametrize(("words", "command"), EVERY, ids=[" ".join(words) for words, _ in EVERY])
def test_the_second_value_of_an_option_is_not_lost(words: tuple[str, ...], command: click.Command) -> None:
    for option in single_options(command):
        name = max(option.opts, key=len)
        one = [name] if option.is_flag else [name, "1"]
        result = CliRunner().invoke(ROOTS[words[0]], [*words[1:], *one, *one])
        assert result.exit_code == 2, (name, result.output)
        assert f"{name} is given 2 times and takes one value" in result.output


@pytest.mark.parametrize(
    ("words", "options"),
    {
        ("daflow", "train"): ["--poses", "--abnormal-poses", "--clips"],
        ("daflow", "evaluate"): ["--poses", "--clips"],
        ("daflow", "score"): ["--poses"],
        ("daflow", "study"): ["--poses", "--test", "--other-poses", "--other-test"],
        ("daflow-calibrate", "alarm"): ["--poses", "--clips"],
        ("daflow-calibrate", "check"): ["--poses", "--clips"],
        ("daflow-export",): ["--calibrate-on", "--verify-on", "--limit"],
    }.items(),
)  # fmt: skip
def test_recordings_may_be_named_several_times(words: tuple[str, ...], options: list[str]) -> None:
    command = dict(EVERY)[words]
    multiple = {
        name for option in command.params if getattr(option, "multiple", False) for name in option.opts
    }
    assert set(options) <= multiple


def test_a_limit_that_is_given_twice_is_refused() -> None:
    result = CliRunner().invoke(
        export, ["model.pt", "--limit", "fp16.spearman=1", "--limit", "fp16.spearman=0"]
    )
    assert result.exit_code == 2
    assert "fp16.spearman is given twice" in result.output
