"""Recordings, which are video files or folders of images: their rate, their length, and how a part of one is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from daflow.core.data.tracks import DEFAULT_FPS
from runtime.sources.frames import Source
from runtime.sources.images import ImagesSource, images_in, tell_default_rate
from runtime.sources.uri import is_live, needs_poses, recording_path
from runtime.sources.video import VideoSource
from runtime.sources.video_timing import Extent, VideoRate, extent, video_rate


def recording_rate(path: Path, fps: float | None) -> VideoRate:
    """Return the rate of a recording.

    Args:
        path: a video file or a folder of images.
        fps: what the user says, frames per second; None is a video's own, and 25 of images.

    Raises:
        InputError: the file is missing or is not a video.
    """
    return VideoRate(fps or DEFAULT_FPS) if path.is_dir() else video_rate(path, fps)


def recording_extent(path: Path, rate: VideoRate) -> Extent:
    """Return how long a recording is.

    Raises:
        InputError: it cannot be read.
    """
    if path.is_dir():
        return Extent(len(images_in(path)) / rate.fps, seekable=True)
    return extent(path, rate)


def open_part(path: Path, rate: VideoRate, begin: float, end: float | None, seekable: bool) -> Source:
    """Open a part of a recording; see `VideoSource`.

    Raises:
        InputError: it cannot be read.
    """
    if path.is_dir():
        return ImagesSource(path, rate.fps, begin, end)
    return VideoSource(path, begin, end, rate, seekable)


def tell_assumed_rate(uris: Iterable[str], fps: float | None) -> None:
    """Tell, once for all, that a rate is assumed for folders of images, which have none.

    Args:
        uris: the sources.
        fps: what the user says; then nothing is assumed.
    """
    if fps is not None:
        return
    recordings = (recording_path(uri) for uri in uris if needs_poses(uri) and not is_live(uri))
    tell_default_rate([path for path in recordings if path.is_dir()])
