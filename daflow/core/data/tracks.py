"""Pose tracks: who was where in each frame of a clip, read from and written to one file a clip, as JSON or as Parquet.

`json_tracks` is the form of the field, which carries neither the size of the video frame, which normalising needs, nor
the frame rate, which makes a number of frames a time: both are in tables beside the files
(`daflow.core.data.clip_tables`). `parquet_tracks` is the fast form, which carries both. The name of a file says which
it is (`track_names`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daflow.core.data.clip import Clip, Track
from daflow.core.data.clip_tables import (
    FrameSize,
    add_frame_rates,
    add_frame_sizes,
    read_frame_rates,
    read_frame_sizes,
    require_frame_size,
)
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.json_tracks import read_json_tracks, write_json_tracks
from daflow.core.data.parquet_tracks import (
    read_parquet_head,
    read_parquet_tracks,
    require_pyarrow,
    write_parquet_tracks,
)
from daflow.core.data.plausibility import ClipFacts, clip_facts, clip_warnings, require_pixels
from daflow.core.data.track_files import Paths, files_by_folder, name_paths
from daflow.core.data.track_names import SUFFIX, TRACK_FORMATS, TrackFormat, clip_name, format_of, track_path
from daflow.core.errors import InputError
from daflow.core.files import StrPath

logger = logging.getLogger(__name__)

__all__ = [
    "DEFAULT_FPS", "DEFAULT_FRAME_SIZE", "MAX_FRAMES", "SUFFIX", "Clip", "Track", "TrackFile", "find_tracks",
    "read_clip", "read_clip_with_facts", "read_clips", "read_each", "read_tracks", "track_file", "write_clips",
    "write_tracks",
]  # fmt: skip

DEFAULT_FRAME_SIZE = (1920, 1080)
MAX_FRAMES = 10_000_000
"""Frames of a clip at most, 4.6 days at 25 per second: a wrong frame number must not make a huge array."""

DEFAULT_FPS = 25.0
"""Frames per second of recordings whose rate is not known."""


@dataclass(frozen=True)
class TrackFile:
    """A pose track file that is not read yet, the frame size of its clip in pixels, and its frame rate if known."""

    path: Path
    frame_size: FrameSize
    rate: FrameRate | None = None

    @property
    def clip(self) -> str:
        """The name of the clip."""
        return clip_name(self.path)

    def read(self) -> Clip:
        """Read the clip.

        Raises:
            InputError: as `read_clip`.
        """
        return read_clip(self.path, self.frame_size, self.rate)


def read_tracks(path: Paths, frame_size: FrameSize | None = None, fps: float | None = None) -> list[Clip]:
    """Read pose tracks: one file, or all files of a folder and of the folders in it; or of several.

    Args:
        path: a pose track file, a folder, or a list of those.
        frame_size: width and height of the video frames in pixels, for every clip; None as `find_tracks`.
        fps: frames per second of every clip; None as `find_tracks`.

    Returns:
        A clip for each file, sorted by name. Invalid files of a folder are logged and skipped.

    Raises:
        InputError: nothing is there, or nothing of it can be read.
    """
    if isinstance(path, (str, os.PathLike)) and Path(path).is_file():
        return [track_file(path, frame_size, fps).read()]
    return read_clips(path, frame_size, fps=fps)


def read_clip(path: StrPath, frame_size: FrameSize | None = None, rate: FrameRate | None = None) -> Clip:
    """Read one pose track file. A person whose poses are invalid is logged and skipped, and so is what is implausible.

    Args:
        path: the file.
        frame_size: width and height of the video frames in pixels; None is what a Parquet file says, else 1920x1080.
        rate: the frame rate; None is what a Parquet file says, and not known of JSON.

    Raises:
        InputError: the file is missing or not a pose track file, none of its persons is valid, or its coordinates are
            not pixels; the message names the file and, where it applies, the person and the frame.
    """
    clip, facts = read_clip_with_facts(path, frame_size, rate)
    for warning in clip_warnings([facts]):
        logger.warning(warning)
    return clip


def read_clip_with_facts(
    path: StrPath, frame_size: FrameSize | None = None, rate: FrameRate | None = None
) -> tuple[Clip, ClipFacts]:
    """Read one pose track file and measure it; `clip_warnings` says what is implausible about many of them at once.

    Args and errors are those of `read_clip`.
    """
    path = Path(path)
    skipped: list[str] = []
    if format_of(path) == "parquet":
        head, tracks = read_parquet_tracks(path)
        frame_size, rate = frame_size or head.frame_size, rate or head.rate
    else:
        tracks, skipped = read_json_tracks(path)
    clip = Clip(clip_name(path), tracks, frame_size or DEFAULT_FRAME_SIZE, rate)
    require_pixels(clip, str(path))
    return clip, clip_facts(clip, skipped)


def find_tracks(
    paths: Paths, frame_size: FrameSize | None = None, fps: float | None = None
) -> list[TrackFile]:
    """List pose track files, sorted by clip name, without reading them.

    Args:
        paths: a folder, or several; each holds `*tracked_person.json` or `*.tracks.parquet`, itself or in folders in
            it, and perhaps `frame_sizes.json` and `frame_rates.json` beside JSON. A track file may be named too.
        frame_size: width and height in pixels of every clip; None takes that of a Parquet file, of JSON that in
            `frame_sizes.json`, else 1920x1080.
        fps: frames per second of every clip; None takes the rate of a Parquet file, of JSON that in
            `frame_rates.json`, and other clips have none.

    Raises:
        InputError: a folder is missing or holds no pose tracks, or two files are of clips with one name.
    """
    require_frame_size(frame_size or DEFAULT_FRAME_SIZE)
    found: dict[str, TrackFile] = {}
    given = FrameRate.constant(fps) if fps else None
    unknown = 0
    for folder, files in files_by_folder(paths).items():
        sizes = {} if frame_size else read_frame_sizes(folder)
        rates = {} if fps else read_frame_rates(folder)
        for path in files:
            name = clip_name(path)
            if name in found:
                raise InputError(
                    f"Two files are of a clip {name}: {found[name].path} and {path}. Rename or remove one, or name "
                    "other folders."
                )
            size, rate = _size_and_rate(path, sizes, rates)
            unknown += not frame_size and size is None
            found[name] = TrackFile(path, frame_size or size or DEFAULT_FRAME_SIZE, given or rate)
    if unknown:
        logger.info(
            "the frame size of %d clips in %s is not known, %dx%d is assumed (set it with --frame-size)",
            unknown, name_paths(paths), *DEFAULT_FRAME_SIZE,
        )  # fmt: skip
    return [found[name] for name in sorted(found)]


def read_each(
    files: Iterable[TrackFile], broken: list[str] | None = None, implausible: list[str] | None = None
) -> Iterator[Clip]:
    """Read track files one after the other; invalid ones are logged and skipped.

    Args:
        files: what to read.
        broken: takes the message of each file that is skipped.
        implausible: takes the warnings about all of them, which are logged after the last one.
    """
    found: list[ClipFacts] = []
    for file in files:
        try:
            clip, facts = read_clip_with_facts(file.path, file.frame_size, file.rate)
        except InputError as error:
            logger.warning("skipped: %s", error.message)
            if broken is not None:
                broken.append(error.message)
        else:
            found.append(facts)
            yield clip
    warnings = clip_warnings(found)
    for warning in warnings:
        logger.warning(warning)
    if implausible is not None:
        implausible.extend(warnings)


def read_clips(
    paths: Paths,
    frame_size: FrameSize | None = None,
    broken: list[str] | None = None,
    fps: float | None = None,
) -> list[Clip]:
    """Read every pose track file of folders, sorted by clip name; invalid files are logged and skipped.

    Args:
        paths: as for `find_tracks`.
        frame_size: as for `find_tracks`.
        broken: takes the message of each file that is skipped.
        fps: as for `find_tracks`.

    Raises:
        InputError: as for `find_tracks`, or no file can be read.
    """
    broken = [] if broken is None else broken
    clips = list(read_each(find_tracks(paths, frame_size, fps), broken))
    if not clips:
        raise InputError(f"No pose track file in {name_paths(paths)} can be read. {broken[0]}")
    return clips


def track_file(path: StrPath, frame_size: FrameSize | None = None, fps: float | None = None) -> TrackFile:
    """Return a track file with the frame size and rate that it or the tables beside it say, unless others are given."""
    path = Path(path)
    size, rate = _size_and_rate(path, read_frame_sizes(path.parent), read_frame_rates(path.parent))
    return TrackFile(path, frame_size or size or DEFAULT_FRAME_SIZE, FrameRate.constant(fps) if fps else rate)


def _size_and_rate(
    path: Path, sizes: Mapping[str, FrameSize], rates: Mapping[str, FrameRate]
) -> tuple[FrameSize | None, FrameRate | None]:
    """Return what is known of a clip: from the file itself if it is Parquet, else from the tables beside it."""
    if format_of(path) == "json":
        return sizes.get(clip_name(path)), rates.get(clip_name(path))
    require_pyarrow(path)
    try:
        head = read_parquet_head(path)
    except InputError:
        return None, None  # a damaged file is told and skipped when it is read
    return head.frame_size, head.rate


def write_clips(folder: StrPath, clips: Sequence[Clip], form: TrackFormat = "json") -> None:
    """Write each clip's track file; of JSON also add to the tables of frame sizes and rates. Files are written whole.

    Raises:
        InputError: as `write_tracks`.
        OSError: the folder cannot be written.
    """
    for clip in clips:
        write_tracks(folder, clip, form)
    if form == "parquet":
        return
    add_frame_sizes(folder, {clip.name: clip.frame_size for clip in clips})
    if rates := {clip.name: clip.rate for clip in clips if clip.rate}:
        add_frame_rates(folder, rates)


def write_tracks(folder: StrPath, clip: Clip, form: TrackFormat = "json") -> None:
    """Write a clip's track file alone, whole or not at all. It takes the place of that in the other form.

    Raises:
        InputError: the clip cannot be Parquet, see `write_parquet_tracks`.
        OSError: the folder cannot be written.
    """
    path = track_path(folder, clip.name, form)
    if form == "parquet":
        write_parquet_tracks(path, clip)
    else:
        write_json_tracks(path, clip.tracks)
    for other in TRACK_FORMATS:
        if other != form:
            track_path(folder, clip.name, other).unlink(missing_ok=True)
