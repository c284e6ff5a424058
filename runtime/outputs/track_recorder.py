"""Records skeletons as pose tracks, to train and to calibrate on a camera's own recordings; no pixel is stored."""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from daflow.core.data.tracks import SUFFIX, Clip, FrameSize, Track, write_clips
from daflow.core.errors import InputError
from runtime.pipeline.results import FrameResult
from runtime.sources.frames import Keypoints

logger = logging.getLogger(__name__)

_SECONDS = 300.0
_CLOSE_SECONDS = 10.0  # wait for a slow disk at the end
_CAPACITY = 64  # clips that wait for a slow disk


class _Piece:
    """The poses of one camera since its last file."""

    def __init__(self, result: FrameResult) -> None:
        self.size: FrameSize = result.frame.size
        self.begin = result.frame.time
        self.utc = result.frame.utc
        self.first = result.frame.index
        self.people: dict[int, list[tuple[int, Keypoints]]] = {}

    def ends_before(self, result: FrameResult) -> bool:
        frame = result.frame
        return (
            not 0 <= frame.time - self.begin < _SECONDS or frame.size != self.size or frame.index < self.first
        )

    def add(self, result: FrameResult) -> None:
        for person in result.people:
            pose = (result.frame.index - self.first, person.keypoints)
            self.people.setdefault(person.person, []).append(pose)

    def clip(self, camera: str) -> Clip:
        time = datetime.fromtimestamp(self.utc, timezone.utc).strftime("%Y%m%dT%H%M%S")
        tracks = tuple(_track(person, poses) for person, poses in sorted(self.people.items()))
        return Clip(f"{camera}_{time}Z", tracks, self.size)


class TrackRecorder:
    """A sink that writes each camera's skeletons to a pose track file every five minutes, in a thread of its own.

    The files are named `<camera>_<UTC time of the first frame>`, in a folder for each month such as 202611. A
    second one that begins in the same second gets `-2`. There is no file for five minutes without people.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pieces: dict[str, _Piece] = {}
        self._clips: queue.Queue[Clip | None] = queue.Queue(_CAPACITY)
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        piece = self._pieces.get(result.camera)
        if piece is None or piece.ends_before(result):
            self._queue_clip(result.camera, piece)
            piece = self._pieces[result.camera] = _Piece(result)
        piece.add(result)

    def _queue_clip(self, camera: str, piece: _Piece | None) -> None:
        if piece is None or not piece.people:
            return
        try:
            self._clips.put_nowait(piece.clip(camera))
        except queue.Full:
            logger.error(
                "camera %s: five minutes were not recorded, because the disk is too slow or full", camera
            )

    def _write(self) -> None:
        while (clip := self._clips.get()) is not None:
            try:
                folder = self._folder / clip.name.rpartition("_")[2][:6]
                write_clips(folder, [replace(clip, name=_unused_name(folder, clip.name))])
            except OSError as error:
                logger.error("%s was not recorded: %s", clip.name, error.strerror or error)
            except InputError as error:
                logger.error("%s was not recorded: %s", clip.name, error.message)

    def __enter__(self) -> TrackRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        for camera, piece in self._pieces.items():
            self._queue_clip(camera, piece)
        with contextlib.suppress(queue.Full):
            self._clips.put(None, timeout=_CLOSE_SECONDS)
        self._thread.join(_CLOSE_SECONDS)


def _unused_name(folder: Path, name: str) -> str:
    """Return a name of a clip that has no file yet: a camera may change its size twice in a second."""
    names = (name if number == 1 else f"{name}-{number}" for number in itertools.count(1))
    return next(free for free in names if not (folder / f"{free}{SUFFIX}").exists())


def _track(person: int, poses: list[tuple[int, Keypoints]]) -> Track:
    keypoints = np.stack([pose for _, pose in poses])
    frames = np.array([frame for frame, _ in poses], dtype=np.int64)
    return Track(person, frames, keypoints, keypoints[..., 2].mean(axis=1))
