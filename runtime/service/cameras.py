"""All cameras of the process: started, watched, started again when they fail or stand still, and stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daflow.core.bundle import Manifest
from daflow.core.errors import CheckFailed, InputError
from runtime.config.schema import Camera
from runtime.json_values import iso
from runtime.pipeline.results import Result
from runtime.pipeline.stages import Observation
from runtime.service.camera_worker import CameraWorker, Moment, Watched
from runtime.service.frame_queue import Inbox
from runtime.sources.frames import Frame
from runtime.sources.redaction import redacted
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds until a camera that failed is started again
_MOST_STUCK = 5
"""Threads that stand still at the same time, each with its pose model, before the process has to begin anew."""
_ABSENT = ("connecting", "lost")


@dataclass
class _Berth:
    """The place of a camera, whichever thread reads it at the moment."""

    options: Camera
    worker: CameraWorker | None = None
    restarts: int = 0
    wait: float = _FIRST_WAIT
    next_start: float = 0.0
    frames_before: int = 0
    failure: str | None = None
    since: float = field(default_factory=time.time)
    last: Moment | None = None

    def release(self) -> CameraWorker | None:
        """Let the worker go; remember where its stream was."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.abandon()
            self.frames_before += worker.frames
            self.last = worker.last
        return worker


class Fleet:
    """The cameras by name.

    Args:
        manifest: of the bundle, which says how long windows are.
        inbox: where the windows go.
        keep_pictures: whether anything needs the pictures after the poses are found.
        stall_seconds: how long a stage may stand still.
        max_frames: stop each camera after so many frames.
    """

    def __init__(
        self,
        manifest: Manifest,
        inbox: Inbox[Watched],
        keep_pictures: bool,
        stall_seconds: float,
        max_frames: int | None = None,
    ) -> None:
        self.manifest = manifest
        self.stall_seconds = stall_seconds
        self._inbox = inbox
        self._keep_pictures = keep_pictures
        self._max_frames = max_frames
        self._berths: dict[str, _Berth] = {}
        self._stuck: list[CameraWorker] = []

    def add(self, name: str, options: Camera, progress: bool = False) -> None:
        """Open a camera; it reads from `start` on.

        Raises:
            InputError: a recording, pose model or package is missing, or an option is wrong.
        """
        self._berths[name] = _Berth(options, self._open(name, options, progress))

    def change(self, name: str, options: Camera) -> None:
        """Read a camera with other options, or a new one, at once; what cannot be opened is tried again later."""
        berth = self._berths.setdefault(name, _Berth(options))
        self._let_go(berth, wait=1)
        berth.options, berth.wait, berth.next_start = options, _FIRST_WAIT, 0.0
        self._try_again(name, berth)

    def start(self) -> None:
        """Begin to read the cameras that were added."""
        for berth in self._berths.values():
            if berth.worker is not None and not berth.worker.started:
                berth.worker.start()

    def __contains__(self, name: str) -> bool:
        return name in self._berths

    def fps(self, name: str) -> float:
        """The nominal rate of a camera, frames a second."""
        worker = self._berths[name].worker
        return worker.source.fps if worker else 25.0

    @property
    def capacity(self) -> int:
        """How many frames can wait to be scored."""
        return sum(berth.worker.room for berth in list(self._berths.values()) if berth.worker is not None)

    def remove(self, *names: str) -> None:
        """Stop cameras."""
        for name in names:
            self._let_go(self._berths.pop(name), wait=0)

    def _let_go(self, berth: _Berth, wait: float) -> None:
        """Stop the thread of a camera; wait so many seconds for it to free the device."""
        worker = berth.release()
        if worker is not None:
            worker.stop(timeout=wait)
            self._stuck.append(worker)

    def stop(self) -> None:
        """Stop all cameras, side by side."""
        workers = [berth.worker for berth in self._berths.values() if berth.worker is not None]
        for worker in workers:
            worker.stop(timeout=0)
        for worker in workers:
            worker.stop()

    @property
    def ended(self) -> bool:
        """Whether every camera has come to its end; a live one never does."""
        return all(berth.worker is not None and _is_over(berth.worker) for berth in self._berths.values())

    def failures(self) -> dict[str, str]:
        """Why recordings broke off, by camera."""
        found = {
            name: b.worker.error or "" for name, b in self._berths.items() if b.worker and _is_over(b.worker)
        }
        return {name: error for name, error in found.items() if error}

    def frames(self, name: str) -> int:
        """Frames of a camera that were handed over in this run."""
        berth = self._berths[name]
        return berth.frames_before + (berth.worker.frames if berth.worker else 0)

    def clocks(self) -> Iterator[StageClock]:
        """The clocks of all cameras."""
        for berth in list(self._berths.values()):
            if berth.worker is not None:
                yield berth.worker.clock

    def tend(self, latest: Mapping[str, Result]) -> None:
        """Start again what failed or stands still, and end the alarms of cameras that are lost.

        Raises:
            CheckFailed: so many threads stand still that the process has to begin anew.
        """
        self._stuck = [worker for worker in self._stuck if not worker.ended]
        # Others only need a moment to end, such as after a reload that changed many cameras.
        stuck = sum(worker.stalled(self.stall_seconds) is not None for worker in self._stuck)
        if stuck >= _MOST_STUCK:
            raise CheckFailed(f"{stuck} threads of cameras stand still; start daflow-edge again.")
        for name, berth in list(self._berths.items()):
            worker = berth.worker
            if worker is None:
                self._try_again(name, berth)
            elif worker.ended and worker.error and worker.live:
                logger.error("camera %s: %s; it is started again", name, worker.error)
                self._set_aside(berth, worker.error)
            elif stage := worker.stalled(self.stall_seconds):
                logger.error("camera %s stands still at %s; it is started again", name, stage)
                self._set_aside(berth, f"{stage} stood still")
            elif worker.age > _LONGEST_WAIT:
                berth.wait, berth.failure = _FIRST_WAIT, None
            result = latest.get(name)
            if result is not None and result.alarm and _is_absent(berth.worker):
                self._see_nobody(name, berth)

    def _set_aside(self, berth: _Berth, failure: str) -> None:
        worker = berth.release()
        if worker is not None:
            self._stuck.append(worker)
        berth.failure, berth.since = failure, time.time()
        berth.restarts += 1
        berth.next_start = time.monotonic() + berth.wait
        berth.wait = min(2 * berth.wait, _LONGEST_WAIT)

    def _try_again(self, name: str, berth: _Berth) -> None:
        if time.monotonic() < berth.next_start:
            return
        try:
            berth.worker = self._open(name, berth.options, after=berth.last)
        except InputError as error:
            berth.next_start = time.monotonic() + berth.wait
            berth.wait = min(2 * berth.wait, _LONGEST_WAIT)
            if error.message != berth.failure:
                logger.error("camera %s: %s; it is tried again", name, error.message)
            berth.failure = error.message
            return
        berth.worker.start()

    def _open(
        self, name: str, options: Camera, progress: bool = False, after: Moment | None = None
    ) -> CameraWorker:
        manifest = self.manifest
        return CameraWorker(
            name, options, manifest.window, manifest.max_missing, self._inbox, self._keep_pictures,
            self._max_frames, progress, after,
        )  # fmt: skip

    def _see_nobody(self, name: str, berth: _Berth) -> None:
        """An alarm ends although no frame comes: a camera that is lost sees nobody."""
        last = berth.worker.last if berth.worker else berth.last
        if last is None:
            return
        frame = Frame(last.frame, last.now(), last.size, None, {}, time.time())
        poses = np.zeros((0, 2, self.manifest.window, 18), dtype=np.float32)
        self._inbox.offer(name, Watched(None, Observation(frame, {}, {}, poses, 0)), room=1)

    def snapshot(self, name: str) -> dict[str, Any]:
        """Return how a camera is doing, for `runtime.service.health`."""
        berth = self._berths[name]
        worker = berth.worker
        facts = {
            "source": redacted(berth.options.source), "restarts": berth.restarts, "frames": self.frames(name),
        }  # fmt: skip
        if worker is None:
            return {**facts, "state": "failed", "since_utc": iso(berth.since), "error": berth.failure, "fps": 0.0,
                    "dropped": 0, "reconnects": 0}  # fmt: skip
        status = worker.source.status
        state = "stalled" if worker.stalled(self.stall_seconds) else status.state
        if worker.ended and not worker.live:
            state = "ended"
        return {
            **facts, "state": state, "since_utc": iso(status.since or berth.since),
            "error": worker.error or status.error or berth.failure, "fps": round(worker.rate(), 1),
            "dropped": status.dropped, "reconnects": status.reconnects,
        }  # fmt: skip


def _is_over(worker: CameraWorker) -> bool:
    """Whether a worker came to the end of its source, or failed and is not tried again."""
    return worker.ended and (not worker.live or worker.error is None)


def _is_absent(worker: CameraWorker | None) -> bool:
    """Whether no frame can come from a camera at the moment."""
    return worker is None or worker.ended or worker.source.status.state in _ABSENT
