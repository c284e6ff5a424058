"""Shared by all five commands: errors, logging, and the types of their options."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import re
import reprlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from daflow.core.data.clip_tables import MAX_SIDE, FrameSize
from daflow.core.data.parquet_tracks import require_pyarrow
from daflow.core.data.track_names import TRACK_FORMATS, TrackFormat
from daflow.core.errors import CheckFailed, DaflowError, InputError, explain_import
from daflow.core.files import require_short_name, write_text
from daflow.core.log import log_to_stderr, one_line
from daflow.core.version import __version__

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

LOG_HANDLER = "daflow.log_handler"
"""Where `click.Context.meta` holds the handler of the log."""

OTHER_OPTIONS = "Options"
"""The heading of options without a group."""

CONTEXT = {"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command that reports every error in one line: a wrong value, a full disk, a missing package."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**CONTEXT, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; errors of their callbacks are one line too."""
        with one_line_errors():
            self._refuse_repeated(ctx, args)
            return super().parse_args(ctx, args)

    def _refuse_repeated(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option that is given twice and takes one value, of which click would use the last."""
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter, count in Counter(order).items():
            multiple = ctx.resilient_parsing or parameter.is_eager or getattr(parameter, "multiple", False)
            if count > 1 and not multiple:
                raise InputError(f"{'/'.join(parameter.opts)} is given {count} times and takes one value.")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and log to standard error."""
        with log_to_stderr() as handler, one_line_errors():
            ctx.meta[LOG_HANDLER] = handler
            return super().invoke(ctx)


class GroupedOption(click.Option):
    """An option below a heading of its own in the help of a `GroupedCommand`.

    Args:
        group: the heading.
    """

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


def option_groups(
    command: click.Command, ctx: click.Context | None = None
) -> dict[str, list[click.Parameter]]:
    """Return the parameters of a command by heading, in the order of the headings; `OTHER_OPTIONS` is last."""
    found: dict[str, list[click.Parameter]] = {}
    for parameter in command.params if ctx is None else command.get_params(ctx):
        found.setdefault(getattr(parameter, "group", OTHER_OPTIONS), []).append(parameter)
    others = found.pop(OTHER_OPTIONS, None)
    return {**found, **({OTHER_OPTIONS: others} if others else {})}


class GroupedCommand(Command):
    """A command with many options: its help shows them in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group below its heading."""
        for group, parameters in option_groups(self, ctx).items():
            rows = [row for parameter in parameters if (row := parameter.get_help_record(ctx)) is not None]
            if rows:
                with formatter.section(group):
                    formatter.write_dl(rows)


class _WrongInput(click.ClickException):
    """The input is wrong."""

    exit_code = 2


class _CheckFailed(click.ClickException):
    """A check failed."""

    exit_code = 1


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the toolkit's errors, a full disk and a missing package into one line and an exit code.

    The exit code is 1 for `CheckFailed`, else 2.
    """
    try:
        yield
    except DaflowError as error:
        raise (_CheckFailed if isinstance(error, CheckFailed) else _WrongInput)(error.message) from error
    except ImportError as error:
        explained = explain_import(error)
        if explained is None:
            raise
        raise _WrongInput(explained.message) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        raise _WrongInput(
            one_line(f"Cannot read or write{where}: {error.strerror or error}.")
            + " Check that it exists, that you may write it and that the disk is not full."
        ) from error
    except click.ClickException as error:
        error.message = "\n".join(map(one_line, error.message.split("\n")))  # type: ignore[misc]
        raise


class CommandWithSubcommands(Command):
    """A command that runs by itself and has subcommands, such as `daflow-export MODEL` and `daflow-export inspect`.

    A first word that names a subcommand runs it, unless an option follows that only the command itself has:
    `daflow-export inspect -o bundle` exports a model that is called `inspect`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subcommands: dict[str, click.Command] = {}

    def add(self, command: click.Command) -> None:
        """Add a subcommand."""
        assert command.name is not None
        self.subcommands[command.name] = command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Let a subcommand parse its own words."""
        below = self.subcommands.get(args[0]) if args else None
        if below is not None and not self._own_options(below) & {word.partition("=")[0] for word in args[1:]}:
            return below.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command or subcommand that the context belongs to."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options and, below, the subcommands."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            rows = [(name, command.get_short_help_str(80)) for name, command in self.subcommands.items()]
            formatter.write_dl(rows)

    def _own_options(self, below: click.Command) -> set[str]:
        """The options of this command that a subcommand does not have."""
        ours, theirs = (
            {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            for command in (self, below)
        )
        return {name for name in ours - theirs if name.startswith("-")}


class GroupedCommandWithSubcommands(CommandWithSubcommands, GroupedCommand):
    """Both: options in groups, and subcommands below them."""


class LazyGroup(click.Group):
    """A group that imports a subcommand at its first use, so that `--help` does not load torch.

    Args:
        lazy: `{name: "module:attribute"}`.
    """

    def __init__(self, *args: Any, lazy: dict[str, str], **kwargs: Any) -> None:
        kwargs["context_settings"] = CONTEXT
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the given order, not sorted."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a subcommand."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


def parse_frame_size(text: str) -> FrameSize:
    """Turn `1920x1080` into `(1920, 1080)`.

    Raises:
        BadParameter: the text is not a size in pixels.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None or max(size := (int(match[1]), int(match[2]))) > MAX_SIDE:
        raise click.BadParameter(
            f"{reprlib.repr(text)} is not a size such as 1920x1080, of at most {MAX_SIDE} pixels."
        )
    return size


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN and infinity, which `click.FloatRange` accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn text into a number of the range."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


FOLDER = click.Path(path_type=Path, file_okay=True, dir_okay=True)
FILE = click.Path(path_type=Path, dir_okay=False)

frame_size_option = click.option(
    "--frame-size",
    type=parse_frame_size,
    metavar="WIDTHxHEIGHT",
    help="Width and height of the video frames in pixels, for all clips. Without it, frame_sizes.json in the folder of "
    "the tracks is used, else 1920x1080. Only the ratio matters.",
)

fps_option = click.option(
    "--fps",
    type=FiniteRange(0.1, 1000),
    help="Frames per second of all recordings. Without it, frame_rates.json in the folder of the tracks is used.",
)


def _writable_format(ctx: click.Context, param: click.Parameter, form: TrackFormat) -> TrackFormat:  # noqa: ARG001
    """Check before the work that the form can be written."""
    if form == "parquet":
        require_pyarrow()
    return form


track_format_option = click.option(
    "--format",
    "form",
    type=click.Choice(TRACK_FORMATS),
    default="json",
    callback=_writable_format,
    help="The form of pose tracks: json is that of the field, and frame_sizes.json and frame_rates.json beside it; "
    "parquet is smaller and faster to read, holds both itself, and needs pyarrow.",
)


def json_option(what: str) -> Callable[[_Decorated], _Decorated]:
    """The `--json` option of a command, for `write_json`.

    Args:
        what: what is written, such as `the figures`.
    """
    return click.option(
        "--json",
        "json_target",
        metavar="FILE",
        callback=_checked_target,
        help=f"Also write {what} as JSON; - is standard output.",
    )


def _checked_target(ctx: click.Context, param: click.Parameter, target: str | None) -> str | None:  # noqa: ARG001
    """Check before the work that the file can be written."""
    if target and target != "-":
        require_folder_for(Path(target))
    return target


def version_option() -> Callable[[_Decorated], _Decorated]:
    """The `--version` option of a command."""
    return click.version_option(__version__, prog_name="daflow")


def write_json(target: str, content: object) -> None:
    """Write JSON to a file, whole or not at all, or to standard output for `-`."""
    text = json.dumps(content, indent=1) + "\n"
    if target == "-":
        click.echo(text, nl=False)
    else:
        write_text(Path(target), text)


def require_folder_for(path: Path) -> None:
    """Check before long work that the output can be written.

    Raises:
        InputError: `path` is a folder, or its name is too long.
        OSError: the folder of `path` cannot be made or written.
    """
    require_short_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise InputError(f"{path} is a folder. Give the name of a file.")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="."):
        pass


def refuse_options(refused: Callable[[str], bool], why: str) -> None:
    """Refuse options that the running command was given and does not look at.

    Args:
        refused: whether a parameter of the command, by its name, is one of them.
        why: the end of the sentence that begins with the option.

    Raises:
        InputError: there is one.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if refused(name) and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise InputError(f"{parameter.opts[0]} {why}.")
