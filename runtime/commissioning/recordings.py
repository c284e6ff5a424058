"""The recordings of cameras that are commissioned: `recordings/<run>/` in their folder, and what is in them.

A run that watches a recording in the place of a camera is marked as incomplete until the recording has ended: what was
killed on the way is watched again from its beginning, and would be there twice. It stays marked as a recording: its
people were seen faster than time, so that times in it are not those of a clock. A mark is of one camera,
`INCOMPLETE.<camera>`; without a name, as older versions wrote it, it is of all.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from daflow.core.data.track_files import holds_tracks
from daflow.core.data.track_names import clip_name
from daflow.core.data.tracks import DEFAULT_FPS, TrackFile, find_tracks
from daflow.core.errors import InputError
from runtime.commissioning.measured_files import MeasuredFiles
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
    """All recordings of the cameras of a folder.

    Args:
        folder: in which they are commissioned.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / _FOLDER
        self._known = MeasuredFiles(self.folder / "measured.json")

    def files(self, camera: str | None = None) -> list[TrackFile]:
        """Return the pose track files of a camera, in the order of their names; None is of all."""
        found = find_tracks(self.folder) if self.folder.is_dir() and holds_tracks(self.folder) else []
        return [file for file in found if camera is None or camera_of(file.clip) == camera]

    def cameras(self) -> set[str]:
        """Return the names of the cameras that were recorded."""
        return {name for file in self.files() if (name := camera_of(file.clip)) is not None}

    def total(self, camera: str | None = None) -> Recorded:
        """Return what is in all of them, or in those of a camera; a file is read again only when it has changed."""
        parts = [self._known.measure(file, _measure) for file in self.files(camera)]
        self._known.save()
        return Recorded(
            sum(part.seconds for part in parts),
            sum(part.people for part in parts),
            frozenset[int]().union(*(part.hours_of_day for part in parts)),
        )

    def new_run(self, recorded: Iterable[str] = ()) -> Path:
        """Make the folder of a run, after removing what an interrupted run of a recording left; return it.

        Args:
            recorded: the cameras in whose place a recording is watched.

        Raises:
            OSError: it cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for mark in list(self.folder.glob(f"*/{_INCOMPLETE}*")):
            if mark.exists():  # else it went with the run that held nothing of another camera
                self._remove(mark)
        runs = [path for path in self.folder.iterdir() if path.name.isdigit()]
        number = 1 + max((int(path.name) for path in runs), default=0)
        for path in runs:
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()
        self._wait_for_another_second()
        run = self.folder / f"{number:04d}"
        run.mkdir()
        self.mark(run, recorded)
        return run

    def _wait_for_another_second(self) -> None:
        """Wait, for a second at most: names say in which one a recording began, and those of two runs must differ."""
        begun = max((utc.timestamp() for file in self.files() if (utc := _utc_of(file.clip))), default=0.0)
        time.sleep(min(max(begun + 1 - time.time(), 0.0), 1.0))

    def mark(self, run: Path, recorded: Iterable[str]) -> None:
        """Mark a run as incomplete for cameras in whose place a recording is watched."""
        for camera in recorded:
            (run / f"{_INCOMPLETE}.{camera}").touch()

    def _remove(self, mark: Path) -> None:
        run, camera = mark.parent, mark.name.removeprefix(_INCOMPLETE).removeprefix(".")
        others = [path for path in run.glob(f"*/{camera}_*") if camera_of(clip_name(path)) == camera]
        for path in others if camera else ():
            path.unlink()
        mark.unlink()
        if not (camera and holds_tracks(run)):
            shutil.rmtree(run)

    def complete(self, run: Path, recorded: Collection[str]) -> None:
        """Mark a run as complete for cameras whose recording has ended."""
        for camera in recorded:
            if (mark := run / f"{_INCOMPLETE}.{camera}").exists():
                mark.rename(run / f"{_RECORDING}.{camera}")

    def spans(self) -> list[Span]:
        """Return when each recording was made; those whose name does not say so, and broken ones, are left out."""
        return [span for file in self.files() if (span := self._span(file)) is not None]

    def _span(self, file: TrackFile) -> Span | None:
        camera, begin = camera_of(file.clip), _utc_of(file.clip)
        if camera is None or begin is None:
            return None
        try:
            clip = file.read()
        except InputError:
            return None
        fps = clip.rate.fps if clip.rate else DEFAULT_FPS
        first = min((int(track.frames[0]) for track in clip.tracks), default=0) / fps
        last = max((int(track.frames[-1]) for track in clip.tracks), default=0) / fps
        run = self.folder / file.path.relative_to(self.folder).parts[0]
        marks = (mark for kind in (_INCOMPLETE, _RECORDING) for mark in (kind, f"{kind}.{camera}"))
        live = not any((run / mark).exists() for mark in marks)
        utc = begin.timestamp()
        end = utc + last if live else max(utc, file.path.stat().st_mtime)
        return Span(file.clip, camera, utc, end, first, last - first, live)


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


def camera_of(name: str) -> str | None:
    """Return the camera that the name of a recording says; None of other names.

    >>> camera_of("back_door_20261127T080500Z-2"), camera_of("door")
    ('back_door', None)
    """
    return None if _utc_of(name) is None else name.rpartition("_")[0] or None


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
