"""Keeps a scorer running: opens it, replaces it by another, opens it again when it fails or stalls, and ends it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from daflow.core.bundle import Bundle
from daflow.core.errors import CheckFailed, InputError
from runtime.config.schema import Config
from runtime.pipeline.alarm_decider import AlarmDecider
from runtime.pipeline.results import Sink
from runtime.scorers.registry import open_scorer
from runtime.service import systemd
from runtime.service.camera_worker import QueuedObservation
from runtime.service.frame_queue import FrameQueue
from runtime.service.scoring_worker import ScoringWorker
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_MAX_RESTARTS = 3
"""Times in a row that a scorer is opened again before the process ends, so that systemd or Docker restarts it."""


class ScoringSupervisor:
    """The scoring worker of a service, and its successors.

    Args:
        queue: where the cameras put their observations.
        deciders: of each camera.
        sinks: called with every result.
        clock: where the time of each stage is counted.
    """

    def __init__(
        self,
        queue: FrameQueue[QueuedObservation],
        deciders: Mapping[str, AlarmDecider],
        sinks: Sequence[Sink],
        clock: StageClock,
    ) -> None:
        self._queue = queue
        self._deciders = deciders
        self._sinks = sinks
        self._clock = clock
        self._worker: ScoringWorker | None = None
        self.restarts = 0
        """In a row."""

    def open(self, config: Config, bundle: Bundle) -> ScoringWorker:
        """Open a scorer in a thread of its own; meanwhile systemd is asked to wait, since an engine takes minutes.

        Raises:
            InputError: it cannot be opened.
            CheckFailed: an engine was built that does not score as its graph does.
        """
        worker = ScoringWorker(
            lambda: open_scorer(bundle, config.scorer, config.precision), self._queue, self._deciders, self._sinks,
            self._clock,
        )  # fmt: skip
        worker.open(lambda: systemd.notify("WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000"))
        return worker

    def use(self, worker: ScoringWorker) -> None:
        """Let a worker that is open score from now on, in the place of the one before."""
        if self._worker is not None:
            self._worker.abandon()
        self._worker = worker
        worker.start()

    @property
    def worker(self) -> ScoringWorker:
        """The worker that scores."""
        assert self._worker is not None
        return self._worker

    def works(self, stall_seconds: float) -> bool:
        """Whether the scorer has neither failed nor stalled."""
        return not (self.worker.error or self.worker.stalled(stall_seconds))

    def supervise(self, config: Config, bundle: Bundle) -> None:
        """Open the scorer again if it has failed or stalled.

        Raises:
            CheckFailed: it failed too often in a row.
        """
        if self.works(config.stall_seconds):
            if self._clock.seconds.get("score"):
                self.restarts = 0
            return
        reason = self.worker.error or "it has stalled"
        self.restarts += 1
        if self.restarts > _MAX_RESTARTS:
            raise CheckFailed(f"The scorer failed {_MAX_RESTARTS} times in a row: {reason}.")
        logger.error("restarting the scorer: %s", reason)
        self.worker.abandon()
        self._clock.seconds.pop("score", None)
        try:
            self.use(self.open(config, bundle))
        except (InputError, CheckFailed) as error:
            logger.error("the scorer cannot be opened: %s", error.message)

    def finish(self, stall_seconds: float) -> None:
        """Score what is queued, and end."""
        if not self.worker.finish(stall_seconds):
            logger.error("the scorer has stalled; frames that wait for it are not scored")
            self.worker.abandon()
