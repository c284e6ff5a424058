"""One camera's thread: from its source to windows that wait to be scored."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from daflow.core.data.tracks import FrameSize
from daflow.core.errors import InputError
from daflow.core.progress import track
from runtime.config.schema import Camera
from runtime.pipeline.stages import Observation, Observer
from runtime.poses.people import open_people
from runtime.service.frame_queue import FrameQueue
from runtime.sources.frames import Frame
from runtime.sources.uri import is_live, needs_poses, open_source
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)

_WITH_PICTURES = ("streaming", "frozen", "black")
_ROOM_LIVE, _ROOM_RECORDED = (
    2,
    8,
)  # observations that may wait: a live picture gets old, a recorded one does not
_GAP = 1000  # frame numbers left out where a camera is read anew: more than any window bridges
_RATE_FRAMES = 50
_RATE_SECONDS = 10.0


@dataclass(frozen=True)
class QueuedObservation:
    """An observation on its way to be scored, and the thread that it comes from; None when nobody reads the camera."""

    worker: CameraWorker | None
    observation: Observation


@dataclass(frozen=True)
class StreamPosition:
    """Where a camera's stream was when a frame was handed over, so that another thread can go on from there.

    Attributes:
        frame: its number.
        time: its stream time, seconds.
        size: of its picture, pixels.
        clock: the monotonic clock then, seconds.
    """

    frame: int
    time: float
    size: FrameSize
    clock: float

    def now(self) -> float:
        """Return what the stream time is by now."""
        return self.time + time.monotonic() - self.clock


class CameraWorker:
    """Reads a camera in a thread of its own, finds its people, and hands their windows over.

    Args:
        name: of the camera.
        options: what to read and how.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        queue: where the windows go.
        keep_pictures: whether anything needs the pictures after the poses are found.
        max_frames: stop after so many.
        progress: whether to show how far a recording is.
        after: where another thread left off; time and numbers go on from there.

    Raises:
        InputError: a recording, pose model or package is missing. A camera that is not there is waited for instead.
    """

    def __init__(
        self,
        name: str,
        options: Camera,
        window: int,
        max_missing: int,
        queue: FrameQueue[QueuedObservation],
        keep_pictures: bool,
        max_frames: int | None = None,
        progress: bool = False,
        after: StreamPosition | None = None,
    ) -> None:
        self.last = after
        """The last frame that was handed over."""
        self._time_before, self._frames_before = (after.now(), after.frame + _GAP) if after else (0.0, 0)
        self.name = name
        self.options = options
        self.live = is_live(options.source)
        self.room = _ROOM_LIVE if self.live else _ROOM_RECORDED
        self.frames = 0
        self.abandoned = False
        """Whether another took its place: what still comes from it is to be left out."""
        self.error: str | None = None
        """Why the thread ended before its source did."""
        self.clock = StageClock()
        self.source = open_source(options.source, options.policy, options.realtime, f"camera {name}")
        try:
            self._finder = open_people(options, self.source.fps, needs_poses(options.source))
        except BaseException:
            self.source.__exit__(None, None, None)
            raise
        self._observer = Observer(self._finder, window, max_missing, self.clock)
        self._queue = queue
        self._keep_pictures = keep_pictures
        self._max_frames = max_frames
        self._progress = progress and not self.live
        self._stopping = threading.Event()
        self._recent: deque[float] = deque(maxlen=_RATE_FRAMES)
        self._opened = time.monotonic()
        self._stage, self._since = "capture", self._opened
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
        """Whether the thread is over, because of the end of its source, an error, or `stop`."""
        return self.started and not self._thread.is_alive()

    def stalled(self, seconds: float) -> str | None:
        """Return the stage that has been standing still for so long.

        Waiting for room is none, nor is waiting for a picture, unless the source says that it has them.
        """
        stage, since = self._stage, self._since
        if self.ended or not self.started or stage == "queue" or time.monotonic() - since <= seconds:
            return None
        if stage == "capture" and not (self.live and self.source.status.state in _WITH_PICTURES):
            return None
        return stage

    def rate(self) -> float:
        """Frames a second of the last seconds."""
        recent = list(self._recent)
        if len(recent) < 2 or time.monotonic() - recent[-1] > _RATE_SECONDS:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-6)

    def abandon(self) -> None:
        """Stop without waiting, and let nothing come from it any more."""
        self.abandoned = True
        self.stop(timeout=0)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop reading; a thread that stands still is left to itself."""
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
                self._watch()
        except InputError as error:
            self.error = error.message
        except Exception as error:
            logger.debug("camera %s", self.name, exc_info=True)
            self.error = f"{self._stage} failed: {type(error).__name__}: {error}"

    def _watch(self) -> None:
        self.clock.lap("start")
        for frame in self._frames():
            self.clock.lap("capture")
            self._enter("pose")
            observation = self._observer.observe(self._continue_stream(frame))
            if not self._keep_pictures and frame.image is not None:
                observation = replace(observation, frame=replace(frame, image=None))
            self._enter("queue")
            if self._stopping.is_set() or not self._queue.put(
                self.name, QueuedObservation(self, observation), self.room
            ):
                return
            self.frames += 1
            seen = observation.frame
            self.last = StreamPosition(seen.index, seen.time, seen.size, self._since)
            self._recent.append(self._since)
            if self.frames == self._max_frames:
                return
            self._enter("capture")
            self.clock.lap("queue")

    def _continue_stream(self, frame: Frame) -> Frame:
        """Give a frame the time and the number that it has since the camera was first read."""
        if not self._frames_before:
            return frame
        return replace(frame, time=frame.time + self._time_before, index=frame.index + self._frames_before)

    def _frames(self) -> Iterator[Frame]:
        if not self._progress:
            return iter(self.source)
        known = [number for number in (self.source.frames, self._max_frames) if number is not None]
        return track(self.source, "frames", min(known) if known else None)

    def _enter(self, stage: str) -> None:
        self._stage, self._since = stage, time.monotonic()
