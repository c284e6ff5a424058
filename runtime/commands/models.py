"""The commands `daflow models fetch` and `daflow models list`."""

from __future__ import annotations

from pathlib import Path

import click

from daflow.core.command_line import CONTEXT, FOLDER, Command
from daflow.core.files import sha256
from runtime.poses.models import POSE_MODELS, fetch, models_directory

_directory_option = click.option(
    "--directory",
    type=FOLDER,
    default=models_directory,
    show_default="$DAFLOW_MODELS, else ~/.local/share/daflow/models",
    help="Folder of the models. Other commands look for them in the default folder.",
)


@click.group(context_settings=CONTEXT)
def models() -> None:
    """Download the pose models, which are not part of the package."""


@models.command("fetch", cls=Command)
@click.argument("name", type=click.Choice(list(POSE_MODELS)), default="pose-lite")
@_directory_option
def fetch_command(name: str, directory: Path) -> None:
    """Download a pose model, unless it is there already: pose-lite (the default) or pose-full."""
    path = fetch(name, directory, report=lambda line: click.echo(line, err=True))
    click.echo(f"{name}: {path} ({_megabytes(path)})")


@models.command("list", cls=Command)
@_directory_option
def list_command(directory: Path) -> None:
    """List the pose models and whether they are there."""
    for name, model in POSE_MODELS.items():
        path = directory / model.file_name
        if not path.is_file():
            click.echo(f"{name}: missing; download it with: daflow models fetch {name}")
        elif model.accepts(sha256(path)):
            click.echo(f"{name}: {path} ({_megabytes(path)})")
        else:
            click.echo(f"{name}: {path} is not the known model; fetch it again")


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
