"""One camera's thread: from its source to windows that wait to be scored."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from daflow.core.alarms.zones import Zone
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.resampling import is_same_rate
from daflow.core.errors import InputError
from daflow.core.progress import track
from runtime.config.schema import Camera
from runtime.pipeline.observer import Observation, Observer
from runtime.pipeline.results import Absence
from runtime.poses.people import open_people
from runtime.service.frame_queue import FrameQueue
from runtime.sources.frames import Frame
from runtime.sources.uri import is_live, needs_poses, open_source
from runtime.stage_clock import StageClock, StageTotals

logger = logging.getLogger(__name__)

_STATES_WITH_PICTURES = ("streaming", "frozen", "black")
# Observations that may wait to be scored: those of a camera get old, those of a recording do not.
_CAPACITY_LIVE, _CAPACITY_RECORDED = 2, 8
_FRAME_GAP = 1000  # frame numbers that are skipped when a camera restarts: more than any window spans
_RATE_FRAMES = 50
_RATE_SECONDS = 10.0


@dataclass(frozen=True)
class QueuedObservation:
    """An observation that waits to be scored.

    Attributes:
        worker: that made it; None for the empty frame of a camera that gives none.
        observation: the frame and its windows.
        absence: why the camera gives no frames; None with a worker.
    """

    worker: CameraWorker | None
    observation: Observation
    absence: Absence | None = None


@dataclass(frozen=True)
class StreamPosition:
    """The last frame of a camera's stream, from which another worker continues.

    Attributes:
        frame: its number.
        time: its stream time, seconds.
        size: of its picture, pixels.
        monotonic: the monotonic clock when it was read, seconds.
    """

    frame: int
    time: float
    size: FrameSize
    monotonic: float

    def now(self) -> float:
        """Return the stream time now, seconds."""
        return self.time + time.monotonic() - self.monotonic


class ProcessingRate:
    """How many frames per second were processed lately, by the clock of the machine.

    Args:
        now: gives seconds that never go back.

    >>> rate = ProcessingRate(now=lambda: 2.0)
    >>> for second in (1.0, 1.5, 2.0):
    ...     rate.add(second)
    >>> rate.per_second()
    2.0
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._times: deque[float] = deque(maxlen=_RATE_FRAMES)

    def add(self, time: float) -> None:
        """Count a frame that was read at a time, seconds."""
        self._times.append(time)

    def per_second(self) -> float:
        """Return frames per second; 0 when none came for ten seconds. May be called from another thread."""
        times = list(self._times)
        if len(times) < 2 or self._now() - times[-1] > _RATE_SECONDS:
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], 1e-6)


class CameraWorker:
    """Reads a camera in a thread of its own, finds its people, and queues their windows.

    Args:
        name: of the camera.
        options: what to read and how.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        queue: where the windows go.
        turn: the lock that the workers of all cameras share, see `Observer`.
        keep_pictures: whether the pictures are needed after the poses are found.
        max_frames: stop after so many.
        progress: whether to show the progress of a recording.
        resume_from: where another worker stopped; time and frame numbers continue from there.
        fps: frames per second that the model was trained at; None takes frames of any rate as they are.
        totals: how long each stage took in earlier workers of the camera; this one goes on counting.

    Raises:
        InputError: a recording, pose model or package is missing. An unreachable camera is no error: it is retried.
    """

    def __init__(
        self,
        name: str,
        options: Camera,
        window: int,
        max_missing: int,
        queue: FrameQueue[QueuedObservation],
        turn: threading.Lock,
        keep_pictures: bool,
        max_frames: int | None = None,
        progress: bool = False,
        resume_from: StreamPosition | None = None,
        fps: float | None = None,
        totals: dict[str, StageTotals] | None = None,
    ) -> None:
        self.position = resume_from
        """Of the last frame that was queued."""
        self._time_offset, self._frame_offset = (
            (resume_from.now(), resume_from.frame + _FRAME_GAP) if resume_from else (0.0, 0)
        )
        self.name = name
        self.options = options
        self.live = is_live(options.source)
        self.capacity = _CAPACITY_LIVE if self.live else _CAPACITY_RECORDED
        self.frames = 0
        self.abandoned = False
        """Whether another worker has replaced it: what it still queues is skipped."""
        self.error: str | None = None
        """Why the thread ended before its source did."""
        self.clock = StageClock(totals=totals)
        self.source = open_source(
            options.source, options.policy, options.realtime, f"camera {name}", options.fps
        )
        try:
            self._finder = open_people(options, self.source.fps, needs_poses(options.source))
        except BaseException:
            self.source.__exit__(None, None, None)
            raise
        self._observer = Observer(self._finder, window, max_missing, self.clock, turn, fps, options.zones)
        self._queue = queue
        self._keep_pictures = keep_pictures
        self._max_frames = max_frames
        self._progress = progress and not self.live
        self._stopping = threading.Event()
        self._rate = ProcessingRate()
        self._fps = fps
        self._told_rate = False
        self._rate_reason: str | None = None
        self._opened = time.monotonic()
        self._stage, self._stage_since = "capture", self._opened
        self._thread = threading.Thread(target=self._run, name=f"camera-{name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._opened

    @property
    def started(self) -> bool:
        """Whether it began to read."""
        return self._thread.ident is not None

    @property
    def ended(self) -> bool:
        """Whether the thread has ended, because of the end of its source, an error, or `stop`."""
        return self.started and not self._thread.is_alive()

    def stalled(self, seconds: float) -> str | None:
        """Return the stage that has taken longer than `seconds`, None when there is none.

        Waiting for the queue does not count, nor does waiting for a picture, unless the source has pictures.
        """
        stage, since = self._stage, self._stage_since
        if self.ended or not self.started or stage == "queue" or time.monotonic() - since <= seconds:
            return None
        if stage == "capture" and not (self.live and self.source.status.state in _STATES_WITH_PICTURES):
            return None
        return stage

    def rate(self) -> float:
        """Return the recent rate, frames per second."""
        return self._rate.per_second()

    def set_zones(self, zones: Mapping[str, Zone]) -> None:
        """Take other zones from the next frame on."""
        self._observer.set_zones(zones)

    @property
    def stream_rate(self) -> float | None:
        """Frames per second of the last frames by their time stamps; None while there were too few."""
        return self._observer.rate

    @property
    def rate_reason(self) -> str | None:
        """Why nobody can be scored at this rate; None when it is near enough to the model's."""
        return self._observer.rate_reason

    def abandon(self) -> None:
        """Stop without waiting, and skip what it still queues."""
        self.abandoned = True
        self.stop(timeout=0)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop reading; a thread that does not end in time is left running."""
        self._stopping.set()
        if not self.started:
            self._finder.__exit__(None, None, None)
        if self.live or not self.started:  # a recording is closed by the thread that may be decoding it
            self.source.__exit__(None, None, None)
        if self.started:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            with self._finder, self.source:
                self._read()
        except InputError as error:
            self.error = error.message
        except Exception as error:
            logger.debug("camera %s", self.name, exc_info=True)
            self.error = f"{self._stage} failed: {type(error).__name__}: {error}"

    def _read(self) -> None:
        self.clock.lap("start")
        for frame in self._frames():
            self.clock.lap("capture")
            self._enter_stage("pose")
            observation = self._observer.observe(self._continue_stream(frame))
            self._log_rate()
            if not self._keep_pictures and frame.image is not None:
                observation = replace(observation, frame=replace(frame, image=None))
            self._enter_stage("queue")
            queued = QueuedObservation(self, observation)
            if self._stopping.is_set() or not self._queue.put(self.name, queued, self.capacity):
                return
            self.frames += 1
            last = observation.frame
            self.position = StreamPosition(last.index, last.time, last.size, self._stage_since)
            self._rate.add(self._stage_since)
            if self.frames == self._max_frames:
                return
            self._enter_stage("capture")
            self.clock.lap("queue")

    def _log_rate(self) -> None:
        """Log once that the poses are sampled at the model's rate, and when nobody can be scored at the camera's."""
        rate, model = self._observer.rate, self._fps
        if not self._told_rate and rate is not None:
            self._told_rate = True
            if model is not None and not is_same_rate(rate, model):
                logger.info(
                    "camera %s: %.3g frames per second are sampled at the %.3g of the model",
                    self.name,
                    rate,
                    model,
                )
        reason = self._observer.rate_reason
        if (reason is None) == (self._rate_reason is None):
            return
        self._rate_reason = reason
        if reason is None:
            logger.info("camera %s: its frame rate can be scored again", self.name)
        else:
            logger.warning("camera %s: nobody is scored: %s", self.name, reason)

    def _continue_stream(self, frame: Frame) -> Frame:
        """Return a frame with its time and number counted from when the camera was first read."""
        if not self._frame_offset:
            return frame
        return replace(frame, time=frame.time + self._time_offset, index=frame.index + self._frame_offset)

    def _frames(self) -> Iterator[Frame]:
        if not self._progress:
            return iter(self.source)
        known = [number for number in (self.source.frames, self._max_frames) if number is not None]
        return track(self.source, "frames", min(known) if known else None)

    def _enter_stage(self, stage: str) -> None:
        self._stage, self._stage_since = stage, time.monotonic()
