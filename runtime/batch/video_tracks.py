"""The pose tracks of a folder of labelled videos, found once and kept, for `daflow evaluate --videos`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daflow.core.data.track_names import written_track_path
from daflow.core.data.tracks import track_file
from daflow.core.errors import InputError
from daflow.core.parallel import run_tasks
from daflow.core.progress import track
from runtime.batch.clip_names import check_distinct, named_videos
from runtime.batch.find_poses import find_poses, record_outcome
from runtime.batch.made_by import all_by_hand, claim, read_made_by
from runtime.batch.pose_task import PoseTask
from runtime.batch.recordings import recording_extent, recording_rate, tell_assumed_rate
from runtime.config.schema import CameraOptions
from runtime.poses.estimators import MEDIAPIPE, resolved

logger = logging.getLogger(__name__)

_ADVICE = "choose another folder with --tracks"


@dataclass(frozen=True)
class VideoTracks:
    """The result of finding the tracks of videos.

    Attributes:
        fps: frames per second of each video, by clip name.
        frames: number of frames of each video, if known.
        kept: number of track files that were there already.
        failed: why videos could not be read, by clip name.
    """

    fps: dict[str, float]
    frames: dict[str, int]
    kept: int
    failed: dict[str, str]


def track_videos(
    videos: Path,
    folder: Path,
    wanted: Callable[[str], bool],
    people: Mapping[str, Any],
    workers: int | None = None,
    bring_model: Callable[[], object] = lambda: None,
) -> VideoTracks:
    """Find the people of a folder's videos as the edge does, and write a track file for each video.

    A track file is kept if it was made from the same video with the same options and pose model, see
    `runtime.batch.made_by`.

    Args:
        videos: the folder of videos and of folders of images; a clip is named as its recording.
        folder: of the track files.
        wanted: returns whether the clip of this name is needed.
        people: how people are found and videos are read; fields of `CameraOptions`.
        workers: processes on this machine; None is one for each core.
        bring_model: called where people have to be found and no pose model is given.

    Raises:
        InputError: the folder has no needed video, none can be read, the pose model is missing, or there are track
            files of other videos of the same name.
        OSError: the folder of the tracks cannot be written.
    """
    if not videos.is_dir():
        raise InputError(f"{videos} is not a folder." if videos.exists() else f"There is no folder {videos}.")
    options = resolved(CameraOptions.model_validate(dict(people)))
    named = [(uri, name) for uri, name in named_videos(str(videos)) if wanted(name)]
    check_distinct(named)
    tell_assumed_rate((uri for uri, _ in named), options.fps)
    failed: dict[str, str] = {}
    fps: dict[str, float] = {}
    tasks = []
    for uri, name in named:
        path = Path(uri).resolve()
        try:
            rate = recording_rate(path, options.fps)
        except InputError as error:
            failed[name] = error.message
            continue
        fps[name] = rate.fps
        tasks.append(PoseTask(str(path), name, folder.resolve(), 0.0, None, None, options, rate=rate))
    if (
        options.estimator == MEDIAPIPE
        and options.pose_model is None
        and not all_by_hand(folder.resolve(), tasks)
    ):
        bring_model()
    remaining = claim(folder.resolve(), tasks, _ADVICE, all_parts=False) if tasks else []
    for outcome in track(run_tasks(find_poses, remaining, workers), "poses, clips", len(remaining)):
        record_outcome(outcome.task, outcome.result)
        if outcome.result is None:
            failed[outcome.task.clip] = str(outcome.error)
    for name, message in failed.items():
        logger.warning("skipped: %s: %s", name, message)
    if failed and len(failed) == len(named):
        raise InputError(f"No video of {videos} can be used. {next(iter(failed.values()))}")
    fps |= _measured_rates(folder, fps)
    origins = read_made_by(folder)
    frames = {}
    for task in tasks:
        origin = origins.get(task.clip)
        if origin is not None and origin.frames is not None:
            frames[task.clip] = origin.frames
        elif task.rate is not None and task.clip not in failed:
            frames[task.clip] = round(recording_extent(Path(task.uri), task.rate).seconds * task.rate.fps)
    return VideoTracks(fps, frames, len(tasks) - len(remaining), failed)


def _measured_rates(folder: Path, names: Iterable[str]) -> dict[str, float]:
    """Return the frames per second that the track files of clips tell, by name."""
    paths = {name: written_track_path(folder, name) for name in names}
    rates = {name: track_file(path).rate for name, path in paths.items() if path.is_file()}
    return {name: rate.fps for name, rate in rates.items() if rate}
