"""Records skeletons as pose tracks, to train and to calibrate on a camera's own recordings; no pixel is stored."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import measured_rate
from daflow.core.data.parquet_tracks import require_pyarrow
from daflow.core.data.track_names import TrackFormat, written_track_path
from daflow.core.data.tracks import Clip, Track, write_clips
from daflow.core.errors import InputError
from runtime.pipeline.results import FrameResult
from runtime.sources.frames import Keypoints

logger = logging.getLogger(__name__)

_SECONDS = 300.0
_WRITE_SECONDS = 45.0  # with the time to write, at most a minute is lost when the process is killed
_CLOSE_SECONDS = 10.0  # wait for a slow disk at the end
_CAPACITY = 64  # clips that wait for a slow disk

_Poses = list[tuple[int, Keypoints]]


@dataclass(frozen=True)
class _Unwritten:
    """What a file is to hold: the poses of one camera, by person and frame, and when each frame was seen."""

    name: str
    people: dict[int, _Poses]
    size: FrameSize
    frames: list[int]
    times: list[float]

    def clip(self) -> Clip:
        tracks = tuple(_track(person, poses) for person, poses in sorted(self.people.items()))
        return Clip(self.name, tracks, self.size, measured_rate(self.frames, self.times))


class _Piece:
    """The poses of one camera since its last file."""

    def __init__(self, name: str, result: FrameResult) -> None:
        self.name = name
        self.size: FrameSize = result.frame.size
        self.begin = result.frame.time
        self.written = result.frame.time
        self.first = result.frame.index
        self.people: dict[int, _Poses] = {}
        self.frames: list[int] = []
        self.times: list[float] = []
        self.seen: tuple[float, float] | None = None
        """When somebody was seen first and last."""

    @property
    def seconds(self) -> float:
        """From the first to the last frame with people."""
        return self.seen[1] - self.seen[0] if self.seen else 0.0

    def ends_before(self, result: FrameResult) -> bool:
        frame = result.frame
        return (
            not 0 <= frame.time - self.begin < _SECONDS or frame.size != self.size or frame.index < self.first
        )

    def add(self, result: FrameResult) -> None:
        self.frames.append(result.frame.index)
        self.times.append(result.frame.time)
        for person in result.people:
            pose = (result.frame.index - self.first, person.keypoints)
            self.people.setdefault(person.person, []).append(pose)
        if result.people:
            self.seen = (self.seen[0] if self.seen else result.frame.time), result.frame.time

    def so_far(self) -> _Unwritten:
        people = {person: poses[:] for person, poses in self.people.items()}
        return _Unwritten(self.name, people, self.size, self.frames[:], self.times[:])


class TrackRecorder:
    """A sink that writes each camera's skeletons to a pose track file every five minutes, in a thread of its own.

    The files are named `<camera>_<UTC time of the first frame>`, in a folder for each month such as 202611. A second
    one that begins in the same second gets `-2`. There is no file for five minutes without people. One that is not
    complete yet is written whole again each 45 seconds, so that a killed process or lost power takes at most a minute.
    The frame rate that was really processed is written beside them, or into them where they are Parquet.

    Args:
        folder: of the files.
        form: of the files.

    Raises:
        InputError: the form is Parquet, and pyarrow is not installed.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path, form: TrackFormat = "json") -> None:
        if form == "parquet":
            require_pyarrow()
        self._folder = folder
        self._form = form
        self._pieces: dict[str, _Piece] = {}
        self._unwritten: dict[str, _Unwritten] = {}  # by name: of one file only the newest state waits
        # By camera: the second of its last file, and its number in it.
        self._names: dict[str, tuple[str, int]] = {}
        self._recorded: dict[
            str, tuple[float, int]
        ] = {}  # by camera, in pieces that have ended: seconds, people
        self._changed = threading.Condition()
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        piece, time = self._pieces.get(result.camera), result.frame.time
        if piece is None or piece.ends_before(result):
            self._submit(result.camera, piece)
            if piece is not None:
                seconds, people = self._recorded.get(result.camera, (0.0, 0))
                self._recorded[result.camera] = seconds + piece.seconds, people + len(piece.people)
            piece = self._pieces[result.camera] = _Piece(self._new_name(result), result)
        elif time - piece.written >= _WRITE_SECONDS:
            piece.written = time
            self._submit(result.camera, piece)
        piece.add(result)

    def recorded(self, camera: str) -> dict[str, Any]:
        """Return how many `seconds` with people and how many `people` were recorded of a camera since the start.

        People are counted as tracks. It may be called from any thread.
        """
        piece, (seconds, people) = self._pieces.get(camera), self._recorded.get(camera, (0.0, 0))
        if piece is not None:
            seconds, people = seconds + piece.seconds, people + len(piece.people)
        return {"seconds": round(seconds, 1), "people": people}

    def _new_name(self, result: FrameResult) -> str:
        """Return a name that no file has: two may begin in one second, after each other or in two runs."""
        time = datetime.fromtimestamp(result.frame.utc, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        first = f"{result.camera}_{time}"
        last, number = self._names.get(result.camera, ("", 0))
        number = number + 1 if first == last else 1
        while written_track_path(self._folder_of(first), _numbered(first, number)).exists():
            number += 1
        self._names[result.camera] = first, number
        return _numbered(first, number)

    def _folder_of(self, name: str) -> Path:
        return self._folder / name.rpartition("_")[2][:6]

    def _submit(self, camera: str, piece: _Piece | None) -> None:
        if piece is None or not piece.people:
            return
        with self._changed:
            if len(self._unwritten) >= _CAPACITY and piece.name not in self._unwritten:
                logger.error(
                    "camera %s: %s was not recorded, because the disk is too slow or full", camera, piece.name
                )
                return
            self._unwritten[piece.name] = piece.so_far()
            self._changed.notify_all()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unwritten or self._closed)
                if not self._unwritten:
                    return
                unwritten = self._unwritten.pop(next(iter(self._unwritten)))
            try:
                write_clips(self._folder_of(unwritten.name), [unwritten.clip()], self._form)
            except OSError as error:
                logger.error("%s was not recorded: %s", unwritten.name, error.strerror or error)
            except InputError as error:
                logger.error("%s was not recorded: %s", unwritten.name, error.message)

    def __enter__(self) -> TrackRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        for camera, piece in self._pieces.items():
            self._submit(camera, piece)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _track(person: int, poses: _Poses) -> Track:
    keypoints = np.stack([pose for _, pose in poses])
    frames = np.array([frame for frame, _ in poses], dtype=np.int64)
    return Track(person, frames, keypoints, keypoints[..., 2].mean(axis=1))
