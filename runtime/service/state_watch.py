"""Looks at the cameras and the disk about once a second, and stores a message when a state has changed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from runtime.config.schema import Config
from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.camera_states import CameraStateTeller, Condition
from runtime.events.store_writer import StoreWriter
from runtime.machine.disk import full_disk
from runtime.service.cameras import CameraManager
from runtime.sources.uri import is_live

_LOOK_S, _LOOK_AT_DISK_S = 1.0, 15.0


class StateWatch:
    """Watches the states of live cameras and of the disk.

    Args:
        manager: of the cameras.
        recorder: knows their drift.
        store_writer: stores the messages.
    """

    def __init__(
        self, manager: CameraManager, recorder: AlarmEventRecorder, store_writer: StoreWriter
    ) -> None:
        self._manager = manager
        self._recorder = recorder
        self._store_writer = store_writer
        self._teller = CameraStateTeller(0.0)
        self._looked = self._looked_at_disk = -_LOOK_AT_DISK_S
        self._full_disk: str | None = None

    def look(self, config: Config) -> None:
        """Look at what has changed; called often."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        options = config.camera_states
        if now - self._looked_at_disk >= _LOOK_AT_DISK_S:
            self._looked_at_disk = now
            self._full_disk = full_disk(_written(config), options.min_free_mb)
        self._teller.hold_seconds = options.hold_seconds
        live = [name for name, camera in config.cameras.items() if is_live(camera.source)]
        conditions = {name: self._condition(name) for name in live if name in self._manager}
        self._store_writer.submit(*self._teller.update(conditions, self._full_disk, now, time.time()))

    def _condition(self, name: str) -> Condition:
        facts, drift = self._manager.snapshot(name), self._recorder.drift(name)
        told = (drift.state, drift.message) if drift else (None, None)
        return Condition(facts["state"], told[0], facts["error"], told[1])


def _written(config: Config) -> list[Path]:
    """Return what a run writes to."""
    store = config.store.path or Path(tempfile.gettempdir())
    return [
        file
        for file in (store, config.events, config.scores, config.video, config.record)
        if file is not None
    ]
