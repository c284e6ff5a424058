"""All cameras of the process: started, supervised, restarted when they fail or stall, and stopped."""

from __future__ import annotations

import logging
import threading
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
from runtime.pipeline.observer import Observation
from runtime.pipeline.results import Absence, FrameResult
from runtime.service.camera_worker import CameraWorker, QueuedObservation, StreamPosition
from runtime.service.frame_queue import FrameQueue
from runtime.sources.frames import Frame
from runtime.sources.redaction import redacted
from runtime.stage_clock import StageClock, StageTotals

logger = logging.getLogger(__name__)

_FIRST_DELAY, _MAX_DELAY = 1.0, 60.0  # seconds until a camera that failed is restarted
_MAX_STALLED = 5
"""Stalled threads at the same time, each with its pose model in memory, before the process must be restarted."""
_ABSENT = ("connecting", "lost")


@dataclass
class CameraSlot:
    """A camera and the worker that reads it at the moment."""

    options: Camera
    worker: CameraWorker | None = None
    restarts: int = 0
    delay: float = _FIRST_DELAY
    next_start: float = 0.0
    frames_before: int = 0
    failure: str | None = None
    since: float = field(default_factory=time.time)
    position: StreamPosition | None = None
    logged: CameraWorker | None = None
    """The worker of which the log says that it is connected."""

    def release(self) -> CameraWorker | None:
        """Abandon the worker and return it; remember where its stream was."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.abandon()
            self.frames_before += worker.frames
            self.position = worker.position
        return worker


class CameraManager:
    """The cameras by name.

    Args:
        manifest: of the bundle, which says how long windows are.
        queue: where the windows go.
        turn: the lock that all cameras share, see `Observer`.
        keep_pictures: whether the pictures are needed after the poses are found.
        stall_seconds: how long a stage may take before its camera is restarted.
        max_frames: stop each camera after so many frames.
    """

    def __init__(
        self,
        manifest: Manifest,
        queue: FrameQueue[QueuedObservation],
        turn: threading.Lock,
        keep_pictures: bool,
        stall_seconds: float,
        max_frames: int | None = None,
    ) -> None:
        self.manifest = manifest
        self.stall_seconds = stall_seconds
        self._queue = queue
        self._turn = turn
        self._keep_pictures = keep_pictures
        self._max_frames = max_frames
        self._slots: dict[str, CameraSlot] = {}
        self.stage_totals: dict[str, dict[str, StageTotals]] = {}
        """How long each stage took, by camera, also of those that were removed: a counter never falls."""
        self._abandoned: list[CameraWorker] = []
        """Workers that were replaced, and whose threads may not have ended."""

    def add(self, name: str, options: Camera, progress: bool = False) -> None:
        """Open a camera; `start` makes it read.

        Raises:
            InputError: a recording, pose model or package is missing, or an option is wrong.
        """
        self._slots[name] = CameraSlot(options, self._open(name, options, progress))

    def change(self, name: str, options: Camera) -> None:
        """Reopen a camera with other options, or open a new one, at once; one that fails to open is retried."""
        slot = self._slots.setdefault(name, CameraSlot(options))
        self._release(slot, timeout=1)
        slot.options, slot.delay, slot.next_start = options, _FIRST_DELAY, 0.0
        self._retry(name, slot)

    def change_zones(self, name: str, options: Camera) -> None:
        """Give a camera the zones of its new options, and go on reading it."""
        slot = self._slots[name]
        slot.options = options
        if slot.worker is not None:
            slot.worker.set_zones(options.zones)

    def start(self) -> None:
        """Begin to read the cameras that were added."""
        for slot in self._slots.values():
            if slot.worker is not None and not slot.worker.started:
                slot.worker.start()

    def __contains__(self, name: str) -> bool:
        return name in self._slots

    def fps(self, name: str) -> float:
        """Return the nominal rate of a camera, frames per second."""
        worker = self._slots[name].worker
        return worker.source.fps if worker else DEFAULT_FPS

    @property
    def capacity(self) -> int:
        """How many frames can wait to be scored."""
        return sum(slot.worker.capacity for slot in list(self._slots.values()) if slot.worker is not None)

    def remove(self, *names: str) -> None:
        """Stop cameras."""
        for name in names:
            self._release(self._slots.pop(name), timeout=0)

    def _release(self, slot: CameraSlot, timeout: float) -> None:
        """Stop the worker of a camera; wait `timeout` seconds for it to free the device."""
        worker = slot.release()
        if worker is not None:
            worker.stop(timeout=timeout)
            self._abandoned.append(worker)

    def stop(self) -> None:
        """Stop all cameras at the same time."""
        workers = [slot.worker for slot in self._slots.values() if slot.worker is not None]
        for worker in workers:
            worker.stop(timeout=0)
        for worker in workers:
            worker.stop()

    @property
    def ended(self) -> bool:
        """Whether every camera has reached the end of its source; a live one never does."""
        return all(slot.worker is not None and _has_finished(slot.worker) for slot in self._slots.values())

    def ended_recordings(self) -> list[str]:
        """Return the recordings that have been read to their end, or as far as they can be."""
        slots = self._slots.items()
        return [name for name, slot in slots if slot.worker and not slot.worker.live and slot.worker.ended]

    def failures(self) -> dict[str, str]:
        """Return why recordings stopped before their end, or why nobody in them could be scored, by camera."""
        found = {
            name: slot.worker.error or _unscored(slot.worker)
            for name, slot in self._slots.items()
            if slot.worker and _has_finished(slot.worker)
        }
        return {name: error for name, error in found.items() if error}

    def frames(self, name: str) -> int:
        """Return how many frames of a camera were queued in this run."""
        slot = self._slots[name]
        return slot.frames_before + (slot.worker.frames if slot.worker else 0)

    def clocks(self) -> Iterator[StageClock]:
        """Yield the clocks of all cameras."""
        for slot in list(self._slots.values()):
            if slot.worker is not None:
                yield slot.worker.clock

    def supervise(self, latest: Mapping[str, FrameResult]) -> None:
        """Restart cameras that failed or stalled, and end the alarms of cameras that are lost.

        Args:
            latest: the last result of each camera.

        Raises:
            CheckFailed: so many threads have stalled that the process must be restarted.
        """
        self._abandoned = [worker for worker in self._abandoned if not worker.ended]
        # Most only need a moment to end, such as after a reload that changed many cameras.
        stalled = sum(worker.stalled(self.stall_seconds) is not None for worker in self._abandoned)
        if stalled >= _MAX_STALLED:
            raise CheckFailed(
                f"{stalled} camera threads have stalled and cannot be ended. Restart daflow-edge."
            )
        for name, slot in list(self._slots.items()):
            worker = slot.worker
            if worker is None:
                self._retry(name, slot)
            elif worker.ended and worker.error and worker.live:
                self._schedule_restart(name, slot, worker.error)
            elif stage := worker.stalled(self.stall_seconds):
                self._schedule_restart(name, slot, f"stage {stage} has stalled")
            elif worker.age > _MAX_DELAY:
                slot.delay, slot.failure = _FIRST_DELAY, None
            self._log_connection(name, slot)
            result = latest.get(name)
            # When everything has ended the service ends too, and closes the alarm at its last frame.
            if result is not None and result.alarm and _is_absent(slot.worker) and not self.ended:
                self._submit_empty_frame(name, slot)

    def _log_connection(self, name: str, slot: CameraSlot) -> None:
        """Log once that a live camera gives pictures; its source logs when it is lost, and when it comes back."""
        worker = slot.worker
        if worker is None or worker is slot.logged or not worker.live or worker.position is None:
            return
        if worker.frames:
            slot.logged = worker
            width, height = worker.position.size
            logger.info(
                "camera %s is connected: %s, %dx%d", name, redacted(slot.options.source), width, height
            )

    def _schedule_restart(self, name: str, slot: CameraSlot, failure: str) -> None:
        logger.error("restarting camera %s: %s", name, failure)
        worker = slot.release()
        if worker is not None:
            self._abandoned.append(worker)
        slot.failure, slot.since = failure, time.time()
        slot.restarts += 1
        slot.next_start = time.monotonic() + slot.delay
        slot.delay = min(2 * slot.delay, _MAX_DELAY)

    def _retry(self, name: str, slot: CameraSlot) -> None:
        if time.monotonic() < slot.next_start:
            return
        try:
            slot.worker = self._open(name, slot.options, resume_from=slot.position)
        except InputError as error:
            slot.next_start = time.monotonic() + slot.delay
            slot.delay = min(2 * slot.delay, _MAX_DELAY)
            if error.message != slot.failure:
                logger.error("camera %s cannot be opened, it is retried: %s", name, error.message)
            slot.failure = error.message
            return
        slot.worker.start()

    def _open(
        self,
        name: str,
        options: Camera,
        progress: bool = False,
        resume_from: StreamPosition | None = None,
    ) -> CameraWorker:
        manifest = self.manifest
        return CameraWorker(
            name, options, manifest.window, manifest.max_missing, self._queue, self._turn, self._keep_pictures,
            self._max_frames, progress, resume_from, manifest.fps, self.stage_totals.setdefault(name, {}),
        )  # fmt: skip

    def _submit_empty_frame(self, name: str, slot: CameraSlot) -> None:
        """Queue a frame without people: the alarm of a camera that is lost has to end although no frame comes."""
        last = slot.worker.position if slot.worker else slot.position
        if last is None:
            return
        frame = Frame(last.frame, last.now(), last.size, None, {}, time.time())
        poses = np.zeros((0, 2, self.manifest.window, 18), dtype=np.float32)
        absence = self._absence(slot)
        empty = QueuedObservation(None, Observation(frame, {}, {}, poses, 0), absence)
        self._queue.offer(name, empty, capacity=1)

    def _absence(self, slot: CameraSlot) -> Absence:
        return "source_ended" if slot.worker is not None and _has_finished(slot.worker) else "camera_lost"

    def states(self) -> dict[str, str]:
        """Return the state of each camera in a word."""
        return {name: self.state(name) for name in list(self._slots)}

    def state(self, name: str) -> str:
        """Return the state of a camera in a word: that of its source, `stalled`, `ended` or `failed`."""
        worker = self._slots[name].worker
        if worker is None:
            return "failed"
        if worker.ended and not worker.live:
            return "ended"
        return "stalled" if worker.stalled(self.stall_seconds) else worker.source.status.state

    def snapshot(self, name: str) -> dict[str, Any]:
        """Return the state of a camera as values for JSON."""
        slot = self._slots[name]
        worker = slot.worker
        facts = {
            "source": redacted(slot.options.source), "restarts": slot.restarts, "frames": self.frames(name),
            "zones": {zone: shape.model_dump(mode="json") for zone, shape in slot.options.zones.items()},
        }  # fmt: skip
        if worker is None:
            return {**facts, "state": "failed", "since_utc": iso(slot.since), "error": slot.failure, "fps": 0.0,
                    "stream_fps": None, "rate_reason": None, "dropped": 0, "damaged": 0, "reconnects": 0}  # fmt: skip
        status = worker.source.status
        return {
            **facts, "state": self.state(name), "since_utc": iso(status.since or slot.since),
            "error": worker.error or status.error or slot.failure, "fps": round(worker.rate(), 1),
            "stream_fps": _rounded(worker.stream_rate), "rate_reason": worker.rate_reason,
            "dropped": status.dropped, "damaged": status.damaged, "reconnects": status.reconnects,
        }  # fmt: skip


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


def _unscored(worker: CameraWorker) -> str:
    reason = worker.rate_reason
    return f"nobody was scored: {reason}" if reason else ""


def _has_finished(worker: CameraWorker) -> bool:
    """Whether a worker reached the end of its source, or failed and is not restarted."""
    return worker.ended and (not worker.live or worker.error is None)


def _is_absent(worker: CameraWorker | None) -> bool:
    """Whether a camera cannot give frames at the moment."""
    return worker is None or worker.ended or worker.source.status.state in _ABSENT
