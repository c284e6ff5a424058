"""Turns results into event messages and replays that are stored, and checks each camera for drift."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.drift import DriftVerdict, DriftWatch
from daflow.core.alarms.p_value import NARROW_SPACE, p_value_floor
from daflow.core.errors import InputError
from runtime.config.store_options import ReplayOptions
from runtime.events.alarm_messages import AlarmEventBuilder
from runtime.events.message import EndReason, EventMessage
from runtime.events.picture_recorder import CLIP, SNAPSHOT
from runtime.events.replay_recorder import ReplayRecorder
from runtime.events.store import EventStore, StoreError
from runtime.events.store_writer import StoreWriter
from runtime.pipeline.results import FrameResult

logger = logging.getLogger(__name__)


class AlarmEventRecorder:
    """Records the alarms of all cameras; a sink.

    Args:
        store: keeps the state of the drift detection for the next start.
        store_writer: stores the messages and the replays.
        is_armed: whether a camera is armed now.
        replay: what is kept of an alarm to be replayed.
        pictures: whether pictures of the cameras are kept too.

    Raises:
        InputError: pictures are to be kept, and OpenCV is missing.
    """

    def __init__(
        self,
        store: EventStore,
        store_writer: StoreWriter,
        is_armed: Callable[[str], bool] = lambda _: True,
        replay: ReplayOptions | None = None,
        pictures: bool = False,
    ) -> None:
        self._store = store
        self._is_armed = is_armed
        self._store_writer = store_writer
        self._replays = ReplayRecorder(store_writer, replay or ReplayOptions.model_validate({}), pictures)
        self.model: dict[str, str] = {}
        """The model in each message from now on, see `EventMessage`."""
        if not pictures:
            try:
                store.remove_replay_parts(SNAPSHOT, CLIP)  # of earlier runs, in which they were allowed
            except StoreError as error:
                logger.warning("pictures of earlier alarms were not removed: %s", error)
        # A reload may change or remove a camera while its results come in.
        self._lock = threading.RLock()
        self._builders: dict[str, AlarmEventBuilder] = {}
        self._drift_watches: dict[str, DriftWatch] = {}
        self._logged_states: dict[str, str] = {}
        self._earlier_alarms: dict[str, int] = {}

    def set_camera(
        self, camera: str, calibration: AlarmCalibration | None, update_seconds: float, threshold: float
    ) -> None:
        """Add a camera, or change the settings of one; an alarm that is on is ended.

        Args:
            camera: its name.
            calibration: what drift is measured against; None for no drift detection.
            update_seconds: stream time between the updates of an alarm that is on; 0 sends none.
            threshold: of the alarm's rule.
        """
        with self._lock:
            self.remove_camera(camera, "settings_changed")
            floor = p_value_floor(calibration) if calibration is not None else None
            self._builders[camera] = AlarmEventBuilder(
                camera,
                self.model,
                update_seconds,
                p_value_floor=floor,
                threshold=threshold,
                is_armed=partial(self._is_armed, camera),
            )
            if calibration is not None and calibration.normal is not None:
                self._drift_watches[camera] = self._drift_watch(camera, calibration)

    def remove_camera(self, camera: str, reason: EndReason = "camera_removed") -> None:
        """Remove a camera: an alarm that is on ends for this reason, and the state of its drift detection is saved."""
        with self._lock:
            builder = self._builders.pop(camera, None)
            if builder is not None:
                self._record(builder.close(reason))
                if reason != "settings_changed":
                    self._replays.remove_camera(camera, complete=reason == "source_ended")
                self._earlier_alarms[camera] = self._earlier_alarms.get(camera, 0) + builder.alarms
            if camera in self._drift_watches:
                self._save_drift(camera)
                del self._drift_watches[camera]
                self._logged_states.pop(camera, None)

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        with self._lock:
            builder = self._builders.get(result.camera)
            if builder is None:
                return
            self._replays.see(result)
            self._record(builder(result), result)
            drift = self._drift_watches.get(result.camera)
            if drift is not None:
                smoothed = {p.person: p.smoothed for p in result.people if p.smoothed is not None}
                drift.update(result.frame.utc or time.time(), smoothed)

    def alarms(self, camera: str) -> int:
        """Return how many alarms of a camera began in this run while it was armed."""
        builder = self._builders.get(camera)
        return self._earlier_alarms.get(camera, 0) + (builder.alarms if builder else 0)

    def drift(self, camera: str) -> DriftVerdict | None:
        """Return the drift of a camera, None when its calibration has no normal scores."""
        watch = self._drift_watches.get(camera)
        return watch.verdict if watch else None

    def log_drift(self) -> None:
        """Log each camera whose drift state has changed."""
        for camera in list(self._drift_watches):
            verdict = self.drift(camera)
            if verdict is not None and verdict.state != self._logged_states.get(camera, "learning"):
                level = logging.WARNING if verdict.state == "drifting" else logging.INFO
                logger.log(level, "camera %s: %s", camera, verdict.message)
                self._logged_states[camera] = verdict.state

    def save_drift(self) -> None:
        """Save the state of the drift detection of all cameras."""
        with self._lock:
            for camera in list(self._drift_watches):
                self._save_drift(camera)

    def close(self, ended: Collection[str] = ()) -> None:
        """Remove every camera, because the service stops.

        Args:
            ended: cameras whose recording has ended.
        """
        for camera in list(self._builders):
            self.remove_camera(camera, "source_ended" if camera in ended else "service_stopped")
        self._replays.close()

    def _record(self, messages: Sequence[EventMessage], result: FrameResult | None = None) -> None:
        """Store messages, log the begin and the end of alarms, and record their replays."""
        if messages:
            self._store_writer.submit(*messages)
        for message in messages:
            self._replays.follow(message, result)
            if message.kind != "update":
                logger.info("%s", _log_line(message))

    def _drift_watch(self, camera: str, calibration: AlarmCalibration) -> DriftWatch:
        try:
            return DriftWatch(calibration, self._saved_drift(camera))
        except InputError as error:
            logger.warning("camera %s: drift detection restarts: %s", camera, error.message)
            return DriftWatch(calibration)

    def _saved_drift(self, camera: str) -> dict[str, object] | None:
        try:
            state = self._store.get(f"drift.{camera}")
        except StoreError:
            return None
        return state if isinstance(state, dict) else None

    def _save_drift(self, camera: str) -> None:
        try:
            self._store.set(f"drift.{camera}", self._drift_watches[camera].state())
        except StoreError as error:
            logger.debug("the drift state of camera %s was not saved: %s", camera, error)


def _log_line(message: EventMessage) -> str:
    """Return the begin or the end of an alarm in words: an alarm is a single line of the log."""
    content = message.content
    moment = content if message.kind == "begin" else content["peak"] or {}
    score = moment.get("score")
    details = "".join(f", {words}" for words in (moment.get("rarity"), moment.get("why")) if words)
    details = details.replace(NARROW_SPACE, " ")
    highest = "" if score is None else f"score {score:.2f} {content.get('unit', 'bits/dim')}{details}"
    unarmed = "" if message.armed else ", disarmed"
    if message.kind == "begin":
        return f"camera {message.camera}: alarm begins{unarmed}: {highest or 'no score'}"
    reason = str(content["reason"]).replace("_", " ")
    return (
        f"camera {message.camera}: alarm ends{unarmed} after {content['seconds'] or 0:.1f} s: {reason}; "
        f"highest {highest or 'score unknown'}"
    )
