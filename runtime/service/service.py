"""The running edge: cameras, scorer, alarms, events and the live page, watched and kept going by one supervisor."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from daflow.core.bundle import MANIFEST, Bundle, read_bundle
from daflow.core.errors import CheckFailed, InputError
from daflow.core.files import sha256
from daflow.core.version import __version__
from runtime.config.schema import Camera, Config
from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.senders import Senders
from runtime.events.store import EventStore, StoreError
from runtime.events.store_writer import StoreWriter
from runtime.machine.board import memory_mb, temperature
from runtime.outputs.run_files import Outputs
from runtime.pipeline.alarm_rule import alarm_rule, check_rules
from runtime.pipeline.results import FrameResult
from runtime.pipeline.stages import AlarmDecider, Sink
from runtime.scorers.registry import open_scorer
from runtime.service import health
from runtime.service import systemd as notify
from runtime.service.camera_worker import QueuedObservation
from runtime.service.cameras import CameraManager
from runtime.service.frame_queue import FrameQueue
from runtime.service.logs import set_up_logs
from runtime.service.scoring_worker import Scoring
from runtime.stage_clock import StageClock
from runtime.web.live_state import LiveState
from runtime.web.server import Served, serve

logger = logging.getLogger(__name__)

_TURN_SECONDS = 0.2
_REMEMBER_SECONDS = 300.0
_MAX_RESTARTS = 3
"""Times in a row that a scorer is opened again before the process gives up, for its manager to start it anew."""
_UNCHANGEABLE = ("store", "serve", "privacy", "video", "scores", "record", "max_frames", "stall_seconds")


class Service:
    """Everything that one configuration asks for; a context manager that opens it and closes it in order.

    Args:
        config: what to run.
        reread: returns the configuration anew, for `reload`; None when there is no file.
        listeners: also take every result, in the thread that scores.

    Raises:
        InputError: a part of it cannot be opened; what was opened is closed again.
    """

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config] | None = None,
        listeners: Sequence[Sink] = (),
    ) -> None:
        self.config = config
        self._reread = reread
        self._listeners = tuple(listeners)
        self._began, self._began_clock = time.time(), time.monotonic()
        self._stack = contextlib.ExitStack()
        self._stop = False
        self._reload = False
        self._scoring_restarts = 0
        self._remembered = time.monotonic()
        self._latest: dict[str, FrameResult] = {}
        self._judges: dict[str, AlarmDecider] = {}
        self._queue: FrameQueue[QueuedObservation] = FrameQueue()
        self._clock = StageClock()
        self.live = LiveState()
        self._served: Served | None = None
        self._page_lost = False
        self.url: str | None = None
        """Of the live page, while there is one."""

    # The parts, in the order in which they are opened

    def __enter__(self) -> Service:
        with self._stack:
            self._open()
            self._stack = self._stack.pop_all()
        return self

    def _open(self) -> None:
        config, stack = self.config, self._stack
        self.bundle = read_bundle(config.bundle)
        self._manager = CameraManager(
            self.bundle.manifest,
            self._queue,
            config.privacy == "pictures",
            config.stall_seconds,
            config.max_frames,
        )
        stack.callback(self._manager.stop)
        # A service, and machines that read its log, have no use for how far a recording is.
        progress = len(config.cameras) == 1 and self._reread is None and config.log.format == "text"
        for name in config.cameras:
            self._manager.add(name, config.camera(name), progress)
        store = config.store
        self.store = stack.enter_context(EventStore(store.path, store.keep_days, store.keep_messages))
        self._senders = stack.enter_context(Senders(self.store, config))
        self._store_writer = stack.enter_context(StoreWriter(self.store))
        self._recorder = AlarmEventRecorder(self.store, self._store_writer)
        stack.callback(self._recorder.close)
        for name in config.cameras:
            self._watch(name)
        self._outputs = stack.enter_context(
            Outputs(config, {name: self._manager.fps(name) for name in config.cameras})
        )
        self._sinks: list[Sink] = [
            self._recorder,
            self._remember_latest,
            self.live,
            self._outputs,
            *self._listeners,
        ]
        self._scoring = self._open_scoring(config, self.bundle)
        stack.callback(self._finish)
        self._scoring.start()
        self._recorder.model.update(self._model())
        if config.serve.address:
            self._served = stack.enter_context(
                serve(config.serve, self.live, self.store, self.health, config.privacy)
            )
            self.url = self._served.url

    def _open_scoring(self, config: Config, bundle: Bundle) -> Scoring:
        """Open a scorer in a thread of its own; systemd is told that this takes its time."""
        scoring = Scoring(
            lambda: open_scorer(bundle, config.scorer, config.precision), self._queue, self._judges, self._sinks,
            self._clock,
        )  # fmt: skip
        scoring.open(lambda: notify.notify("WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000"))
        return scoring

    def _model(self) -> dict[str, str]:
        manifest = sha256(self.bundle.folder / MANIFEST)
        return {"bundle": manifest, "scorer": self._scoring.name, "daflow": __version__}

    def _watch(self, name: str) -> None:
        """Begin, or begin anew, to judge a camera."""
        options = self.config.camera(name).alarm
        calibration = self.bundle.alarm_for(name)
        rule = alarm_rule(self.bundle, name, options)
        if calibration is not None and calibration.smoothing_seconds != rule.smoothing_seconds:
            logger.warning(
                "camera %s smooths scores otherwise than its calibration did: no p-values and no drift watch",
                name,
            )
            calibration = None
        self._judges[name] = AlarmDecider(name, rule, calibration)
        self._recorder.watch(name, calibration, options.update_seconds)

    def _finish(self) -> None:
        """Let nothing that was seen get lost: what the cameras handed over is scored before the rest is closed."""
        self._manager.stop()
        if not self._scoring.finish(self.config.stall_seconds):
            logger.error("the scorer stands still; what waits for it is left out")
            self._scoring.abandon()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        notify.notify("STOPPING=1")
        self._stack.__exit__(kind, error, trace)

    # The run

    def stop(self) -> None:
        """Ask for the end; may be called by a signal handler."""
        self._stop = True

    def reload(self) -> None:
        """Ask for the configuration to be read again; may be called by a signal handler."""
        self._reload = True

    def run(self) -> None:
        """Run until every recording has ended, or until `stop`.

        Raises:
            CheckFailed: the scorer fails again and again.
        """
        self.start()
        notify.notify("READY=1", f"STATUS=watching {', '.join(self.config.cameras)}")
        while not (self._stop or self._manager.ended):
            self.supervise(_TURN_SECONDS)

    def start(self) -> None:
        """Begin to read."""
        self._manager.start()

    def supervise(self, seconds: float) -> None:
        """Wait for so long, and see that everything goes on.

        A signal handler only sets a flag: it may interrupt whatever lock this thread holds.

        Raises:
            CheckFailed: the scorer fails again and again.
        """
        time.sleep(seconds)
        if self._reload:
            self._reload = False
            self._reload_config()
        self._manager.supervise(self._latest)
        if self._scoring.error or self._scoring.stalled(self.config.stall_seconds):
            self._restart_scoring()
        elif self._clock.seconds.get("score"):
            self._scoring_restarts = 0
        if self._served is not None and not self._served.alive and not self._page_lost:
            self._page_lost = True
            logger.error("the live page has stopped; it comes back when daflow-edge is started again")
        notify.notify("WATCHDOG=1")
        if time.monotonic() - self._remembered > _REMEMBER_SECONDS:
            self._remembered = time.monotonic()
            self._recorder.log_drift()
            self._recorder.remember()

    def _restart_scoring(self) -> None:
        reason = self._scoring.error or "it stands still"
        self._scoring_restarts += 1
        if self._scoring_restarts > _MAX_RESTARTS:
            raise CheckFailed(f"The scorer failed {_MAX_RESTARTS} times in a row: {reason}.")
        logger.error("the scorer failed and is opened again: %s", reason)
        self._scoring.abandon()
        self._clock.seconds.pop("score", None)
        try:
            self._scoring = self._open_scoring(self.config, self.bundle)
            self._scoring.start()
        except (InputError, CheckFailed) as error:
            logger.error("the scorer cannot be opened: %s", error.message)

    def _remember_latest(self, result: FrameResult) -> None:
        self._latest[result.camera] = result

    # Reloading

    def _reload_config(self) -> None:
        if self._reread is None:
            logger.warning("there is no file to read again: start with --config")
            return
        notify.notify_reloading()
        try:
            self._apply(self._reread())
        except (InputError, CheckFailed) as error:
            logger.error("the configuration stays as it was: %s", error.message)
        except OSError as error:
            logger.error("the configuration stays as it was: %s", error.strerror or error)
        notify.notify("READY=1", f"STATUS=watching {', '.join(self.config.cameras)}")

    def _apply(self, new: Config) -> None:
        """Change what differs and leave alone what does not; all or nothing as far as it can be known before.

        Raises:
            InputError: the new configuration cannot be used, and nothing was changed.
        """
        old, old_bundle, bundle = self.config, self.bundle, read_bundle(new.bundle)
        check_rules(new, bundle)
        for name in _UNCHANGEABLE:
            if getattr(new, name) != getattr(old, name):
                logger.warning("%s changes at the next start, not by reloading", name)
        new = new.model_copy(update={name: getattr(old, name) for name in _UNCHANGEABLE})
        other_model = bundle.manifest.files != old_bundle.manifest.files or _differ(
            old, new, "scorer", "precision"
        )
        scoring = self._open_scoring(new, bundle) if other_model else self._scoring
        try:
            self._senders.change(new)
        except InputError:
            if other_model:
                scoring.abandon()
            raise
        set_up_logs(new.log)
        self.config, self.bundle, self._manager.manifest = new, bundle, bundle.manifest
        if other_model:
            self._scoring.abandon()
            self._scoring = scoring
            scoring.start()
        self._recorder.model.update(self._model())
        for name in set(old.cameras) - set(new.cameras):
            self._leave(name)
        for name in new.cameras:
            before, options = (old.camera(name) if name in old.cameras else None), new.camera(name)
            calibrated = old_bundle.alarm_for(name) == bundle.alarm_for(name)
            if before is None or not calibrated or before.alarm != options.alarm or other_model:
                self._watch(name)
            if before is None or _without_alarm(before) != _without_alarm(options) or other_model:
                self._manager.change(name, options)
        logger.info("the configuration was read again: %d cameras", len(new.cameras))

    def _leave(self, name: str) -> None:
        self._manager.remove(name)
        self._recorder.leave(name)
        self.live.forget(name)
        self._latest.pop(name, None)
        self._judges.pop(name, None)

    # What others are told

    def health(self) -> dict[str, Any]:
        """Return the state of everything as plain values for JSON; may be called from any thread."""
        cameras = {name: self.camera_health(name) for name in list(self._judges) if name in self._manager}
        scoring = not (self._scoring.error or self._scoring.stalled(self.config.stall_seconds))
        waiting = self._store_writer.statistics()["waiting"]
        found = health.problems(cameras, scoring, waiting)
        if self._page_lost:
            found.append("the live page has stopped")
        return {
            "ready": not found,
            "problems": found,
            **health.uptime(self._began, time.monotonic() - self._began_clock),
            "version": __version__,
            "scorer": self._scoring.name,
            "bundle": {"path": str(self.bundle.folder), "hash": self._recorder.model["bundle"]},
            "temperature_c": temperature(),
            "memory_mb": memory_mb(),
            "cameras": cameras,
            "stages": health.stages(self.clocks()),
            "queue": {"length": len(self._queue), "capacity": self._manager.capacity},
            "events": {
                **self._event_counts(),
                "deliveries": self._senders.statistics(),
            },
        }

    @property
    def scorer_name(self) -> str:
        """The engine and the precision that score."""
        return self._scoring.name

    def clocks(self) -> list[StageClock]:
        """The clocks of all cameras and of the scoring thread."""
        return [*self._manager.clocks(), self._clock]

    def _event_counts(self) -> dict[str, int]:
        counts = self._store_writer.statistics()
        with contextlib.suppress(StoreError):
            counts["lost"] += self.store.lost
        return counts

    def camera_health(self, name: str) -> dict[str, Any]:
        """Return the state of one camera; may be called from any thread."""
        result, judge = self._latest.get(name), self._judges[name]
        worst = result.worst if result else None
        drift = self._recorder.drift(name)
        return {
            **self._manager.snapshot(name),
            "people": len(result.people) if result else 0,
            "score": worst.smoothed if worst else None,
            "p_value": worst.p_value if worst else None,
            "alarm": bool(result and result.alarm),
            "alarms": self._recorder.alarms(name),
            "unusable": judge.unusable,
            "threshold": judge.rule.threshold,
            "drift": drift.message if drift else None,
            "drifting": drift.state == "drifting" if drift else None,
        }

    def summary(self) -> list[str]:
        """Say in a line for each camera what came of it."""
        seconds = max(time.monotonic() - self._began_clock, 1e-9)
        lines = []
        for name, judge in self._judges.items():
            frames = self._manager.frames(name)
            unusable = (
                f", {judge.unusable} windows could not be scored (NaN or no spread)" if judge.unusable else ""
            )
            lines.append(
                f"{self._manager.snapshot(name)['source']}: {frames} frames in {seconds:.1f} s "
                f"({frames / seconds:.0f} a second), {self._recorder.alarms(name)} alarms at threshold "
                f"{judge.rule.threshold:.3f}, {self._scoring.name}{unusable}"
            )
        return lines

    def complaints(self) -> list[str]:
        """Say what went wrong for good, once it is closed: recordings, files and events."""
        broken = self._manager.failures()
        cameras = [f"{name}: {error}" if len(self._judges) > 1 else error for name, error in broken.items()]
        return [*cameras, *self._outputs.errors, *self._senders.undelivered]


def _differ(old: Config, new: Config, *names: str) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in names)


def _without_alarm(options: Camera) -> dict[str, Any]:
    return dict(options.model_dump(exclude={"alarm"}))
