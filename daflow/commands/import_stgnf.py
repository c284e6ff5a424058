"""The command `daflow import-stgnf`."""

from __future__ import annotations

from pathlib import Path

import click

from daflow.core.command_line import (
    FILE,
    Command,
    require_folder_for,
)


@click.command("import-stgnf", cls=Command)
@click.argument("checkpoint", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The checkpoint to write.")
def import_stgnf(checkpoint: Path, output: Path) -> None:
    """Turn a public CHECKPOINT of STG-NF (a .tar file) into a model of this toolkit, without running its code.

    The model scores exactly as STG-NF does; to repeat its evaluation, use 'daflow evaluate --protocol stgnf'.
    """
    from daflow.model.checkpoint import save_checkpoint
    from daflow.model.flow import parameter_count
    from daflow.model.stgnf import read_stgnf

    require_folder_for(output)
    imported = read_stgnf(checkpoint)
    save_checkpoint(output, imported)
    config = imported.model.config
    click.echo(
        f"{output}: {parameter_count(imported.model)} parameters, {config.steps} steps, "
        f"windows of {config.window} poses, prior mean {config.prior_mean:g}"
    )
