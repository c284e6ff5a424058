"""The command `daflow poses`: videos become the pose tracks that training reads."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from daflow.core.command_line import FOLDER, Command, FiniteRange, task_options
from daflow.core.data.tracks import (
    SUFFIX,
    Clip,
    FrameSize,
    Track,
    add_frame_sizes,
    read_frame_sizes,
    write_tracks,
)
from daflow.core.errors import InputError
from daflow.core.parallel import Outcome, run_tasks
from daflow.core.progress import track
from runtime.config.options import camera_options, people_options
from runtime.config.schema import CameraOptions
from runtime.poses.people import open_people
from runtime.service.camera_worker import needs_poses
from runtime.sources.frames import Keypoints
from runtime.sources.uri import is_live, open_source, redacted
from runtime.sources.video import VideoSource
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_VIDEOS = {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}


@dataclass(frozen=True)
class PoseTask:
    """A video, or a part of one, to be turned into a track file.

    Attributes:
        uri: the source.
        clip: the name of the clip.
        output: the folder of the track file.
        begin: seconds from the first frame at which the part begins.
        end: seconds at which it ends; None is the end of the video.
        max_frames: stop after so many.
        options: how people are found.
        progress: whether to show how far it is.
    """

    uri: str
    clip: str
    output: Path
    begin: float
    end: float | None
    max_frames: int | None
    options: CameraOptions
    progress: bool = False


@dataclass(frozen=True)
class Found:
    """What a source held."""

    frames: int
    poses: int
    people: int
    frame_size: FrameSize


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
        for clip, begin, end in _parts(uri, name, 60 * part_minutes, max_frames, failed)
    ]
    names = [task.clip for task in tasks]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise InputError(f"Two sources would be the clip {min(doubled)}; rename one of the files.")
    known = set() if overwrite else set(read_frame_sizes(output))
    left = [task for task in tasks if not (task.clip in known and _is_done(task))]
    if len(left) < len(tasks):
        click.echo(f"{len(tasks) - len(left)} of {len(tasks)} clips are there already")
    if len(left) == 1:
        left = [PoseTask(**{**vars(left[0]), "progress": True})]
    people, frames = 0, 0
    done = run_tasks(find_poses, left, workers, ray_address)
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


def find_poses(task: PoseTask) -> Found:
    """Find and track the people of a source, and write its track file; it is empty when nobody was there.

    Raises:
        InputError: the source cannot be read, or there is no pose model.
        OSError: the folder cannot be written or is full.
    """
    people: defaultdict[int, list[tuple[int, Keypoints]]] = defaultdict(list)
    clock, frames, size = StageClock(), 0, (1, 1)
    part = task.begin > 0 or task.end is not None
    opened = VideoSource(Path(task.uri), task.begin, task.end) if part else open_source(task.uri)
    with opened as source, open_people(task.options, source.fps, needs_poses(task.uri)) as finder:
        for frame in (
            track(source, f"poses of {redacted(task.uri)}", source.frames) if task.progress else source
        ):
            for person, keypoints in finder.find(frame, clock).items():
                people[person].append((frame.index, keypoints))
            frames, size = frame.index + 1, frame.size
            if frames == task.max_frames:
                break
    clip = Clip(task.clip, tuple(_track(person, seen) for person, seen in sorted(people.items())), size)
    write_tracks(task.output, clip)
    return Found(frames, clip.poses, len(clip.tracks), size)


def named_videos(uri: str) -> Iterator[tuple[str, str]]:
    """Yield the videos of a source with the names of their clips."""
    folder = Path(uri)
    if not folder.is_dir():
        yield uri, Path(uri.rpartition(":")[2]).stem or "clip"
        return
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _VIDEOS and path.is_file())
    if not videos:
        raise InputError(f"{folder} holds no video ({', '.join(sorted(_VIDEOS))}).")
    for path in videos:
        yield str(path), "_".join(path.relative_to(folder).with_suffix("").parts)


def _parts(
    uri: str, name: str, seconds: float, max_frames: int | None, failed: dict[str, str]
) -> list[tuple[str, float, float | None]]:
    """Return the clips that a source becomes: name, begin and end in seconds."""
    if is_live(uri) and max_frames is None:
        raise InputError("A camera never ends: say how much to record with --max-frames.")
    if is_live(uri) or not needs_poses(uri) or max_frames is not None:
        return [(name, 0.0, None)]
    try:
        with VideoSource(Path(uri)) as source:
            duration = (source.frames or 0) / source.fps
    except InputError as error:
        failed[name] = error.message
        return []
    count = math.ceil(duration / seconds)
    if count < 2:
        return [(name, 0.0, None)]
    ends = [*(seconds * (part + 1) for part in range(count - 1)), None]
    return [(f"{name}_{part:04d}", seconds * part, end) for part, end in enumerate(ends)]


def _is_done(task: PoseTask) -> bool:
    """Whether the clip was made after its video."""
    video, file = Path(task.uri), task.output / f"{task.clip}{SUFFIX}"
    return video.is_file() and file.is_file() and file.stat().st_mtime >= video.stat().st_mtime


def _record(outcome: Outcome[PoseTask, Found], output: Path) -> None:
    found = outcome.result
    assert found is not None
    add_frame_sizes(output, {outcome.task.clip: found.frame_size})
    click.echo(
        f"{redacted(outcome.task.uri)}: {found.frames} frames, {found.poses} poses of {found.people} people -> "
        f"{output / outcome.task.clip}"
    )


def _track(person: int, seen: list[tuple[int, Keypoints]]) -> Track:
    keypoints = np.stack([pose for _, pose in seen]).astype(np.float32)
    frames = np.array([frame for frame, _ in seen], dtype=np.int64)
    return Track(person, frames, keypoints, keypoints[..., 2].mean(axis=1))
