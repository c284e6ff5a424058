"""All cameras of the process: started, watched, started again when they fail or stand still, and stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daflow.core.bundle import Manifest
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.errors import CheckFailed, InputError
from runtime.config.schema import Camera
from runtime.json_values import iso
from runtime.pipeline.results import FrameResult
from runtime.pipeline.stages import Observation
from runtime.service.camera_worker import CameraWorker, QueuedObservation, StreamPosition
from runtime.service.frame_queue import FrameQueue
from runtime.sources.frames import Frame
from runtime.sources.redaction import redacted
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_FIRST_WAIT, _MAX_WAIT = 1.0, 60.0  # seconds until a camera that failed is started again
_MAX_STUCK = 5
"""Threads that stand still at the same time, each with its pose model, before the process has to begin anew."""
_ABSENT = ("connecting", "lost")


@dataclass
class CameraSlot:
    """The place of a camera, whichever thread reads it at the moment."""

    options: Camera
    worker: CameraWorker | None = None
    restarts: int = 0
    wait: float = _FIRST_WAIT
    next_start: float = 0.0
    frames_before: int = 0
    failure: str | None = None
    since: float = field(default_factory=time.time)
    last: StreamPosition | None = None

    def release(self) -> CameraWorker | None:
        """Let the worker go; remember where its stream was."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.abandon()
            self.frames_before += worker.frames
            self.last = worker.last
        return worker


class CameraManager:
    """The cameras by name.

    Args:
        manifest: of the bundle, which says how long windows are.
        queue: where the windows go.
        keep_pictures: whether anything needs the pictures after the poses are found.
        stall_seconds: how long a stage may stand still.
        max_frames: stop each camera after so many frames.
    """

    def __init__(
        self,
        manifest: Manifest,
        queue: FrameQueue[QueuedObservation],
        keep_pictures: bool,
        stall_seconds: float,
        max_frames: int | None = None,
    ) -> None:
        self.manifest = manifest
        self.stall_seconds = stall_seconds
        self._queue = queue
        self._keep_pictures = keep_pictures
        self._max_frames = max_frames
        self._slots: dict[str, CameraSlot] = {}
        self._stuck: list[CameraWorker] = []

    def add(self, name: str, options: Camera, progress: bool = False) -> None:
        """Open a camera; it reads from `start` on.

        Raises:
            InputError: a recording, pose model or package is missing, or an option is wrong.
        """
        self._slots[name] = CameraSlot(options, self._open(name, options, progress))

    def change(self, name: str, options: Camera) -> None:
        """Read a camera with other options, or a new one, at once; what cannot be opened is tried again later."""
        slot = self._slots.setdefault(name, CameraSlot(options))
        self._release(slot, wait=1)
        slot.options, slot.wait, slot.next_start = options, _FIRST_WAIT, 0.0
        self._try_again(name, slot)

    def start(self) -> None:
        """Begin to read the cameras that were added."""
        for slot in self._slots.values():
            if slot.worker is not None and not slot.worker.started:
                slot.worker.start()

    def __contains__(self, name: str) -> bool:
        return name in self._slots

    def fps(self, name: str) -> float:
        """The nominal rate of a camera, frames a second."""
        worker = self._slots[name].worker
        return worker.source.fps if worker else DEFAULT_FPS

    @property
    def capacity(self) -> int:
        """How many frames can wait to be scored."""
        return sum(slot.worker.room for slot in list(self._slots.values()) if slot.worker is not None)

    def remove(self, *names: str) -> None:
        """Stop cameras."""
        for name in names:
            self._release(self._slots.pop(name), wait=0)

    def _release(self, slot: CameraSlot, wait: float) -> None:
        """Stop the thread of a camera; wait so many seconds for it to free the device."""
        worker = slot.release()
        if worker is not None:
            worker.stop(timeout=wait)
            self._stuck.append(worker)

    def stop(self) -> None:
        """Stop all cameras, side by side."""
        workers = [slot.worker for slot in self._slots.values() if slot.worker is not None]
        for worker in workers:
            worker.stop(timeout=0)
        for worker in workers:
            worker.stop()

    @property
    def ended(self) -> bool:
        """Whether every camera has come to its end; a live one never does."""
        return all(slot.worker is not None and _is_over(slot.worker) for slot in self._slots.values())

    def failures(self) -> dict[str, str]:
        """Why recordings broke off, by camera."""
        found = {
            name: b.worker.error or "" for name, b in self._slots.items() if b.worker and _is_over(b.worker)
        }
        return {name: error for name, error in found.items() if error}

    def frames(self, name: str) -> int:
        """Frames of a camera that were handed over in this run."""
        slot = self._slots[name]
        return slot.frames_before + (slot.worker.frames if slot.worker else 0)

    def clocks(self) -> Iterator[StageClock]:
        """The clocks of all cameras."""
        for slot in list(self._slots.values()):
            if slot.worker is not None:
                yield slot.worker.clock

    def supervise(self, latest: Mapping[str, FrameResult]) -> None:
        """Start again what failed or stands still, and end the alarms of cameras that are lost.

        Raises:
            CheckFailed: so many threads stand still that the process has to begin anew.
        """
        self._stuck = [worker for worker in self._stuck if not worker.ended]
        # Others only need a moment to end, such as after a reload that changed many cameras.
        stuck = sum(worker.stalled(self.stall_seconds) is not None for worker in self._stuck)
        if stuck >= _MAX_STUCK:
            raise CheckFailed(f"{stuck} threads of cameras stand still; start daflow-edge again.")
        for name, slot in list(self._slots.items()):
            worker = slot.worker
            if worker is None:
                self._try_again(name, slot)
            elif worker.ended and worker.error and worker.live:
                logger.error("camera %s: %s; it is started again", name, worker.error)
                self._set_aside(slot, worker.error)
            elif stage := worker.stalled(self.stall_seconds):
                logger.error("camera %s stands still at %s; it is started again", name, stage)
                self._set_aside(slot, f"{stage} stood still")
            elif worker.age > _MAX_WAIT:
                slot.wait, slot.failure = _FIRST_WAIT, None
            result = latest.get(name)
            if result is not None and result.alarm and _is_absent(slot.worker):
                self._submit_empty_frame(name, slot)

    def _set_aside(self, slot: CameraSlot, failure: str) -> None:
        worker = slot.release()
        if worker is not None:
            self._stuck.append(worker)
        slot.failure, slot.since = failure, time.time()
        slot.restarts += 1
        slot.next_start = time.monotonic() + slot.wait
        slot.wait = min(2 * slot.wait, _MAX_WAIT)

    def _try_again(self, name: str, slot: CameraSlot) -> None:
        if time.monotonic() < slot.next_start:
            return
        try:
            slot.worker = self._open(name, slot.options, after=slot.last)
        except InputError as error:
            slot.next_start = time.monotonic() + slot.wait
            slot.wait = min(2 * slot.wait, _MAX_WAIT)
            if error.message != slot.failure:
                logger.error("camera %s: %s; it is tried again", name, error.message)
            slot.failure = error.message
            return
        slot.worker.start()

    def _open(
        self, name: str, options: Camera, progress: bool = False, after: StreamPosition | None = None
    ) -> CameraWorker:
        manifest = self.manifest
        return CameraWorker(
            name, options, manifest.window, manifest.max_missing, self._queue, self._keep_pictures,
            self._max_frames, progress, after,
        )  # fmt: skip

    def _submit_empty_frame(self, name: str, slot: CameraSlot) -> None:
        """An alarm ends although no frame comes: a camera that is lost sees nobody."""
        last = slot.worker.last if slot.worker else slot.last
        if last is None:
            return
        frame = Frame(last.frame, last.now(), last.size, None, {}, time.time())
        poses = np.zeros((0, 2, self.manifest.window, 18), dtype=np.float32)
        self._queue.offer(name, QueuedObservation(None, Observation(frame, {}, {}, poses, 0)), room=1)

    def snapshot(self, name: str) -> dict[str, Any]:
        """Return how a camera is doing, for `runtime.service.health`."""
        slot = self._slots[name]
        worker = slot.worker
        facts = {
            "source": redacted(slot.options.source), "restarts": slot.restarts, "frames": self.frames(name),
        }  # fmt: skip
        if worker is None:
            return {**facts, "state": "failed", "since_utc": iso(slot.since), "error": slot.failure, "fps": 0.0,
                    "dropped": 0, "reconnects": 0}  # fmt: skip
        status = worker.source.status
        state = "stalled" if worker.stalled(self.stall_seconds) else status.state
        if worker.ended and not worker.live:
            state = "ended"
        return {
            **facts, "state": state, "since_utc": iso(status.since or slot.since),
            "error": worker.error or status.error or slot.failure, "fps": round(worker.rate(), 1),
            "dropped": status.dropped, "reconnects": status.reconnects,
        }  # fmt: skip


def _is_over(worker: CameraWorker) -> bool:
    """Whether a worker came to the end of its source, or failed and is not tried again."""
    return worker.ended and (not worker.live or worker.error is None)


def _is_absent(worker: CameraWorker | None) -> bool:
    """Whether no frame can come from a camera at the moment."""
    return worker is None or worker.ended or worker.source.status.state in _ABSENT
