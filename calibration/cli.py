"""The command `daflow-calibrate`: from recordings of normal behaviour to the alarm threshold of a bundle."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from daflow.bundle import read_bundle
from daflow.command import (
    FOLDER,
    Command,
    FiniteRange,
    LazyGroup,
    frame_size_option,
    version_option,
    write_json,
)
from daflow.tracks import FrameSize


@click.group(cls=LazyGroup, lazy={"alarm": "calibration.cli:alarm"})
@version_option()
def main() -> None:
    """Calibrate a bundle on recordings of normal behaviour."""


@click.command(cls=Command)
@click.option(
    "--bundle",
    "folder",
    type=FOLDER,
    required=True,
    help="The bundle to calibrate; its manifest is rewritten.",
)
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    help="Folder of pose tracks of normal behaviour, best from the same camera.",
)
@click.option(
    "--quantile",
    default=0.999,
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Fraction of the normal windows that stay below the threshold.",
)
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Also write the result as JSON; - is standard output.",
)
@frame_size_option
def alarm(
    folder: Path,
    poses: Path,
    quantile: float,
    json_target: str | None,
    frame_size: FrameSize | None,
) -> None:
    """Set the alarm threshold to a quantile of the scores of normal behaviour."""
    from calibration.threshold import quantile_threshold, write_alarm

    bundle = read_bundle(folder)
    entry, warning = quantile_threshold(bundle, poses, quantile, frame_size)
    if warning:
        logging.getLogger(__name__).warning(warning)
    write_alarm(bundle, entry)
    if json_target:
        write_json(json_target, entry.model_dump())
    if json_target != "-":
        click.echo(
            f"{folder}: threshold {entry.threshold:.4f} bits/dim, the {quantile:g} quantile of {entry.windows} windows"
        )


if __name__ == "__main__":
    main()
