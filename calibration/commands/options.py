"""The options that both commands of `daflow-calibrate` take."""

from __future__ import annotations

import click

from daflow.core.alarms.calibration import camera_name_error
from daflow.core.command_line import FILE, FiniteRange
from daflow.core.data.label_table import CLIPS_HELP


def _camera(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    error = None if name is None else camera_name_error(name)
    if error is not None:
        raise click.BadParameter(error)
    return name


camera_option = click.option(
    "--camera",
    metavar="NAME",
    callback=_camera,
    help="Name of the camera in the configuration of daflow-edge; without it, every camera without a calibration of "
    "its own.",
)
zones_option = click.option(
    "--zones",
    "zones_file",
    type=FILE,
    help="The configuration of daflow-edge, or another TOML file, with the zones of the camera: nobody is scored where "
    "it says ignore, and nobody elsewhere where it says watch. Which camera, --camera says.",
)
clips_option = click.option("--clips", multiple=True, metavar="GLOB", help=CLIPS_HELP)
POSITIVE = FiniteRange(0, 1e6, min_open=True)
SECONDS = FiniteRange(0, 1e6)
