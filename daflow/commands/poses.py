"""The command `daflow poses`: videos become the pose tracks that training reads."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from daflow.commands.ray_cluster import runner, task_options
from daflow.core.command_line import FOLDER, Command, FiniteRange
from daflow.core.data.tracks import (
    add_frame_sizes,
    read_frame_sizes,
)
from daflow.core.errors import InputError
from daflow.core.parallel import Outcome
from daflow.core.progress import track
from runtime.batch.find_poses import Found, PoseTask, find_poses, is_done, named_videos, split_into_parts
from runtime.config.options import camera_options, people_options
from runtime.sources.uri import redacted

logger = logging.getLogger(__name__)


@click.command(cls=Command)
@click.option(
    "--source",
    "uris",
    required=True,
    multiple=True,
    metavar="SRC",
    help="A video file, or a folder of videos (with the folders in it); may be given several times.",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder of the pose tracks; a clip is named as its video. What is there and newer than its video is kept.",
)
@click.option(
    "--part-minutes",
    default=10.0,
    type=FiniteRange(0.05),
    help="Longer videos become several clips of so many minutes, so that little is lost when it is interrupted.",
)
@click.option("--overwrite", is_flag=True, help="Do again what is there.")
@click.option(
    "--max-frames",
    type=click.IntRange(1),
    help="Stop each clip after so many frames; a camera needs it.",
)
@task_options
@camera_options
def poses(
    uris: tuple[str, ...],
    output: Path,
    part_minutes: float,
    overwrite: bool,
    max_frames: int | None,
    workers: int | None,
    ray_address: str | None,
    **values: str | None,
) -> None:
    """Find and track the people of videos and write pose tracks, to train on one's own camera.

    A broken video is reported and never stops the rest; a second run does what is left.
    """
    options = people_options(values)
    if options.pose_model:
        options = options.model_copy(update={"pose_model": options.pose_model.resolve()})
    named = [pair for uri in uris for pair in named_videos(uri)]
    failed: dict[str, str] = {}
    tasks = [
        PoseTask(
            uri,
            clip,
            output.resolve(),
            begin,
            end,
            max_frames,
            options,
        )
        for uri, name in named
        for clip, begin, end in split_into_parts(uri, name, 60 * part_minutes, max_frames, failed)
    ]
    names = [task.clip for task in tasks]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise InputError(f"Two sources would be the clip {min(doubled)}; rename one of the files.")
    known = set() if overwrite else set(read_frame_sizes(output))
    left = [task for task in tasks if not (task.clip in known and is_done(task))]
    if len(left) < len(tasks):
        click.echo(f"{len(tasks) - len(left)} of {len(tasks)} clips are there already")
    if len(left) == 1:
        left = [PoseTask(**{**vars(left[0]), "progress": True})]
    people, frames = 0, 0
    done = runner(workers, ray_address)(find_poses, left)
    for outcome in done if len(left) == 1 else track(done, "poses, clips", len(left)):
        if outcome.result is None:
            failed[outcome.task.clip] = str(outcome.error)
            continue
        people, frames = people + outcome.result.people, frames + outcome.result.frames
        _record(outcome, output)
    for name, error in failed.items():
        logger.warning("left out: %s: %s", name, error)
    if failed and len(failed) == len(named) and not frames:
        raise InputError(next(iter(failed.values())))
    if left and not people and not failed:
        raise InputError(f"Nobody was found in the {frames} frames of {redacted(left[0].uri)}.")
    if failed:
        click.echo(f"{output}: {len(names) - len(failed)} clips, {len(failed)} sources failed")


def _record(outcome: Outcome[PoseTask, Found], output: Path) -> None:
    found = outcome.result
    assert found is not None
    add_frame_sizes(output, {outcome.task.clip: found.frame_size})
    click.echo(
        f"{redacted(outcome.task.uri)}: {found.frames} frames, {found.poses} poses of {found.people} people -> "
        f"{output / outcome.task.clip}"
    )
