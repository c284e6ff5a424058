"""The command `daflow generate`."""

from __future__ import annotations

from pathlib import Path

import click

from daflow.core.command_line import FOLDER, Command, track_format_option
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.track_names import TrackFormat
from daflow.core.data.tracks import DEFAULT_FPS


@click.command(cls=Command)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder for train/, test/ and masks/.")
@click.option("--seed", default=0, help="Seed; the same seed gives the same files.")
@click.option("--train-clips", default=12, type=click.IntRange(1), help="Clips of normal walking.")
@click.option("--test-clips", default=6, type=click.IntRange(1), help="Clips with a fall, a run or a fight.")
@click.option(
    "--frames",
    default=600,
    type=click.IntRange(48),
    help=f"Frames per clip, at {DEFAULT_FPS:g} frames per second.",
)
@click.option("--people", default=2, type=click.IntRange(1, 50), help="People a clip.")
@track_format_option
def generate(
    output: Path, seed: int, train_clips: int, test_clips: int, frames: int, people: int, form: TrackFormat
) -> None:
    """Generate pose tracks of walking people, with falls, runs and fights in the test clips."""
    generate_dataset(output, seed, train_clips, test_clips, Scene(frames=frames, people=people), form)
    click.echo(f"{output}: {train_clips} normal clips in train, {test_clips} in test with masks")
