"""The command `daflow`: train a model on normal behaviour, judge it, and see the whole path run."""

from __future__ import annotations

from pathlib import Path

import click

from daflow.core.command_line import (
    FILE,
    FOLDER,
    Command,
    LazyGroup,
    require_folder_for,
    version_option,
)
from daflow.core.data.synthetic import Scene, generate_dataset


@click.group(
    cls=LazyGroup,
    lazy={
        "demo": "daflow.commands.demo:demo",
        "generate": "daflow.cli:generate",
        "poses": "runtime.commands.poses:poses",
        "train": "daflow.commands.train:train",
        "import-stgnf": "daflow.cli:import_stgnf",
        "evaluate": "daflow.commands.evaluate:evaluate",
        "score": "daflow.commands.score:score",
        "study": "daflow.commands.study:study",
        "models": "runtime.commands.models:models",
        "doctor": "runtime.commands.doctor:doctor",
    },
)
@version_option()
def main() -> None:
    """Skeleton-based video anomaly detection: train on normal behaviour, judge, and see it run."""


@click.command(cls=Command)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder for train/, test/ and masks/.")
@click.option("--seed", default=0, help="Seed; the same seed gives the same files.")
@click.option("--train-clips", default=12, type=click.IntRange(1), help="Clips of normal walking.")
@click.option("--test-clips", default=6, type=click.IntRange(1), help="Clips with a fall, a run or a fight.")
@click.option("--frames", default=600, type=click.IntRange(48), help="Frames a clip, at 25 a second.")
@click.option("--people", default=2, type=click.IntRange(1, 50), help="People a clip.")
def generate(output: Path, seed: int, train_clips: int, test_clips: int, frames: int, people: int) -> None:
    """Generate pose tracks of walking people, with falls, runs and fights in the test clips."""
    generate_dataset(output, seed, train_clips, test_clips, Scene(frames=frames, people=people))
    click.echo(f"{output}: {train_clips} normal clips in train, {test_clips} in test with masks")


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

    imported = read_stgnf(checkpoint)
    require_folder_for(output)
    save_checkpoint(output, imported)
    config = imported.model.config
    click.echo(
        f"{output}: {parameter_count(imported.model)} parameters, {config.steps} steps, "
        f"windows of {config.window} poses, prior mean {config.prior_mean:g}"
    )


if __name__ == "__main__":
    main()
