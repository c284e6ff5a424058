"""The thread that scores: the windows of all cameras in one batch, then each camera's alarm and all who listen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from daflow.core.errors import CheckFailed, DaflowError
from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.stages import AlarmDecider, Sink, score_together
from runtime.service.camera_worker import CameraWorker, QueuedObservation
from runtime.service.frame_queue import FrameQueue
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_TURN_SECONDS = 0.25


class Scoring:
    """Scores what the cameras hand over until it is stopped; the thread opens, uses and closes the scorer.

    Args:
        open_scorer: opens what scores windows.
        queue: where the cameras put them.
        judges: the one of each camera; a camera without one is left out. May be changed while it runs.
        sinks: called with every result, in this thread.
        clock: where the time of each stage is counted; `delay` is the time from the arrival of a frame to its result.
    """

    def __init__(
        self,
        open_scorer: Callable[[], Scorer],
        queue: FrameQueue[QueuedObservation],
        judges: Mapping[str, AlarmDecider],
        sinks: Sequence[Sink],
        clock: StageClock,
    ) -> None:
        self.name = ""
        """Of the scorer, once it is open."""
        self.error: str | None = None
        self._failure: DaflowError | None = None
        self._open_scorer = open_scorer
        self._queue = queue
        self._judges = judges
        self._sinks = sinks
        self._clock = clock
        self._readers: dict[str, CameraWorker] = {}
        self._stopping = False
        self._beat = time.monotonic()
        self._opened, self._started = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)

    def open(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Open the scorer; building an engine takes minutes.

        Args:
            waiting: called now and then until it is.

        Raises:
            InputError: it cannot be opened.
            CheckFailed: an engine was built that does not score as its graph does.
        """
        self._thread.start()
        while not self._opened.wait(_TURN_SECONDS):
            waiting()
        if self._failure is not None:
            raise self._failure

    def start(self) -> None:
        """Begin to score."""
        self._beat = time.monotonic()
        self._started.set()

    @property
    def ended(self) -> bool:
        """Whether the thread is over: because it was stopped, or because the scorer failed."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def stalled(self, seconds: float) -> bool:
        """Whether it has been standing still for so long."""
        return self._started.is_set() and not self.ended and time.monotonic() - self._beat > seconds

    def finish(self, timeout: float) -> bool:
        """Score what the cameras handed over, and no more; return whether that was done in time."""
        self._queue.close()
        self._started.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Let nothing come from it any more, even if it goes on."""
        self._stopping = True
        self._started.set()

    def _run(self) -> None:
        try:
            with self._open_scorer() as scorer:
                self.name = scorer.name
                self._opened.set()
                self._started.wait()
                while not (self._stopping or self._queue.done):
                    self._beat = time.monotonic()
                    self._score(scorer, self._queue.take(_TURN_SECONDS))
        except DaflowError as error:
            self._failure, self.error = error, error.message
        except Exception as error:
            logger.debug("scoring", exc_info=True)
            self.error = f"{type(error).__name__}: {error}"
            self._failure = CheckFailed(f"The scorer cannot be opened: {self.error}.")
        finally:
            self._opened.set()

    def _score(self, scorer: Scorer, waiting: Sequence[tuple[str, QueuedObservation]]) -> None:
        taken = [
            (self._judges[camera], watched)
            for camera, watched in waiting
            if camera in self._judges and not (watched.worker and watched.worker.abandoned)
        ]
        if not taken:
            return
        self._clock.lap("wait")
        scores = score_together(scorer, [watched.observation for _, watched in taken])
        self._clock.lap("score")
        for (judge, watched), of_frame in zip(taken, scores, strict=True):
            # Another thread took over while this one stood still, or the camera has another judge since then.
            if self._stopping or self._judges.get(judge.camera) is not judge:
                continue
            self._on_worker_change(judge, watched.worker)
            result = judge.judge(watched.observation, of_frame)
            self._clock.lap("alarm")
            for sink in self._sinks:
                sink(result)
            self._clock.lap("sinks")
            if result.frame.utc:
                self._clock.add("delay", max(0.0, time.time() - result.frame.utc))

    def _on_worker_change(self, judge: AlarmDecider, worker: CameraWorker | None) -> None:
        """Another thread reads the camera: its people have the numbers of others."""
        if worker is not None and self._readers.get(judge.camera) is not worker:
            if judge.camera in self._readers:
                judge.forget_people()
            self._readers[judge.camera] = worker
