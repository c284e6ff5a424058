"""The command `daflow score`: the scores of every clip of a folder, however many there are."""

from __future__ import annotations

from pathlib import Path

import click

from daflow.commands.other_recordings import POSES_HELP, open_poses
from daflow.commands.ray_cluster import runner, task_options
from daflow.core.command_line import FOLDER, Command, fps_option, frame_size_option, json_option, write_json
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.track_files import name_paths
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import PRECISIONS, Precision


@click.command(cls=Command)
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    multiple=True,
    help=POSES_HELP,
)
@click.option(
    "--model",
    required=True,
    help="A checkpoint, a bundle (scored through its exported graph), or hf://owner/name of the Hugging Face Hub.",
)
@click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", help="The graph of a bundle.")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder of <clip>.windows.parquet and <clip>.frames.parquet. Files that are up to date are kept.",
)
@task_options
@json_option("the summary")
@frame_size_option
@fps_option
def score(
    poses: tuple[Path, ...], model: str, precision: Precision, output: Path, workers: int | None,
    ray_address: str | None, json_target: str | None, frame_size: FrameSize | None, fps: float | None,
) -> None:  # fmt: skip
    """Score every clip of a folder: all windows and all frames, as Parquet.

    An invalid file is reported and does not stop the others; a second run scores what is missing.
    """
    from daflow.evaluation.clip_scores import score_folder

    # A cluster's machines see no temporary folder of this one.
    opened = poses if ray_address else open_poses(poses, frame_size, fps)
    result = score_folder(opened, model, output, precision, runner(workers, ray_address), frame_size, fps)
    if json_target:
        summary = {"clips": len(result.done), "done_before": result.done_before, "windows": result.windows}
        write_json(json_target, {**summary, "failed": result.failed})
    if not result.done:
        raise InputError(
            f"No clip of {name_paths(poses)} could be scored. {next(iter(result.failed.values()))}"
        )
    if json_target != "-":
        click.echo(
            f"{output}: {len(result.done)} clips scored ({result.done_before} of them before), "
            f"{len(result.failed)} failed"
        )
