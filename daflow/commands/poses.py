"""The command `daflow poses`: finds the people of videos and writes pose tracks to train with."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import click

from daflow.commands.ray_cluster import runner, task_options
from daflow.core.command_line import FOLDER, Command, FiniteRange, track_format_option
from daflow.core.data.track_names import TrackFormat
from daflow.core.errors import InputError, require_packages
from daflow.core.parallel import Outcome
from daflow.core.progress import track
from runtime.batch.clip_names import check_distinct, named_videos, readable
from runtime.batch.find_poses import find_poses, record_outcome, split_into_parts
from runtime.batch.made_by import claim
from runtime.batch.pose_task import PoseCounts, PoseTask
from runtime.batch.recordings import tell_assumed_rate
from runtime.commands.models import bring_pose_model, offline_option
from runtime.config.options import camera_options, people_options, recording_options, refuse_secrets
from runtime.poses.estimators import BUNDLE, MEDIAPIPE, resolved
from runtime.sources.uri import check_present, is_live, needs_poses, redacted

logger = logging.getLogger(__name__)

_ADVICE = "name the clip with --clip, choose another folder with -o, or replace it with --overwrite"


@click.command(cls=Command)
@click.option(
    "--source",
    "uris",
    required=True,
    multiple=True,
    metavar="SRC",
    help="A video file, or a folder of videos and of folders of images, at any depth; may be given several times. A "
    "folder of images is one clip.",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder of the pose tracks; a clip is named as its video or folder of images. Tracks that were made from the "
    "same recording in the same way are kept; made_by.json in the folder says what each was made from.",
)
@click.option(
    "--clip",
    help="Name of the clip, for a single source; with --part-minutes the parts are numbered.  [default: the name of "
    "the video]",
)
@click.option(
    "--part-minutes",
    default=10.0,
    type=FiniteRange(0.05),
    help="Length of a clip in minutes: longer videos become several clips, so that an interruption loses little.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace the tracks that are there, whatever they were made from."
)
@click.option(
    "--max-frames",
    type=click.IntRange(1),
    help="Stop each clip after this number of frames; required for a camera.",
)
@track_format_option
@task_options
@recording_options
@camera_options
@offline_option
def poses(
    uris: tuple[str, ...],
    output: Path,
    clip: str | None,
    part_minutes: float,
    overwrite: bool,
    max_frames: int | None,
    form: TrackFormat,
    workers: int | None,
    ray_address: str | None,
    offline: bool,
    **values: str | None,
) -> None:
    """Find and track the people of videos and write pose tracks, to train on one's own camera.

    A video that cannot be read is reported and the others are still processed. A second run continues an
    interrupted one.
    """
    options = resolved(people_options(values))
    if any(needs_poses(uri) for uri in uris):
        finding = {MEDIAPIPE: ["mediapipe"], BUNDLE: ["onnxruntime", "cv2"]}.get(options.estimator, [])
        require_packages({"edge": ["av", *finding, "trackers"]})
    named = _named(uris, clip, max_frames)
    if any(needs_poses(uri) for uri in uris) and options.estimator == MEDIAPIPE and not options.pose_model:
        bring_pose_model(offline)
    tell_assumed_rate((uri for uri, _ in named), options.fps)
    failed: dict[str, str] = {}
    sources = [
        PoseTask(uri, name, output.resolve(), 0.0, None, max_frames, options, form) for uri, name in named
    ]
    tasks = _parts(sources, 60 * part_minutes, failed)
    check_distinct((task.uri, task.clip) for task in tasks)
    remaining = claim(output.resolve(), tasks, _ADVICE, overwrite) if tasks else []
    if len(remaining) < len(tasks):
        click.echo(f"{len(tasks) - len(remaining)} of {len(tasks)} clips are there already")
    if len(remaining) == 1:
        remaining = [replace(remaining[0], progress=True)]
    people, frames = 0, 0
    done = runner(workers, ray_address)(find_poses, remaining)
    for outcome in done if len(remaining) == 1 else track(done, "poses, clips", len(remaining)):
        record_outcome(outcome.task, outcome.result)
        if outcome.result is None:
            failed[outcome.task.clip] = str(outcome.error)
            continue
        people, frames = people + outcome.result.people, frames + outcome.result.frames
        click.echo(_line(outcome, output))
    for name, message in failed.items():
        logger.warning("skipped: %s: %s", name, message)
    if failed and len(failed) == len(named) and not frames:
        raise InputError(next(iter(failed.values())))
    if remaining and not people and not failed:
        where = _shown(remaining[0].uri) if len(named) == 1 else f"{len(remaining)} clips"
        raise InputError(f"Nobody was found in the {frames} frames of {where}.")
    if failed:
        made = sum(task.clip not in failed for task in tasks)
        click.echo(f"{output}: {made} clips, {len(failed)} sources failed")


def _named(uris: tuple[str, ...], clip: str | None, max_frames: int | None) -> list[tuple[str, str]]:
    """Return all videos with the names of their clips.

    Raises:
        InputError: two have the same name, one is not there or may hold a secret, or a camera has no end.
    """
    refuse_secrets(uris)
    if clip is not None and len(uris) > 1:
        raise InputError("--clip names a single source; give one --source.")
    named = list(dict.fromkeys(pair for uri in uris for pair in named_videos(uri, clip)))
    check_distinct(named)
    if max_frames is None and any(is_live(uri) for uri, _ in named):
        raise InputError("A camera has no end: set the number of frames to record with --max-frames.")
    for uri, _ in named:
        check_present(uri)
    return named


def _parts(sources: list[PoseTask], seconds: float, failed: dict[str, str]) -> list[PoseTask]:
    """Return the parts of each source; `failed` takes the error of one that cannot be read, by its clip."""
    parts = []
    for source in sources:
        try:
            parts += split_into_parts(source, seconds)
        except InputError as error:
            failed[source.clip] = error.message
    return parts


def _line(outcome: Outcome[PoseTask, PoseCounts], output: Path) -> str:
    found, task = outcome.result, outcome.task
    assert found is not None
    rate = ""
    if found.rate:
        low, high = f"{found.rate.low:.3g}", f"{found.rate.high:.3g}"
        rate = f", {found.rate.fps:.3g} frames per second" + (f" ({low} to {high})" if low != high else "")
    return (
        f"{_shown(task.uri)}: {found.frames} frames, {found.poses} poses of {found.people} people{rate} -> "
        f"{output / task.clip}"
    )


def _shown(uri: str) -> str:
    return readable(Path(redacted(uri)))
