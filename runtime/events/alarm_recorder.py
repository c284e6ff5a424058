"""The alarm recorder: results become event messages that are stored, and calibrations are watched for drift."""

from __future__ import annotations

import logging
import threading
import time

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.drift import DriftVerdict, DriftWatch
from daflow.core.errors import InputError
from runtime.events.alarm_messages import AlarmEventBuilder
from runtime.events.store import EventStore, StoreError
from runtime.events.store_writer import StoreWriter
from runtime.pipeline.results import FrameResult

logger = logging.getLogger(__name__)


class AlarmEventRecorder:
    """Takes the results of all cameras; a sink.

    Args:
        store: keeps the state of the drift watches over restarts.
        store_writer: stores the messages.
    """

    def __init__(self, store: EventStore, store_writer: StoreWriter) -> None:
        self._store = store
        self._store_writer = store_writer
        self.model: dict[str, str] = {}
        """What each message from now on says of the model, see `EventMessage`."""
        # A camera may get another calibration, or leave, while its results come in.
        self._lock = threading.RLock()
        self._lives: dict[str, AlarmEventBuilder] = {}
        self._drifts: dict[str, DriftWatch] = {}
        self._told: dict[str, str] = {}
        self._alarms: dict[str, int] = {}

    def watch(self, camera: str, calibration: AlarmCalibration | None, update_seconds: float) -> None:
        """Begin with a camera, or go on with another calibration; an alarm that is on is ended."""
        with self._lock:
            self.leave(camera)
            self._lives[camera] = AlarmEventBuilder(camera, self.model, update_seconds)
            if calibration is not None and calibration.normal is not None:
                self._drifts[camera] = self._drift_watch(camera, calibration)

    def leave(self, camera: str) -> None:
        """End with a camera: an alarm that is on ends, and its drift is remembered."""
        with self._lock:
            life = self._lives.pop(camera, None)
            if life is not None:
                self._store_writer.submit(*life.close())
                self._alarms[camera] = self._alarms.get(camera, 0) + life.alarms
            if camera in self._drifts:
                self._remember(camera)
                del self._drifts[camera]
                self._told.pop(camera, None)

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        with self._lock:
            life = self._lives.get(result.camera)
            if life is None:
                return
            messages = life(result)
            if messages:
                self._store_writer.submit(*messages)
            drift = self._drifts.get(result.camera)
            if drift is not None:
                smoothed = {p.person: p.smoothed for p in result.people if p.smoothed is not None}
                drift.update(result.frame.utc or time.time(), smoothed)

    def alarms(self, camera: str) -> int:
        """How many alarms of a camera began in this run."""
        life = self._lives.get(camera)
        return self._alarms.get(camera, 0) + (life.alarms if life else 0)

    def drift(self, camera: str) -> DriftVerdict | None:
        """What the drift watch of a camera says, None without a calibration on recordings."""
        watch = self._drifts.get(camera)
        return watch.verdict if watch else None

    def log_drift(self) -> None:
        """Log each camera whose drift watch has changed its mind."""
        for camera in list(self._drifts):
            verdict = self.drift(camera)
            if verdict is not None and verdict.state != self._told.get(camera, "learning"):
                level = logging.WARNING if verdict.state == "drifting" else logging.INFO
                logger.log(level, "camera %s: %s", camera, verdict.message)
                self._told[camera] = verdict.state

    def remember(self) -> None:
        """Keep the state of the drift watches."""
        with self._lock:
            for camera in list(self._drifts):
                self._remember(camera)

    def close(self) -> None:
        """End with every camera."""
        for camera in list(self._lives):
            self.leave(camera)

    def _drift_watch(self, camera: str, calibration: AlarmCalibration) -> DriftWatch:
        try:
            return DriftWatch(calibration, self._remembered(camera))
        except InputError as error:
            logger.warning("camera %s: the drift watch begins anew: %s", camera, error.message)
            return DriftWatch(calibration)

    def _remembered(self, camera: str) -> dict[str, object] | None:
        try:
            state = self._store.get(f"drift.{camera}")
        except StoreError:
            return None
        return state if isinstance(state, dict) else None

    def _remember(self, camera: str) -> None:
        try:
            self._store.set(f"drift.{camera}", self._drifts[camera].state())
        except StoreError as error:
            logger.debug("the drift of camera %s is not remembered: %s", camera, error)
