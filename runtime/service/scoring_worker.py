"""The scoring thread: scores the windows of all cameras in one batch, then decides each camera's alarm."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from daflow.core.errors import CheckFailed, DaflowError
from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.alarm_decider import AlarmDecider
from runtime.pipeline.batch_scoring import score_batch
from runtime.pipeline.results import Sink
from runtime.service.camera_worker import CameraWorker, QueuedObservation
from runtime.service.frame_queue import FrameQueue
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.25


class ScoringWorker:
    """Scores what the cameras queue until it is stopped; its thread opens, uses and closes the scorer.

    Args:
        open_scorer: opens the scorer.
        queue: where the cameras put their observations.
        deciders: of each camera; a camera without one is skipped. It may be changed while the worker runs.
        sinks: called with every result, in this thread.
        clock: where the time of each stage is counted; `delay` is the time from the arrival of a frame to its result.
    """

    def __init__(
        self,
        open_scorer: Callable[[], Scorer],
        queue: FrameQueue[QueuedObservation],
        deciders: Mapping[str, AlarmDecider],
        sinks: Sequence[Sink],
        clock: StageClock,
    ) -> None:
        self.name = ""
        """Of the scorer, once it is open."""
        self.error: str | None = None
        self._failure: DaflowError | None = None
        self._open_scorer = open_scorer
        self._queue = queue
        self._deciders = deciders
        self._sinks = sinks
        self._clock = clock
        self._last_workers: dict[str, CameraWorker] = {}
        self._stopping = False
        self._last_active = time.monotonic()
        self._opened, self._started = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)

    def open(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Open the scorer; building an engine takes minutes.

        Args:
            waiting: called four times per second until it is open.

        Raises:
            InputError: it cannot be opened.
            CheckFailed: an engine was built that does not score as its graph does.
        """
        self._thread.start()
        while not self._opened.wait(_POLL_SECONDS):
            waiting()
        if self._failure is not None:
            raise self._failure

    def start(self) -> None:
        """Begin to score."""
        self._last_active = time.monotonic()
        self._started.set()

    @property
    def ended(self) -> bool:
        """Whether the thread has ended: because it was stopped, or because the scorer failed."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def stalled(self, seconds: float) -> bool:
        """Whether scoring has taken longer than `seconds`."""
        return self._started.is_set() and not self.ended and time.monotonic() - self._last_active > seconds

    def finish(self, timeout: float) -> bool:
        """Score what is queued, and no more; return whether that was done in time."""
        self._queue.close()
        self._started.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Stop without waiting; if the thread goes on, its results are skipped."""
        self._stopping = True
        self._started.set()

    def _run(self) -> None:
        try:
            with self._open_scorer() as scorer:
                self.name = scorer.name
                self._opened.set()
                self._started.wait()
                while not (self._stopping or self._queue.done):
                    self._last_active = time.monotonic()
                    self._score(scorer, self._queue.take(_POLL_SECONDS))
        except DaflowError as error:
            self._failure, self.error = error, error.message
        except Exception as error:
            logger.debug("scoring", exc_info=True)
            self.error = f"{type(error).__name__}: {error}"
            self._failure = CheckFailed(f"The scorer cannot be opened: {self.error}.")
        finally:
            self._opened.set()

    def _score(self, scorer: Scorer, items: Sequence[tuple[str, QueuedObservation]]) -> None:
        taken = [
            (self._deciders[camera], queued)
            for camera, queued in items
            if camera in self._deciders and not (queued.worker and queued.worker.abandoned)
        ]
        if not taken:
            return
        self._clock.lap("wait")
        scores = score_batch(scorer, [queued.observation for _, queued in taken])
        self._clock.lap("score")
        for (decider, queued), of_frame in zip(taken, scores, strict=True):
            # Meanwhile this worker may have been abandoned, or the camera may have got another decider.
            if self._stopping or self._deciders.get(decider.camera) is not decider:
                continue
            self._on_worker_change(decider, queued.worker)
            result = decider.decide(queued.observation, of_frame)
            if queued.absence is not None:
                result = replace(result, absence=queued.absence)
            self._clock.lap("alarm")
            for sink in self._sinks:
                sink(result)
            self._clock.lap("sinks")
            if result.frame.utc:
                self._clock.add("delay", max(0.0, time.time() - result.frame.utc))

    def _on_worker_change(self, decider: AlarmDecider, worker: CameraWorker | None) -> None:
        """Forget the people of a camera that another worker reads: it numbers people from 0 again."""
        if worker is not None and self._last_workers.get(decider.camera) is not worker:
            if decider.camera in self._last_workers:
                decider.forget_people()
            self._last_workers[decider.camera] = worker
