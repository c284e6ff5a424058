"""The options that both commands of `daflow-calibrate` take."""

from __future__ import annotations

import re

import click

from daflow.core.alarms.calibration import CAMERA_NAME
from daflow.core.command_line import FiniteRange


def _camera(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    if name is not None and not re.fullmatch(CAMERA_NAME, name):
        raise click.BadParameter(
            f"{name!r} is not a camera name: use at most 64 letters, digits, - and _, and begin with a letter or digit."
        )
    return name


camera_option = click.option(
    "--camera",
    metavar="NAME",
    callback=_camera,
    help="Name of the camera in the configuration of daflow-edge; without it, every camera without a calibration of "
    "its own.",
)
POSITIVE = FiniteRange(0, 1e6, min_open=True)
SECONDS = FiniteRange(0, 1e6)
