"""Commissions cameras while a service watches them: records them, says how far each is, and makes their bundle."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from daflow.core.errors import DaflowError
from runtime.commissioning import bundle_maker
from runtime.commissioning.bundle_maker import Commissioned, can_train
from runtime.commissioning.commands import CommandRunner
from runtime.commissioning.folder import (
    alone,
    begin,
    calibration_of,
    is_commissioned,
    record_of,
    set_cameras,
    used_before,
)
from runtime.commissioning.needs import Needs, Recorded
from runtime.commissioning.progress import Progress
from runtime.commissioning.recordings import Recordings
from runtime.config.commissioning_options import CommissioningOptions
from runtime.config.schema import Config
from runtime.outputs.track_recorder import TrackRecorder
from runtime.pipeline.results import FrameResult
from runtime.sources.uri import is_live

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_RETRY_SECONDS = 3600.0
_CLOSE_SECONDS = 10.0
_MORE = 1.5
"""How many times as much is needed where the recordings did not support the rate."""


class Commissioner:
    """Commissions the cameras of a configuration; a context manager, and a sink that records them.

    A thread measures once a minute what was recorded. Once it is enough for a camera, it makes the bundle, beside the
    watching. What fails is tried again in an hour. Where a recording is watched in the place of a camera, its time is
    not that of a clock: whoever watches it makes the bundle when it has ended.

    Args:
        config: with a folder for the commissioning.

    Raises (when it is entered):
        InputError: another process commissions in this folder, or there is no bundle to begin with.
        OSError: the folder cannot be written.
    """

    def __init__(self, config: Config) -> None:
        assert config.commissioning.folder is not None
        self._options: CommissioningOptions = config.commissioning
        self._folder: Path = config.commissioning.folder
        self._config = config
        self._recordings = Recordings(self._folder)
        self._several = False
        self._run: Path | None = None
        self._recorder: TrackRecorder | None = None
        self._cameras: dict[str, _Camera] = {}
        self._frames: dict[str, int] = {}
        self._runner = CommandRunner()
        self._trains = can_train()
        self._making: frozenset[str] = frozenset()
        self._waiting: Config | None = None  # it is taken when the bundle is made
        self._lock = threading.Lock()  # of these two
        self._not_before = 0.0
        self._error: str | None = None
        self._new_bundle = threading.Event()
        self._ended: list[str] = []
        self.made: Commissioned | None = None
        """What came of the last bundle that was made."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="commissioning", daemon=True)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Commissioner:
        with self._stack:
            self._stack.enter_context(alone(self._folder))
            begin(self._folder, self._config.bundle)
            self._stack.callback(self._finish)
            self._set_cameras(self._config)
            self._stack = self._stack.pop_all()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._runner.stop()
        self._thread.join(_CLOSE_SECONDS)
        self._stack.__exit__(None, None, None)

    def _finish(self) -> None:
        if self._recorder is not None and self._run is not None:
            self._recorder.__exit__()
            self._recordings.complete(self._run, self._ended)

    def set_cameras(self, config: Config) -> None:
        """Commission the cameras of a configuration from now on, with their zones; an error is logged.

        While a bundle is made, it is that of the cameras from before: the others wait until it is there.
        """
        with self._lock:
            if self._making:
                self._waiting = config
                return
            self._try_to_set(config)

    def _try_to_set(self, config: Config) -> None:
        try:
            self._set_cameras(config)
        except (DaflowError, OSError) as error:
            logger.error("commissioning goes on with the cameras and zones from before: %s", error)

    def _set_cameras(self, config: Config) -> None:
        names = config.commissioned_cameras
        cameras = {name: config.camera(name) for name in names}
        zones = {name: camera.zones for name, camera in cameras.items()}
        before = self._several
        self._several = set_cameras(self._folder, zones, several=len(config.cameras) > 1)
        if self._several and not before and self._cameras:
            self._new_bundle.set()  # its calibration may have become that of one camera
        known = self._cameras if self._several == before else {}
        live = {name: is_live(camera.source) or camera.realtime for name, camera in cameras.items()}
        changed = {name for name in names if name in self._cameras and self._cameras[name].live != live[name]}
        if changed:  # what was recorded of a recording does not go into the run of a camera
            self._finish()
            self._run = self._recorder = None
        known = {name: camera for name, camera in known.items() if name not in changed}
        self._cameras = {name: known.get(name) or self._camera(name, live[name]) for name in names}
        if any(camera.wanted for camera in self._cameras.values()):
            self._record([name for name in names if not live[name]])

    def _record(self, recorded: Iterable[str]) -> None:
        if self._run is None:
            self._run = self._recordings.new_run()
            self._recorder = TrackRecorder(self._run, self._config.record_format)
        self._recordings.mark(self._run, recorded)

    def _key(self, name: str) -> str | None:
        return name if self._several else None

    def _camera(self, name: str, live: bool) -> _Camera:
        """Return what is known of a camera: whether it is commissioned, and what it needs."""
        key, per_day = self._key(name), self._options.false_alarms_per_day
        used, alarm = used_before(self._folder, key), calibration_of(self._folder, key)
        done = alarm is not None and alarm.promised and alarm.target_per_day == per_day
        again = alarm is not None and self._options.again
        target = alarm.target_per_day if alarm is not None else None
        tried = alarm is not None and record_of(self._folder, key).get("requested_per_day", target) == per_day
        at_least = _MORE * used.seconds / 3600 if tried and not (done or again) else 0.0
        wanted = again or not done
        total = partial(self._recordings.total, key) if wanted else lambda: used
        progress = Progress(total, Needs(per_day, at_least), used if again else Recorded())
        return _Camera(live, progress, wanted)

    # While it is watched

    def __call__(self, result: FrameResult) -> None:
        """Record the people of a frame; the empty frames of a lost camera repeat a number and are skipped."""
        camera = self._cameras.get(result.camera)
        if camera is None or not camera.wanted or self._recorder is None:
            return
        if self._frames.get(result.camera) != result.frame.index:
            self._frames[result.camera] = result.frame.index
            self._recorder(result)

    def take_bundle(self) -> bool:
        """Say once that there is a new bundle."""
        new = self._new_bundle.is_set()
        self._new_bundle.clear()
        return new

    def ended(self, cameras: Iterable[str]) -> None:
        """Take note of the recordings that have ended."""
        self._ended = list(cameras)

    def facts(self, name: str) -> dict[str, Any] | None:
        """Return how far a camera is as values for JSON; None of one that is not commissioned.

        Keys: those of `Progress.facts`; `state`: `reading` what is recorded, `recording`, `making` the bundle, `failed`
        (it is tried again), `kept` (the calibration from before is better) or `done`; `error` of what failed; `trains`,
        whether the model is trained, and not only its alarm calibrated.
        """
        camera = self._cameras.get(name)
        if camera is None:
            return None
        facts = {**camera.progress.facts(), "state": self._state(name, camera), "trains": self._trains}
        if not camera.wanted:
            facts |= {"missing": [], "share": 1.0, "ready_at_utc": None}
        return {**facts, "error": self._error if facts["state"] in ("failed", "reading") else None}

    def _state(self, name: str, camera: _Camera) -> str:
        if camera.wanted and not camera.progress.measured:
            return "reading"
        if name in self._making:
            return "making"
        if self._error and camera.ready:
            return "failed"
        if camera.kept:
            return "kept"
        return "recording" if camera.wanted else "done"

    def progress(self) -> tuple[float, dict[str, str]]:
        """Return how much of everything is there, 0 to 1, and words for each camera that is recorded."""
        cameras = {name: camera for name, camera in self._cameras.items() if camera.wanted}
        shares = [camera.progress.share if name in cameras else 1.0 for name, camera in self._cameras.items()]
        words = {
            name: camera.progress.words() for name, camera in cameras.items() if camera.progress.measured
        }
        return sum(shares) / max(len(shares), 1), words

    # In the thread

    def _work(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  the watching goes on, whatever it is
                if self._stopping.is_set():
                    return
                self._error = str(error) or type(error).__name__
                self._not_before = time.monotonic() + _RETRY_SECONDS
                logger.error("commissioning failed, and is tried again in an hour: %s", self._error)
            finally:
                with self._lock:
                    self._making = frozenset()
                    if self._waiting is not None:
                        self._try_to_set(self._waiting)
                    self._waiting = None

    def look(self) -> None:
        """Measure what was recorded, and make the bundle when it is enough for a camera.

        Raises:
            DaflowError: it cannot be made.
            OSError: the same.
        """
        for camera in list(self._cameras.values()):
            camera.progress.measure()
        with self._lock:
            cameras = dict(self._cameras)
            ready = [name for name, camera in cameras.items() if camera.ready]
            if time.monotonic() < self._not_before:
                ready = []
            self._making = frozenset(ready)
        if ready:
            before = [name for name in cameras if is_commissioned(self._folder, self._key(name))]
            made = self._make(list(dict.fromkeys([*before, *ready])))
            self._take(made, cameras)
            if any(self._key(name) not in made.cameras for name in ready):  # which the log explains
                self._not_before = time.monotonic() + _RETRY_SECONDS

    def _make(self, cameras: Sequence[str]) -> Commissioned:
        keys = list(dict.fromkeys(map(self._key, cameras)))
        options, store = self._options, self._config.store.path
        return bundle_maker.make_bundle(self._folder, options.false_alarms_per_day, self._runner, store, keys)

    def _take(self, made: Commissioned, cameras: dict[str, _Camera]) -> None:
        self.made, self._error = made, None
        if made.replaced:
            self._new_bundle.set()
        for name, camera in cameras.items():
            if (result := made.cameras.get(self._key(name))) is None:
                continue
            came = "commissioned" if result.promised else "calibrated, with a rate that is not supported yet"
            logger.info("camera %s: %s", name, "its calibration stays" if result.kept else came)
            if self._cameras.get(name) is camera:
                self._cameras[name] = self._camera(name, camera.live)
                self._cameras[name].kept = result.kept


class _Camera:
    """A camera that is commissioned: whether it is still recorded, and how far it is."""

    def __init__(self, live: bool, progress: Progress, wanted: bool) -> None:
        self.live = live
        self.progress = progress
        self.wanted = wanted
        """Whether it is recorded, to be commissioned or to be so again."""
        self.kept = False
        """Whether the last bundle that was made was worse for it."""

    @property
    def ready(self) -> bool:
        """Whether the bundle may be made with it, beside the watching."""
        return self.wanted and self.live and self.progress.complete
