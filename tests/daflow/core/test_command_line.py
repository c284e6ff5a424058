"""How the command line turns what goes wrong into one line and an exit code, and leaves the process's log alone."""

from __future__ import annotations

import logging
import pickle

import click
import pytest
from click.testing import CliRunner, Result

from daflow.core.command_line import Command, CommandWithSubcommands
from daflow.core.errors import CheckFailed, DaflowError, InputError


def run(error: Exception, in_callback: bool = False) -> Result:
    def refuse(ctx: click.Context, param: click.Parameter, value: object) -> object:
        if in_callback:
            raise error
        return value

    @click.command(cls=Command)
    @click.option("--value", callback=refuse)
    def command(value: str | None) -> None:
        raise error

    return CliRunner().invoke(command)


@pytest.mark.parametrize("in_callback", [False, True])
@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("Wrong."), 2, "Error: Wrong.\n"),
        (CheckFailed("It does not hold."), 1, "Error: It does not hold.\n"),
        (DaflowError("Neither."), 2, "Error: Neither.\n"),
        (
            OSError(28, "No space left on device", "out.pt"),
            2,
            "Error: Cannot read or write out.pt: No space left on device. Check that it exists, that you may "
            "write it and that the disk is not full.\n",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            2,
            "Error: The package torch is not installed. Install it with: pip install 'daflow[train]'\n",
        ),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    error: Exception, code: int, line: str, in_callback: bool
) -> None:
    result = run(error, in_callback)
    assert (result.exit_code, result.stderr) == (code, line)


NAME = "a\n\x1b[2JError: b\u202e.mp4"
SHOWN = r"a\n\x1b[2JError: b\u202e.mp4"


@pytest.mark.parametrize("in_callback", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        InputError(f"No {NAME}."),
        CheckFailed(f"No {NAME}."),
        OSError(2, "No such file", NAME),
        click.ClickException(NAME.replace("\n", "\r")),
        click.BadParameter(NAME.replace("\n", "\r")),
    ],
)
def test_a_file_name_adds_no_line_to_an_error_and_clears_no_screen(
    error: Exception, in_callback: bool
) -> None:
    said = run(error, in_callback).stderr
    assert SHOWN in said.replace(r"\r", r"\n")
    assert said.replace("\n", "").isprintable()
    assert "\nError: b" not in said


def test_several_messages_are_lines_of_their_own() -> None:
    error = InputError("One.", f"Two {NAME}.")
    assert error.message == str(error) == f"One.\nTwo {SHOWN}."
    assert pickle.loads(pickle.dumps(error)).message == error.message  # noqa: S301


def test_a_file_name_adds_no_line_to_the_log() -> None:
    @click.command(cls=Command)
    def command() -> None:
        logging.getLogger("daflow.x").warning("%s is skipped", NAME)

    assert CliRunner().invoke(command).stderr == f"WARNING: {SHOWN} is skipped\n"


def test_a_defect_keeps_its_traceback() -> None:
    assert isinstance(
        run(ModuleNotFoundError("No module named 'runtim'", name="runtim")).exception, ImportError
    )


def test_the_log_of_a_command_is_on_standard_error_and_goes_with_it() -> None:
    logger = logging.getLogger("runtime.somewhere")
    before = logging.getLogger().handlers[:]

    @click.command(cls=Command)
    def command() -> None:
        logger.warning("a line")

    for _ in range(2):
        result = CliRunner().invoke(command)
        assert (result.stdout, result.stderr) == ("", "WARNING: a line\n")
    assert logging.getLogger("runtime").handlers == []
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["model", "-o", "bundle"], "write model bundle\n"),
        (["show", "bundle"], "show bundle\n"),
        (["show", "bundle", "--json"], "show bundle as JSON\n"),
        (["show", "-o", "bundle"], "write show bundle\n"),
        (["show", "--output=bundle"], "write show bundle\n"),
        (["-o", "bundle", "show"], "write show bundle\n"),
    ],
)
def test_a_first_word_is_a_subcommand_unless_an_option_of_the_command_follows(
    words: list[str], output: str
) -> None:
    @click.command(cls=CommandWithSubcommands)
    @click.argument("model")
    @click.option("-o", "--output")
    @click.option("--json", is_flag=True)
    def write(model: str, output: str, json: bool) -> None:
        click.echo(f"write {model} {output}{' as JSON' if json else ''}")

    @click.command(cls=Command)
    @click.argument("bundle")
    @click.option("--json", is_flag=True)
    def show(bundle: str, json: bool) -> None:
        click.echo(f"show {bundle}{' as JSON' if json else ''}")

    write.add(show)
    result = CliRunner().invoke(write, words)
    assert (result.exit_code, result.output) == (0, output)
