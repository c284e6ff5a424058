"""The thread that scores: the windows of all cameras in one batch, then each camera's alarm and all who listen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from daflow.scorer import Scorer
from runtime.camera import Watched
from runtime.clock import StageClock
from runtime.inbox import Inbox
from runtime.pipeline import Judge, Sink, score_together
from runtime.results import Result

logger = logging.getLogger(__name__)

_TURN_SECONDS = 0.25


class Scoring:
    """Scores what the cameras hand over until it is stopped.

    Args:
        scorer: scores windows.
        inbox: where the cameras put them.
        judges: the one of each camera; a camera without one is left out. May be changed while it runs.
        sinks: called with every result, in this thread.
        clock: where the time of each stage is counted; `delay` is the time from the arrival of a frame to its result.
    """

    def __init__(
        self,
        scorer: Scorer,
        inbox: Inbox[Watched],
        judges: Mapping[str, Judge],
        sinks: Sequence[Sink],
        clock: StageClock,
    ) -> None:
        self.scorer = scorer
        self.error: str | None = None
        self._inbox = inbox
        self._judges = judges
        self._sinks = sinks
        self._clock = clock
        self._stopping = False
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the thread is over: because it was stopped, or because the scorer failed."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def stalled(self, seconds: float) -> bool:
        """Whether it has been standing still for so long."""
        return not self.ended and time.monotonic() - self._beat > seconds

    def finish(self, timeout: float) -> bool:
        """Score what the cameras handed over, and no more; return whether that was done in time."""
        self._inbox.close()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Let nothing come from it any more, even if it goes on."""
        self._stopping = True

    def _run(self) -> None:
        try:
            while not (self._stopping or self._inbox.done):
                self._beat = time.monotonic()
                self._score(self._inbox.take(_TURN_SECONDS))
        except Exception as error:
            logger.debug("scoring", exc_info=True)
            self.error = f"{type(error).__name__}: {error}"

    def _score(self, waiting: Sequence[tuple[str, Watched]]) -> None:
        taken = [
            (self._judges[camera], watched)
            for camera, watched in waiting
            if camera in self._judges and not watched.worker.abandoned
        ]
        if not taken:
            return
        self._clock.lap("wait")
        scores = score_together(self.scorer, [watched.observation for _, watched in taken])
        self._clock.lap("score")
        if self._stopping:  # it stood still so long that another thread took over
            return
        for (judge, watched), of_frame in zip(taken, scores, strict=True):
            result = judge.judge(watched.observation, of_frame)
            self._clock.lap("alarm")
            self._hand_over(result)
            self._clock.lap("sinks")
            if result.frame.utc:
                self._clock.add("delay", max(0.0, time.time() - result.frame.utc))

    def _hand_over(self, result: Result) -> None:
        for sink in self._sinks:
            sink(result)
