"""The command `daflow poses`: finds the people of videos and writes pose tracks to train with."""

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
from daflow.core.errors import InputError, require_packages
from daflow.core.parallel import Outcome
from daflow.core.progress import track
from runtime.batch.find_poses import PoseCounts, PoseTask, find_poses, is_done, named_videos, split_into_parts
from runtime.config.options import camera_options, people_options
from runtime.poses.estimators import BUILT_IN
from runtime.sources.uri import needs_poses, redacted

logger = logging.getLogger(__name__)


@click.command(cls=Command)
@click.option(
    "--source",
    "uris",
    required=True,
    multiple=True,
    metavar="SRC",
    help="A video file, or a folder of videos (with its subfolders); may be given several times.",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder of the pose tracks; a clip is named as its video. Tracks that are newer than their video are kept.",
)
@click.option(
    "--part-minutes",
    default=10.0,
    type=FiniteRange(0.05),
    help="Length of a clip in minutes: longer videos become several clips, so that an interruption loses little.",
)
@click.option("--overwrite", is_flag=True, help="Find the poses again where tracks are there already.")
@click.option(
    "--max-frames",
    type=click.IntRange(1),
    help="Stop each clip after this number of frames; required for a camera.",
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

    A video that cannot be read is reported and the others are still processed. A second run continues an
    interrupted one.
    """
    options = people_options(values)
    if options.pose_model:
        options = options.model_copy(update={"pose_model": options.pose_model.resolve()})
    if any(needs_poses(uri) for uri in uris):
        finding = ["mediapipe"] if options.estimator == BUILT_IN else []
        require_packages({"edge": ["av", *finding, "trackers"]})
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
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"Two sources would be the clip {min(repeated)}; rename one of the files.")
    known = set() if overwrite else set(read_frame_sizes(output))
    remaining = [task for task in tasks if not (task.clip in known and is_done(task))]
    if len(remaining) < len(tasks):
        click.echo(f"{len(tasks) - len(remaining)} of {len(tasks)} clips are there already")
    if len(remaining) == 1:
        remaining = [PoseTask(**{**vars(remaining[0]), "progress": True})]
    people, frames = 0, 0
    done = runner(workers, ray_address)(find_poses, remaining)
    for outcome in done if len(remaining) == 1 else track(done, "poses, clips", len(remaining)):
        if outcome.result is None:
            failed[outcome.task.clip] = str(outcome.error)
            continue
        people, frames = people + outcome.result.people, frames + outcome.result.frames
        _record(outcome, output)
    for name, error in failed.items():
        logger.warning("skipped: %s: %s", name, error)
    if failed and len(failed) == len(named) and not frames:
        raise InputError(next(iter(failed.values())))
    if remaining and not people and not failed:
        raise InputError(f"Nobody was found in the {frames} frames of {redacted(remaining[0].uri)}.")
    if failed:
        click.echo(f"{output}: {len(names) - len(failed)} clips, {len(failed)} sources failed")


def _record(outcome: Outcome[PoseTask, PoseCounts], output: Path) -> None:
    found = outcome.result
    assert found is not None
    add_frame_sizes(output, {outcome.task.clip: found.frame_size})
    click.echo(
        f"{redacted(outcome.task.uri)}: {found.frames} frames, {found.poses} poses of {found.people} people -> "
        f"{output / outcome.task.clip}"
    )
