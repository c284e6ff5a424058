"""Recordings of other pose estimators where a command takes pose tracks: recognised, and converted for this one run."""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from daflow.core.data.clip_tables import FrameSize, read_frame_rates, read_frame_sizes
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.other_formats import convert_advice
from daflow.core.data.track_files import holds_tracks
from daflow.core.data.track_names import written_track_path
from daflow.core.data.tracks import write_clips
from daflow.core.errors import InputError
from daflow.core.progress import track as progress
from daflow.formats.assemble import Converted, assemble, have_numbers
from daflow.formats.recognise import read_source
from daflow.formats.recording import Options, Recording
from daflow.formats.sources import Source, find_sources
from daflow.formats.tracking import Tracker

logger = logging.getLogger(__name__)

POSES_HELP = (
    "Folder of pose tracks, and of folders of them; or of what another pose estimator wrote, as 'daflow convert' reads "
    "it. May be repeated."
)


def new_tracker(fps: float) -> Tracker:
    """Return the tracker of the edge, for people without numbers."""
    from runtime.poses.tracker import SkeletonTracker

    # Nothing that was found is lost: a file has no false people to wait for.
    return SkeletonTracker(fps, min_frames=1)


def size_and_rate(
    source: Source, recording: Recording, name: str, frame_size: FrameSize | None, fps: float | None
) -> tuple[FrameSize | None, FrameRate | None]:
    """Return what is known of a clip: what was given, else what the recording says, else the tables beside it."""
    folder = source.files[0][1].parent
    size = frame_size or recording.frame_size or read_frame_sizes(folder).get(name)
    rate = FrameRate.constant(fps) if fps else recording.rate or read_frame_rates(folder).get(name)
    return size, rate


def open_poses(
    places: Sequence[Path],
    frame_size: FrameSize | None = None,
    fps: float | None = None,
    broken: list[str] | None = None,
) -> tuple[Path, ...]:
    """Return places of pose tracks: those that are given, and for others a folder that lasts as long as the command.

    A place without pose tracks that holds recordings of other pose estimators is converted, as `daflow convert` does
    it, and a line says what was recognised. Where there is nothing to read, the place is returned: its reader says so.

    Args:
        places: as the options of the running command name them.
        frame_size: width and height of the video frames in pixels, None if it is not given.
        fps: frames per second, None if they are not given.
        broken: takes the message of each recording that is skipped.

    Raises:
        InputError: no recording can be read, or one does not say what it must: the size of the frames, or the frame
            rate where people have no numbers. The message names the command that makes pose tracks of it.
        OSError: the temporary folder cannot be written.
    """
    return tuple(_opened(place, frame_size, fps, [] if broken is None else broken) for place in places)


def _opened(place: Path, frame_size: FrameSize | None, fps: float | None, broken: list[str]) -> Path:
    if not place.exists() or holds_tracks(place):
        return place
    try:
        sources = find_sources([place])
    except InputError:
        return place
    context = click.get_current_context()
    root = Path(context.with_resource(tempfile.TemporaryDirectory(prefix="daflow-")))
    folder = root / place.absolute().name
    recognised: Counter[str] = Counter()
    failed: list[str] = []
    for source in progress(sources, "converting"):
        try:
            for recording in read_source(source, Options()):
                found = _converted(place, source, recording, frame_size, fps)
                if written_track_path(folder, found.clip.name).exists():
                    raise InputError(f"Two recordings of {place} are of a clip {found.clip.name}.")
                write_clips(folder, [found.clip])
                recognised[f"{found.form}, {found.layout} joints, {found.ids}"] += 1
        except _UnsaidError:
            raise  # neither do the others say it
        except InputError as error:
            failed.append(error.message)
    if not recognised:
        raise InputError(f"{failed[0]} {convert_advice(place)}")
    for message in failed:
        logger.warning("skipped: %s", message)
    broken.extend(failed)
    kinds = "; ".join(f"{count} of {kind}" for kind, count in recognised.items())
    logger.info("%s: clips converted for this run: %s", place, kinds)
    return folder


class _UnsaidError(InputError):
    """A recording does not say what is needed."""


def _converted(
    place: Path, source: Source, recording: Recording, frame_size: FrameSize | None, fps: float | None
) -> Converted:
    name = recording.name or source.name
    size, rate = size_and_rate(source, recording, name, frame_size, fps)
    unsaid = {}
    if size is None:
        unsaid["--frame-size WIDTHxHEIGHT"] = "the size of the video frames"
    if rate is None and not have_numbers(recording):
        unsaid["--fps RATE"] = "the frame rate, at which people without numbers are followed"
    if unsaid:
        raise _UnsaidError(
            f"{source.place} is a recording of another pose estimator ({recording.form}) and does not say "
            f"{' and '.join(unsaid.values())}. Make pose tracks of it with: "
            f"daflow convert {shlex.quote(str(place))} -o FOLDER {' '.join(unsaid)}"
        )
    return assemble(name, recording, Options(), new_tracker, size, rate)
