"""Keeps pictures of the alarms of all cameras, where privacy allows: a snapshot at the peak and a short clip.

The pictures of the last seconds wait in memory as small JPEGs. All of the work is done in a thread of its own, so that
scoring never waits for it.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from runtime.events.store_writer import StoreWriter
from runtime.opencv import opencv
from runtime.pipeline.results import FrameResult
from runtime.replays.pictures import write_mp4
from runtime.sources.frames import Image

logger = logging.getLogger(__name__)

SNAPSHOT, CLIP = "snapshot", "clip"
"""The parts of a replay with pictures of the camera."""

_SPACING = 0.2  # seconds between two pictures that are kept
_MAX_SECONDS = 25.0  # of the clip, from the begin of the alarm
_MAX_SIDE = 640  # pixels
_QUALITY = 70
_MAX_WAITING = 4  # pictures that wait to be encoded; more are dropped
_ROUNDING = 1e-3  # seconds


class _Jpeg(NamedTuple):
    time: float
    data: bytes


class PictureRecorder:
    """Records pictures of alarms and stores them with their replays; `see` and the rest are called by one thread.

    Args:
        store_writer: stores them.
        before_seconds: of stream time that a clip shows before its alarm.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self, store_writer: StoreWriter, before_seconds: float) -> None:
        self._cv2 = opencv()
        self._store_writer = store_writer
        self._before = before_seconds
        self._next: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._rings: dict[str, deque[_Jpeg]] = {}
        self._open: dict[str, _Recording] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._clips = ThreadPoolExecutor(1, "alarm-clips")
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="alarm-pictures", daemon=True)
        self._thread.start()

    def see(self, result: FrameResult) -> None:
        """Take the result of a frame; its picture is kept if it is time for one, and there is room."""
        camera, time, image = result.camera, result.frame.time, result.frame.image
        if time < self._last.get(camera, -math.inf):  # the source starts again
            self._next.pop(camera, None)
            self._jobs.put(lambda: self._forget(camera))
        self._last[camera] = time
        if image is None or time < self._next.get(camera, -math.inf):
            return
        self._next[camera] = time + _SPACING - _ROUNDING
        with self._lock:
            if self._waiting >= _MAX_WAITING:
                return
            self._waiting += 1
        score = result.score if result.alarm else None
        self._jobs.put(lambda: self._encode(camera, time, image, score))

    def begin(self, id: str, camera: str, time: float) -> None:  # noqa: A002
        """Begin to record an alarm.

        Args:
            id: of the alarm.
            camera: its name.
            time: when it began, stream seconds.
        """

        def work() -> None:
            ring = self._rings.get(camera, ())
            self._open[id] = _Recording(
                camera, time, [each for each in ring if each.time >= time - self._before]
            )

        self._jobs.put(work)

    def store(self, id: str, finished: bool) -> None:  # noqa: A002
        """Store what was recorded of an alarm so far, and record no more if it is finished."""

        def work() -> None:
            recording = self._open.pop(id, None) if finished else self._open.get(id)
            if recording is not None and (finished or recording.is_stored):
                self._store(id, recording)

        self._jobs.put(work)

    def close(self, timeout: float = 10.0) -> None:
        """Do what waits to be done, as far as the timeout allows, and end the thread."""
        self._jobs.put(None)
        self._thread.join(timeout)
        self._clips.shutdown(wait=True)
        if self._thread.is_alive():
            logger.error("pictures of the last alarms were not stored in time")

    # In the thread

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the thread must survive a picture that is broken
                logger.error("A picture of an alarm cannot be kept: %s", error)

    def _forget(self, camera: str) -> None:
        self._rings.pop(camera, None)

    def _encode(self, camera: str, time: float, image: Image, score: float | None) -> None:
        with self._lock:
            self._waiting -= 1
        height, width = image.shape[:2]
        scale = min(1.0, _MAX_SIDE / max(height, width))
        size = tuple(max(2, round(side * scale) // 2 * 2) for side in (width, height))
        small = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        bgr = self._cv2.cvtColor(small, self._cv2.COLOR_RGB2BGR)
        _, encoded = self._cv2.imencode(".jpg", bgr, [self._cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        jpeg = _Jpeg(time, encoded.tobytes())
        length = math.ceil(self._before / _SPACING) + 2
        self._rings.setdefault(camera, deque(maxlen=length)).append(jpeg)
        for recording in self._open.values():
            if recording.camera == camera:
                recording.add(jpeg, score)

    def _store(self, id_: str, recording: _Recording) -> None:
        if recording.peak is not None:
            snapshot = recording.peak.data
            self._store_writer.put_replay(id_, SNAPSHOT, lambda: snapshot)
        if len(recording.frames) > recording.stored:
            recording.stored = len(recording.frames)
            # In another thread: pictures that come meanwhile must not wait, or there would be no room for them.
            recording.clip = self._clips.submit(self._store_clip, id_, list(recording.frames))

    def _store_clip(self, id_: str, frames: list[_Jpeg]) -> None:
        try:
            clip = write_mp4(self._decoded(frames))
        except Exception as error:  # noqa: BLE001 - FFmpeg's errors are of many classes
            logger.error("The clip of the alarm %s cannot be made: %s", id_, error)
            return
        self._store_writer.put_replay(id_, CLIP, lambda: clip)

    def _decoded(self, frames: list[_Jpeg]) -> Iterator[tuple[float, Image]]:
        size = None
        for frame in frames:
            bgr = self._cv2.imdecode(np.frombuffer(frame.data, dtype=np.uint8), self._cv2.IMREAD_COLOR)
            picture = self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)
            size = size or (picture.shape[1], picture.shape[0])
            if size != (picture.shape[1], picture.shape[0]):
                picture = self._cv2.resize(picture, size)
            yield frame.time - frames[0].time, picture


class _Recording:
    """The pictures of an alarm."""

    def __init__(self, camera: str, began: float, frames: list[_Jpeg]) -> None:
        self.camera = camera
        self.frames = frames
        self.peak = frames[-1] if frames else None
        self.stored = 0
        """How many of the frames are in the clip that was made last."""
        self.clip: Future[None] | None = None
        self._began = began
        self._score = -math.inf

    def add(self, jpeg: _Jpeg, score: float | None) -> None:
        """Add a picture, with the score while the alarm is on."""
        if jpeg.time <= self._began + _MAX_SECONDS:
            self.frames.append(jpeg)
        if score is not None and score > self._score:
            self.peak, self._score = jpeg, score

    @property
    def is_stored(self) -> bool:
        """Whether no clip of it is being made."""
        return self.clip is None or self.clip.done()
