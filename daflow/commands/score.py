"""The command `daflow score`: the scores of every clip of a folder, however many there are."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from daflow.commands.ray_cluster import runner, task_options
from daflow.core.command_line import FOLDER, Command, frame_size_option, json_option, write_json
from daflow.core.data.tracks import FrameSize, find_tracks
from daflow.core.errors import InputError
from daflow.core.progress import track
from daflow.core.scoring.comparison import PRECISIONS, Precision

logger = logging.getLogger(__name__)


@click.command(cls=Command)
@click.option("--poses", type=FOLDER, required=True, help="Folder of pose tracks.")
@click.option("--model", required=True, help="A checkpoint, or a bundle (scored through its exported graph).")
@click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", help="The graph of a bundle.")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder of <clip>.windows.parquet and <clip>.frames.parquet. What is there and still fits is kept.",
)
@task_options
@json_option("the summary")
@frame_size_option
def score(
    poses: Path, model: str, precision: Precision, output: Path, workers: int | None, ray_address: str | None,
    json_target: str | None, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Score every clip of a folder: all windows and all frames, as Parquet.

    A broken file is reported and never stops the rest; a second run does what is left.
    """
    from daflow.evaluation.clip_scores import ScoreTask, hash_of_model, score_clip
    from daflow.evaluation.scoring_model import open_scoring_model

    # Absolute paths: the machines of a cluster have other working folders.
    model = str(Path(model).resolve())
    open_scoring_model(model, precision)  # a model that is none fails here, not in every task
    files = find_tracks(poses.resolve(), frame_size)
    output.mkdir(parents=True, exist_ok=True)
    model_hash = hash_of_model(model, precision)
    tasks = [ScoreTask(file, model, model_hash, precision, output.resolve()) for file in files]
    done, failed = {}, {}
    for outcome in track(runner(workers, ray_address)(score_clip, tasks), "scoring, clips", len(tasks)):
        name = outcome.task.file.clip
        if outcome.result is None:
            failed[name] = str(outcome.error)
            logger.warning("left out: %s: %s", name, outcome.error)
        else:
            done[name] = outcome.result
    before = sum(clip.done_before for clip in done.values())
    if json_target:
        summary = {
            "clips": len(done),
            "done_before": before,
            "windows": sum(clip.windows for clip in done.values()),
        }
        write_json(json_target, {**summary, "failed": failed})
    if not done:
        raise InputError(f"No clip of {poses} could be scored. {next(iter(failed.values()))}")
    if json_target != "-":
        click.echo(f"{output}: {len(done)} clips scored ({before} of them before), {len(failed)} failed")
