"""Cameras: a thread that reads, a short queue, and a return after every loss."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from daflow.core.data.tracks import DEFAULT_FPS
from runtime.sources.child_process import SourceLostError
from runtime.sources.frames import Frame, Image, SourceStatus
from runtime.sources.frozen_pictures import PictureCheck, luma
from runtime.sources.status import StatusKeeper
from runtime.sources.timestamps import FrameNumbering, StreamTime

logger = logging.getLogger(__name__)

_CLOSE_S = 10.0
_CAPACITY = {"latest": 1, "all": 8}  # pictures; one of 1080p takes 3 MB


@dataclass(frozen=True)
class Picture:
    """What a connection yields: a decoded picture (`av.VideoFrame`) and its time stamp in seconds, if it has one."""

    stamp: float | None
    picture: Any


class Connection(Protocol):
    """One connection to a camera: iterating yields pictures until it raises `SourceLostError`.

    Attributes:
        fps: the nominal rate once it is known.
    """

    fps: float | None

    def __iter__(self) -> Iterator[Picture]: ...

    def stop(self) -> None:
        """Let the iteration end soon; may be called from any thread."""

    def close(self) -> None:
        """Free everything; for the thread that iterates."""


@dataclass(frozen=True)
class _Waiting:
    picture: Any
    time: float
    utc: float


class CameraSource:
    """Reads a camera in a thread of its own, for ever.

    A camera that is lost, or not there from the start, is tried again after waits that double from `first_wait` to
    `longest_wait` seconds, a fifth more or less at random so that many cameras do not return at once.

    Args:
        connect: makes a new connection; quick, since the waiting is in its iteration.
        name: what logs call it, without secrets.
        policy: `latest` keeps the newest frame only and counts the others; `all` lets the camera wait.
        first_wait: seconds before the first attempt after a loss.
        longest_wait: seconds between attempts at most.
        check: decides what frozen and black is.
    """

    frames: int | None = None

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        policy: Literal["latest", "all"] = "latest",
        first_wait: float = 1.0,
        longest_wait: float = 30.0,
        check: PictureCheck | None = None,
    ) -> None:
        self.fps = DEFAULT_FPS
        self._connect = connect
        self._name = name
        self._latest = policy == "latest"
        self._capacity = _CAPACITY[policy]
        self._first_wait, self._longest_wait = first_wait, longest_wait
        self._check = check or PictureCheck()
        self._status = StatusKeeper()
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._connection: Connection | None = None
        self._time = StreamTime()
        self._pace = FrameNumbering()
        self._was_there = False
        self._since: float | None = None  # when the first picture of this connection came
        self._thread = threading.Thread(target=self._run, name=f"source {name}", daemon=True)

    @property
    def status(self) -> SourceStatus:
        """How the camera is doing."""
        return self._status.value

    def __iter__(self) -> Iterator[Frame]:
        while (waiting := self._take()) is not None:
            image = self._image(waiting.picture)
            if image is not None:
                size = (image.shape[1], image.shape[0])
                yield Frame(self._pace.number(waiting.time), waiting.time, size, image, None, waiting.utc)

    def __enter__(self) -> CameraSource:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the reading, also a wait or a blocked one; who iterates comes to the end. May be called by any thread."""
        with self._changed:
            self._stopped.set()
            if self._connection is not None:
                self._connection.stop()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        self._status.to("ended")

    def _run(self) -> None:
        wait = self._first_wait
        while not self._stopped.is_set():
            reason = self._read()
            if self._stopped.is_set():
                return
            if self._since is not None and time.monotonic() - self._since > wait:
                wait = self._first_wait  # there were pictures for longer than the last wait
            if self._status.to("lost", reason):
                logger.warning("%s: lost: %s; it is tried again until it comes back", self._name, reason)
            else:
                logger.debug("%s: still lost: %s", self._name, reason)
            self._stopped.wait(wait * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            wait = min(2 * wait, self._longest_wait)

    def _read(self) -> str:
        """Read one connection to its end, and return why it ended."""
        connection: Connection | None = None
        self._since = None
        try:
            connection = self._connect()
            with self._changed:
                self._connection = connection
                if self._stopped.is_set():
                    return "closed"
            self._time.reconnected()
            self._check.forget()
            for picture in connection:
                self._arrived(picture, connection)
                if self._stopped.is_set():
                    break
        except SourceLostError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever a damaged stream does, the camera is tried again
            logger.debug("%s: %r", self._name, error)
            return f"it cannot be read ({type(error).__name__})"
        finally:
            with self._changed:
                self._connection = None
            if connection is not None:
                connection.close()
        return "the stream ended"

    def _arrived(self, picture: Picture, connection: Connection) -> None:
        now, utc = time.monotonic(), time.time()
        self._since = now if self._since is None else self._since
        if self.status.state in ("connecting", "lost"):
            if self._was_there:
                self._status.reconnect()
                logger.info("%s: back", self._name)
            self._was_there = True
            self.fps = connection.fps or self.fps
        self._status.to(self._check.update(luma(picture.picture), now))
        waiting = _Waiting(picture.picture, self._time.update(picture.stamp, now), utc)
        with self._changed:
            if self._latest:
                while len(self._queue) >= self._capacity:
                    self._queue.popleft()
                    self._status.drop()
            else:
                self._changed.wait_for(lambda: len(self._queue) < self._capacity or self._stopped.is_set())
            self._queue.append(waiting)
            self._changed.notify_all()

    def _take(self) -> _Waiting | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopped.is_set())
            if self._stopped.is_set():
                return None
            waiting = self._queue.popleft()
            self._changed.notify_all()
            return waiting

    def _image(self, picture: Any) -> Image | None:
        try:
            return np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)
        except Exception as error:  # noqa: BLE001 - a damaged picture must not end the service
            logger.debug("%s: a picture cannot be used: %r", self._name, error)
            return None
