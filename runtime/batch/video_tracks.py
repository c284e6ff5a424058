"""The pose tracks of a folder of labelled videos, found once and kept, for `daflow evaluate --videos`."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daflow.core.data.clip_tables import add_frame_sizes, read_frame_sizes
from daflow.core.data.tracks import SUFFIX
from daflow.core.errors import InputError
from daflow.core.files import sha256, write_text
from daflow.core.parallel import run_tasks
from daflow.core.progress import track
from runtime.batch.find_poses import PoseTask, find_poses, named_videos
from runtime.config.schema import CameraOptions
from runtime.sources.video import VideoSource

logger = logging.getLogger(__name__)

_MADE_BY = "made_by.json"


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
) -> VideoTracks:
    """Find the people of a folder's videos as the edge does, and write a track file for each video.

    A track file that is newer than its video is kept, unless it is known to be made with other options or another pose
    model. That is unknown for the files of `daflow poses`.

    Args:
        videos: the folder; a clip is named as its video.
        folder: of the track files.
        wanted: returns whether the clip of this name is needed.
        people: how people are found; fields of `CameraOptions`.
        workers: processes on this machine; None is one for each core.

    Raises:
        InputError: the folder has no needed video, none can be read, or the pose model is missing.
        OSError: the folder of the tracks cannot be written.
    """
    if not videos.is_dir():
        raise InputError(f"{videos} is not a folder." if videos.exists() else f"There is no folder {videos}.")
    options = CameraOptions.model_validate(dict(people))
    if options.pose_model:
        options = options.model_copy(update={"pose_model": options.pose_model.resolve()})
    found = {name: Path(uri) for uri, name in named_videos(str(videos)) if wanted(name)}
    fps: dict[str, float] = {}
    frames: dict[str, int] = {}
    failed: dict[str, str] = {}
    for name, path in found.items():
        try:
            with VideoSource(path) as source:
                fps[name] = source.fps
                if source.frames:
                    frames[name] = source.frames
        except InputError as error:
            failed[name] = error.message
    made_with, made_by, sizes = _options_hash(options), _read_made_by(folder), read_frame_sizes(folder)
    left = [
        PoseTask(str(found[name].resolve()), name, folder.resolve(), 0.0, None, None, options)
        for name in fps
        if not (
            name in sizes
            and _is_current(folder / f"{name}{SUFFIX}", found[name], made_by.get(name), made_with)
        )
    ]
    for outcome in track(run_tasks(find_poses, left, workers), "poses, clips", len(left)):
        name = outcome.task.clip
        if outcome.result is None:
            failed[name] = str(outcome.error)
            continue
        add_frame_sizes(folder, {name: outcome.result.frame_size})
        made_by[name] = [made_with, sha256(folder / f"{name}{SUFFIX}")]
        write_text(folder / _MADE_BY, json.dumps(made_by, indent=1, sort_keys=True) + "\n")
        frames[name] = outcome.result.frames
    for name, message in failed.items():
        logger.warning("skipped: %s: %s", name, message)
    if failed and len(failed) == len(found):
        raise InputError(f"No video of {videos} can be used. {next(iter(failed.values()))}")
    return VideoTracks(fps, frames, len(fps) - len(left), failed)


def _options_hash(options: CameraOptions) -> str:
    """Return a hash of what determines the tracks: the pose model and how people are found."""
    facts = options.model_dump(mode="json", include={"people", "max_people", "estimator"})
    if options.pose_model and options.pose_model.is_file():
        facts["pose_model"] = sha256(options.pose_model)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _read_made_by(folder: Path) -> dict[str, list[str]]:
    """Read what made each track file, and that file's hash, by clip name; damaged entries are ignored."""
    try:
        content = json.loads((folder / _MADE_BY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: entry for name, entry in content.items() if isinstance(entry, list) and len(entry) == 2}


def _is_current(tracks: Path, video: Path, made_by: list[str] | None, made_with: str) -> bool:
    if not tracks.is_file() or tracks.stat().st_mtime < video.stat().st_mtime:
        return False
    return made_by is None or made_by[0] == made_with or made_by[1] != sha256(tracks)
