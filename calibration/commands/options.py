"""The options that both commands of `daflow-calibrate` take."""

from __future__ import annotations

import re

import click

from daflow.core.alarms.calibration import CAMERA_NAME
from daflow.core.command_line import FiniteRange


def _camera(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    if name is not None and not re.fullmatch(CAMERA_NAME, name):
        raise click.BadParameter(f"{name!r} is not a name of letters, digits, - and _, of at most 64.")
    return name


camera_option = click.option(
    "--camera",
    metavar="NAME",
    callback=_camera,
    help="The camera by its name in the configuration of daflow-edge; without it, all that have no calibration of "
    "their own.",
)
POSITIVE = FiniteRange(0, 1e6, min_open=True)
SECONDS = FiniteRange(0, 1e6)
