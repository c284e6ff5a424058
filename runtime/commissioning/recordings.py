"""The recordings of a camera that is commissioned: `recordings/<run>/` in its folder, and what is in them.

A run that watches a recording, and not a camera, is marked as incomplete until the recording has ended: what was killed
on the way is watched again from its beginning, and would be there twice. It stays marked as a recording: its people
were seen faster than time, so that times in it are not those of a clock.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from daflow.core.data.track_files import holds_tracks
from daflow.core.data.tracks import DEFAULT_FPS, TrackFile, find_tracks
from daflow.core.errors import InputError
from runtime.commissioning.needs import Recorded

_INCOMPLETE, _RECORDING = "INCOMPLETE", "RECORDING"
_FOLDER = "recordings"


@dataclass(frozen=True)
class Span:
    """When a recording was made.

    Attributes:
        clip: its name.
        camera: that was watched.
        begin: of its first frame, seconds since 1970.
        end: of its last frame with people.
        first: seconds from its first frame to the first with people.
        seconds: from its first to its last frame with people.
        live: whether a camera was watched; of a recording that was watched, times in it are not those of a clock.
    """

    clip: str
    camera: str
    begin: float
    end: float
    first: float
    seconds: float
    live: bool

    def overlaps(self, begin: float, end: float) -> bool:
        """Whether a time, seconds since 1970, is in it, at least in part."""
        return self.begin <= end and begin <= self.end


class Recordings:
    """All recordings of a camera.

    Args:
        folder: of the camera that is commissioned.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / _FOLDER
        self._known: dict[Path, tuple[tuple[int, int], Recorded]] = {}

    def files(self) -> list[TrackFile]:
        """Return the pose track files, in the order of their names."""
        return find_tracks(self.folder) if self.folder.is_dir() and holds_tracks(self.folder) else []

    def total(self) -> Recorded:
        """Return what is in all of them; a file is read again only when it has changed."""
        parts = [self._recorded(file) for file in self.files()]
        return Recorded(
            sum(part.seconds for part in parts),
            sum(part.people for part in parts),
            frozenset[int]().union(*(part.hours_of_day for part in parts)),
        )

    def new_run(self, live: bool) -> Path:
        """Make the folder of a run, after removing what an interrupted run of a recording left; return it.

        Args:
            live: whether a camera is watched, and not a recording.

        Raises:
            OSError: it cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for mark in self.folder.glob(f"*/{_INCOMPLETE}"):
            shutil.rmtree(mark.parent)
        number = 1 + max((int(p.name) for p in self.folder.iterdir() if p.name.isdigit()), default=0)
        run = self.folder / f"{number:04d}"
        run.mkdir()
        if not live:
            (run / _INCOMPLETE).touch()
        return run

    def complete(self, run: Path) -> None:
        """Mark a run as complete."""
        if (run / _INCOMPLETE).exists():
            (run / _INCOMPLETE).rename(run / _RECORDING)

    def spans(self) -> list[Span]:
        """Return when each recording was made; those whose name does not say so, and broken ones, are left out."""
        return [span for file in self.files() if (span := self._span(file)) is not None]

    def _span(self, file: TrackFile) -> Span | None:
        camera, _, _ = file.clip.rpartition("_")
        begin = _utc_of(file.clip)
        if begin is None:
            return None
        try:
            clip = file.read()
        except InputError:
            return None
        fps = clip.rate.fps if clip.rate else DEFAULT_FPS
        first = min((int(track.frames[0]) for track in clip.tracks), default=0) / fps
        last = max((int(track.frames[-1]) for track in clip.tracks), default=0) / fps
        run = self.folder / file.path.relative_to(self.folder).parts[0]
        live = not any((run / mark).exists() for mark in (_INCOMPLETE, _RECORDING))
        utc = begin.timestamp()
        end = utc + last if live else max(utc, file.path.stat().st_mtime)
        return Span(file.clip, camera, utc, end, first, last - first, live)

    def _recorded(self, file: TrackFile) -> Recorded:
        status = file.path.stat()
        version = (status.st_mtime_ns, status.st_size)
        known = self._known.get(file.path)
        if known is None or known[0] != version:
            known = self._known[file.path] = version, _measure(file)
        return known[1]


def _measure(file: TrackFile) -> Recorded:
    try:
        clip = file.read()
    except InputError:  # training and calibration say what is wrong with it
        return Recorded()
    if not clip.tracks:
        return Recorded()
    first = min(int(track.frames[0]) for track in clip.tracks)
    last = max(int(track.frames[-1]) for track in clip.tracks)
    seconds = (last - first + 1) / (clip.rate.fps if clip.rate else DEFAULT_FPS)
    return Recorded(seconds, len(clip.tracks), frozenset(_hour_of(file.clip)))


def _hour_of(name: str) -> set[int]:
    """Return the hour of the day in local time that the name of a recording says; none of other names.

    >>> len(_hour_of("door_20261127T080500Z-2")), _hour_of("door")
    (1, set())
    """
    utc = _utc_of(name)
    return set() if utc is None else {utc.astimezone().hour}


def _utc_of(name: str) -> datetime | None:
    """Return the time that the name of a recording says, None of other names."""
    text = name.rpartition("_")[2].partition("-")[0]
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
