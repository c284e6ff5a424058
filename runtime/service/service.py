"""The running service: opens its parts, starts, supervises, reloads and stops them, and reports on them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from daflow.core.alarms.zones import Zone
from daflow.core.bundle import MANIFEST, read_bundle
from daflow.core.errors import CheckFailed, InputError
from daflow.core.files import sha256
from daflow.core.shipped import bundle_or_default
from daflow.core.version import __version__
from runtime.commissioning.commissioner import Commissioner
from runtime.config.drawn_zones import DrawnZones
from runtime.config.schema import Config, LogOptions
from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.arming import Arming, obey
from runtime.events.camera_topics import ARMED_SET, LABEL_SET, Command
from runtime.events.labels import AlarmLabels
from runtime.events.senders import Senders
from runtime.events.store import open_store
from runtime.events.store_writer import StoreWriter
from runtime.machine.board import memory_mb, temperature
from runtime.outputs.run_files import Outputs
from runtime.pipeline.alarm_decider import AlarmDecider
from runtime.pipeline.alarm_rule import check_rules, make_decider, warn_about_rate
from runtime.pipeline.results import FrameResult, Sink
from runtime.service import health, systemd
from runtime.service.camera_worker import QueuedObservation
from runtime.service.cameras import CameraManager
from runtime.service.frame_queue import FrameQueue
from runtime.service.reload import plan_reload
from runtime.service.scoring_supervisor import ScoringSupervisor
from runtime.service.state_watch import StateWatch
from runtime.stage_clock import StageClock
from runtime.web.live_state import LiveState
from runtime.web.server import RunningServer, serve

logger = logging.getLogger(__name__)

_SUPERVISE_SECONDS = 0.2
_SAVE_SECONDS = 300.0


class Service:
    """Runs one configuration; a context manager that opens its parts and closes them in order.

    Args:
        config: what to run.
        reread: reads the configuration again, for `reload`; None when there is no file.
        listeners: called with every result, in the thread that scores.
        set_up_logs: applies the options of the log after a reload; the service itself configures no logging.

    Raises:
        InputError: a part cannot be opened; those that were opened are closed again.
    """

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config] | None = None,
        listeners: Sequence[Sink] = (),
        set_up_logs: Callable[[LogOptions], None] = lambda _: None,
    ) -> None:
        self._zones = DrawnZones(config.drawn_zones)
        self._apply_again = False
        """Whether what the configuration names has changed: drawn zones, or the bundle."""
        self.config = self._zones.apply(config)
        self._reread = reread
        self._listeners = tuple(listeners)
        self._set_up_logs = set_up_logs
        self._began, self._began_monotonic = time.time(), time.monotonic()
        self._stack = contextlib.ExitStack()
        self._stop = False
        self._reload = False
        self._saved = time.monotonic()
        self._latest: dict[str, FrameResult] = {}
        self._deciders: dict[str, AlarmDecider] = {}
        self._queue: FrameQueue[QueuedObservation] = FrameQueue()
        self._turn = threading.Lock()
        """The lock that all cameras share, see `Observer`."""
        self._clock = StageClock()
        self.live = LiveState()
        self._server: RunningServer | None = None
        self._page_stopped = False
        self._ended: list[str] = []
        """Cameras whose recording had ended when the service stopped."""
        self.url: str | None = None
        """Of the live page, while there is one."""

    # Open

    def __enter__(self) -> Service:
        with self._stack:
            self._open()
            self._stack = self._stack.pop_all()
        return self

    def _open(self) -> None:
        config, stack = self.config, self._stack
        self.commissioner = stack.enter_context(Commissioner(config)) if config.commissioning.folder else None
        self.bundle = read_bundle(bundle_or_default(config.watched_bundle))
        warn_about_rate(self.bundle)
        self._manager = CameraManager(
            self.bundle.manifest, self._queue, self._turn, config.keeps_pictures, config.stall_seconds,
            config.max_frames,
        )  # fmt: skip
        stack.callback(self._manager.stop)
        # Progress is for people who wait for a recording, not for a service or a program that reads the log.
        progress = len(config.cameras) == 1 and self._reread is None and config.log.format == "text"
        for name in config.cameras:
            self._manager.add(name, config.camera(name), progress)
        self.store = stack.enter_context(open_store(config.store))
        self._arming = Arming(self.store, config)
        self._labels = AlarmLabels(self.store)
        commands: dict[str, Command] = {ARMED_SET: partial(obey, self._arming), LABEL_SET: self._labels.obey}
        self._senders = stack.enter_context(Senders(self.store, config, commands))
        self._store_writer = stack.enter_context(StoreWriter(self.store))
        self._recorder = AlarmEventRecorder(
            self.store, self._store_writer, self._arming.is_armed, config.replay, config.privacy == "pictures"
        )
        self._states = StateWatch(self._manager, self._recorder, self._store_writer)
        stack.callback(lambda: self._recorder.close(self._ended))
        for name in config.cameras:
            self._set_decider(name)
        self._outputs = stack.enter_context(
            Outputs(config, {name: self._manager.fps(name) for name in config.cameras})
        )
        self._sinks: list[Sink] = [
            self._recorder,
            lambda result: self._latest.update({result.camera: result}),
            self.live,
            self._outputs,
            *self._listeners,
            *([self.commissioner] if self.commissioner else []),
        ]
        self._scoring = ScoringSupervisor(self._queue, self._deciders, self._sinks, self._clock)
        worker = self._scoring.open(config, self.bundle)
        stack.callback(self._finish_scoring)
        self._scoring.use(worker)
        self._recorder.model.update(self._model())
        if config.serve.address:
            self._server = stack.enter_context(
                serve(
                    config.serve, self.live, self.store, self.health, config.privacy, self._arming, self._labels,
                    self.save_zones,
                )
            )  # fmt: skip
            self.url = self._server.url

    def _model(self) -> dict[str, str]:
        manifest = sha256(self.bundle.folder / MANIFEST)
        return {"bundle": manifest, "scorer": self._scoring.worker.name, "daflow": __version__}

    def _set_decider(self, name: str) -> None:
        """Decide about a camera's alarm from now on, or with another rule or calibration than before."""
        options = self.config.camera(name)
        self._deciders[name] = decider = make_decider(self.bundle, name, options)
        self._recorder.set_camera(
            name, decider.calibration, options.alarm.update_seconds, decider.rule.threshold
        )

    # Start and supervise

    def run(self, each: Callable[[], None] = lambda: None) -> None:
        """Run until every recording has ended, or until `stop`.

        Args:
            each: called several times a second.

        Raises:
            CheckFailed: the scorer failed too often in a row, or too many camera threads have stalled.
        """
        self.start()
        self._notify_ready()
        while not (self._stop or self._manager.ended):
            self.supervise(_SUPERVISE_SECONDS)
            each()

    def start(self) -> None:
        """Begin to read the cameras."""
        self._manager.start()

    def supervise(self, seconds: float) -> None:
        """Wait for so long, then reload if asked to, and restart what failed or stalled.

        Raises:
            CheckFailed: the scorer failed too often in a row, or too many camera threads have stalled.
        """
        time.sleep(seconds)
        if self._reload:
            self._reload = False
            self._reload_config()
        if self._apply_again or (self.commissioner and self.commissioner.take_bundle()):
            self._apply_again = False
            self._apply_unless_wrong(lambda: self.config)
        self._manager.supervise(self._latest)
        self._senders.set_camera_states(self._manager.states(), self._arming.states())
        self._states.look(self.config)
        self._scoring.supervise(self.config, self.bundle)
        if self._server is not None and not self._server.alive and not self._page_stopped:
            self._page_stopped = True
            logger.error("the live page has stopped; restart daflow-edge to bring it back")
        systemd.notify("WATCHDOG=1")
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._saved = time.monotonic()
            self._recorder.log_drift()
            self._recorder.save_drift()

    def _notify_ready(self) -> None:
        systemd.notify("READY=1", f"STATUS=watching {', '.join(self.config.cameras)}")

    # Reload

    def reload(self) -> None:
        """Ask for the configuration to be read again; may be called by a signal handler.

        It only sets a flag, as `stop` does: a signal handler may interrupt whatever lock this thread holds.
        """
        self._reload = True

    def _reload_config(self) -> None:
        if self._reread is None:
            logger.warning("there is no configuration file to reload; start daflow-edge with --config FILE")
            return
        systemd.notify_reloading()
        self._apply_unless_wrong(self._reread)
        self._notify_ready()

    def save_zones(self, camera: str, zones: dict[str, Zone]) -> None:
        """Keep the zones of a camera that were drawn, and apply them soon; may be called from any thread.

        Raises:
            KeyError: there is no such camera.
            InputError: there is no place to keep them.
            OSError: they cannot be written.
        """
        if camera not in self.config.cameras:
            raise KeyError(camera)
        self._zones.save(camera, zones)
        self._apply_again = True

    def _apply_unless_wrong(self, read: Callable[[], Config]) -> None:
        try:
            self._apply(self._zones.apply(read()))
        except (InputError, CheckFailed) as error:
            logger.error("the configuration was not changed: %s", error.message)
        except OSError as error:
            logger.error("the configuration was not changed: %s", error.strerror or error)

    def _apply(self, new: Config) -> None:
        """Change what differs and nothing else; what can be checked is checked before anything is changed.

        Raises:
            InputError: the new configuration cannot be used, and nothing was changed.
            CheckFailed: an engine was built that does not score as its graph does, and nothing was changed.
        """
        commissioning = {"commissioning": self.config.commissioning}  # a change of it needs a restart
        bundle = read_bundle(new.model_copy(update=commissioning).bundle_folder)
        check_rules(new, bundle)
        plan = plan_reload(self.config, self.bundle, new, bundle)
        for name in plan.needs_restart:
            logger.warning("a change of %s needs a restart and is ignored until then", name)
        worker = self._scoring.open(plan.config, bundle) if plan.new_model else None
        try:
            self._senders.change(plan.config)
        except InputError:
            if worker is not None:
                worker.abandon()
            raise
        self._set_up_logs(plan.config.log)
        self._arming.set_cameras(plan.config)
        self.config, self.bundle, self._manager.manifest = plan.config, bundle, bundle.manifest
        if worker is not None:
            self._scoring.use(worker)
            warn_about_rate(self.bundle)
        self._recorder.model.update(self._model())
        for name in plan.removed:
            self._remove_camera(name)
        for name in plan.config.cameras:
            if name in plan.deciders:
                self._set_decider(name)
            if name in plan.workers:
                self._manager.change(name, plan.config.camera(name))
            elif name in plan.zones:
                self._manager.change_zones(name, plan.config.camera(name))
        if self.commissioner is not None:
            self.commissioner.set_cameras(plan.config)
        logger.info("the configuration was reloaded: %d cameras", len(plan.config.cameras))

    def _remove_camera(self, name: str) -> None:
        self._manager.remove(name)
        self._recorder.remove_camera(name)
        self.live.remove_camera(name)
        self._latest.pop(name, None)
        self._deciders.pop(name, None)

    # Stop

    def stop(self) -> None:
        """Ask for the end; may be called by a signal handler."""
        self._stop = True

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end, before its recordings did."""
        return self._stop

    def _finish_scoring(self) -> None:
        """Score what the cameras have queued, before the parts that take the results are closed."""
        self._ended = self._manager.ended_recordings()
        if self.commissioner is not None:
            self.commissioner.ended(self._ended)
        if self._scoring.worker.ended:
            self._queue.close()  # nothing takes from it any more, and cameras that wait for it could not stop
        self._manager.stop()
        self._scoring.finish(self.config.stall_seconds)

    def __exit__(self, *error: Any) -> None:
        systemd.notify("STOPPING=1")
        self._stack.__exit__(*error)

    # Report

    def health(self) -> dict[str, Any]:
        """Return the state of everything as values for JSON; may be called from any thread."""
        cameras = {name: self.camera_health(name) for name in list(self._deciders) if name in self._manager}
        scoring = self._scoring.works(self.config.stall_seconds)
        events = health.event_counts(self._store_writer, self.store)
        problems = health.problems(cameras, scoring, events["waiting"], self._page_stopped)
        return {
            "ready": not problems,
            "problems": problems,
            **health.uptime(self._began, time.monotonic() - self._began_monotonic),
            "version": __version__,
            "scorer": self._scoring.worker.name,
            "bundle": {
                "path": str(self.bundle.folder),
                "hash": self._recorder.model["bundle"],
                "fps": self.bundle.manifest.fps,
            },
            "temperature_c": temperature(),
            "memory_mb": memory_mb(),
            "cameras": cameras,
            "stages": health.stages(
                self.clocks(), [*self._manager.stage_totals.values(), self._clock.totals]
            ),
            "queue": {"length": len(self._queue), "capacity": self._manager.capacity},
            "events": {**events, "deliveries": self._senders.statistics()},
        }

    def camera_health(self, name: str) -> dict[str, Any]:
        """Return the state of one camera as values for JSON; may be called from any thread."""
        return {
            **self._manager.snapshot(name),
            **health.alarm_state(self._latest.get(name), self._deciders[name], self._recorder),
            **self._arming.facts(name),
            **self._labels.this_week(name),
            "recorded": self._outputs.recorded(name),
            "commissioning": self.commissioner.facts(name) if self.commissioner else None,
        }

    @property
    def scorer_name(self) -> str:
        """The engine and the precision that score."""
        return self._scoring.worker.name

    def clocks(self) -> list[StageClock]:
        """Return the clocks of all cameras and of the scoring thread."""
        return [*self._manager.clocks(), self._clock]

    def summary(self) -> list[str]:
        """Return a line for each camera: its frames, their rate, its alarms."""
        seconds = time.monotonic() - self._began_monotonic
        return [
            health.summary_line(
                self._manager.snapshot(name), seconds, self._recorder.alarms(name), decider, self.scorer_name
            )
            for name, decider in self._deciders.items()
        ]

    def errors(self) -> list[str]:
        """Return what went wrong for good, once the service is closed: recordings, files and events."""
        failures = self._manager.failures()
        cameras = [
            f"{name}: {error}" if len(self._deciders) > 1 else error for name, error in failures.items()
        ]
        return [*cameras, *self._outputs.errors, *self._senders.undelivered]
