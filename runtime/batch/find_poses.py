"""Find the poses in recorded videos: a track file for each video or part of a video, as tasks that run in parallel."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daflow.core.data.tracks import (
    SUFFIX,
    Clip,
    FrameSize,
    Track,
    write_tracks,
)
from daflow.core.errors import InputError
from daflow.core.files import require_short_name
from daflow.core.progress import track
from runtime.config.schema import CameraOptions
from runtime.poses.people import open_people
from runtime.sources.frames import Keypoints
from runtime.sources.uri import is_live, needs_poses, open_source, redacted
from runtime.sources.video import VideoSource
from runtime.stage_clock import StageClock

_VIDEOS = {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}


@dataclass(frozen=True)
class PoseTask:
    """A video, or a part of it, for which a track file is made.

    Attributes:
        uri: the source.
        clip: the name of the clip.
        output: the folder of the track file.
        begin: where the part begins, seconds from the first frame.
        end: where it ends; None is the end of the video.
        max_frames: stop after this number of frames.
        options: how people are found.
        progress: whether to show a progress bar.
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
class PoseCounts:
    """What was found in a source: numbers of frames, poses and people, and the frame size in pixels."""

    frames: int
    poses: int
    people: int
    frame_size: FrameSize


def find_poses(task: PoseTask) -> PoseCounts:
    """Find and track the people of a source, and write its track file, which is empty when nobody was found.

    Raises:
        InputError: the source cannot be read, or there is no pose model.
        OSError: the folder cannot be written or is full.
    """
    require_short_name(task.output / f"{task.clip}{SUFFIX}")  # not after an hour of work
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
    return PoseCounts(frames, clip.poses, len(clip.tracks), size)


def named_videos(uri: str) -> Iterator[tuple[str, str]]:
    """Yield the videos of a source with the names of their clips."""
    folder = Path(uri)
    if not folder.is_dir():
        yield uri, Path(uri.rpartition(":")[2]).stem or "clip"
        return
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _VIDEOS and path.is_file())
    if not videos:
        raise InputError(f"{folder} has no video ({', '.join(sorted(_VIDEOS))}).")
    for path in videos:
        yield str(path), "_".join(path.relative_to(folder).with_suffix("").parts)


def split_into_parts(
    uri: str, name: str, seconds: float, max_frames: int | None, failed: dict[str, str]
) -> list[tuple[str, float, float | None]]:
    """Return the clips of a source: name, begin and end in seconds.

    Args:
        uri: the source.
        name: of its clip, to which the number of a part is added.
        seconds: length of a part.
        max_frames: stop after this number of frames; the source is not split then.
        failed: gets the error of a video that cannot be read, by name.

    Raises:
        InputError: a camera without `max_frames`.
    """
    if is_live(uri) and max_frames is None:
        raise InputError("A camera has no end: set the number of frames to record with --max-frames.")
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


def is_done(task: PoseTask) -> bool:
    """Whether the clip was made after its video."""
    video, file = Path(task.uri), task.output / f"{task.clip}{SUFFIX}"
    return video.is_file() and file.is_file() and file.stat().st_mtime >= video.stat().st_mtime


def _track(person: int, seen: list[tuple[int, Keypoints]]) -> Track:
    keypoints = np.stack([pose for _, pose in seen]).astype(np.float32)
    frames = np.array([frame for frame, _ in seen], dtype=np.int64)
    return Track(person, frames, keypoints, keypoints[..., 2].mean(axis=1))
