"""Every camera: a thread reads it, notices that the connection is lost, and connects again until it succeeds.

How a connection reads pictures is in `network_stream` (RTSP, HTTP) and `gstreamer` (CSI, USB, pipelines).
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from daflow.core.data.tracks import DEFAULT_FPS
from runtime.sources.child_process import SourceLostError
from runtime.sources.frames import Frame, Image, SourceStatus
from runtime.sources.frozen_pictures import PictureCheck, luma
from runtime.sources.orientation import upright
from runtime.sources.packets import Damage
from runtime.sources.status import StatusKeeper
from runtime.sources.timestamps import FrameNumbering, StreamTime

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 10.0  # the longest wait for the reading thread; killing the child process takes milliseconds
DENIED = re.compile(r"\b40[13]\b|[Uu]nauthorized|[Ff]orbidden|[Aa]uthori[sz]ation failed")
"""What FFmpeg and GStreamer say when a camera refuses the user or the password."""

_MAX_DENIED = 12
"""So often in a row a camera that refuses the user or the password is asked, about an hour and a half in all."""

_CAPACITY = {"latest": 1, "all": 8}  # pictures in the queue; one of 1080p takes 3 MB


@dataclass(frozen=True)
class Picture:
    """What a connection yields.

    Attributes:
        stamp: its time stamp in seconds, if it has one.
        picture: decoded, an `av.VideoFrame`.
        matrix: the display matrix of the stream, if it has one (`runtime.sources.orientation`).
    """

    stamp: float | None
    picture: Any
    matrix: bytes | None = None


class Connection(Protocol):
    """One connection to a camera: iterating yields pictures until it raises `SourceLostError`.

    Attributes:
        fps: the nominal rate once it is known.
        damage: what could not be decoded so far.
    """

    fps: float | None
    damage: Damage

    def __iter__(self) -> Iterator[Picture]: ...

    def stop(self) -> None:
        """Let the iteration end soon; may be called from any thread."""

    def close(self) -> None:
        """Release the connection; called by the thread that iterates."""


@dataclass(frozen=True)
class _QueuedPicture:
    picture: Picture
    time: float
    utc: float


class CameraSource:
    """Reads a camera in a thread of its own until it is closed.

    When the connection is lost, or cannot be made at the start, the next attempt is made after `first_wait` seconds;
    the wait doubles with each attempt up to `max_wait`. It varies by a fifth at random, so that many cameras which were
    lost together do not all reconnect at once.

    Args:
        connect: makes a new connection; it returns at once, and the iteration waits for pictures.
        name: the name in the log, without secrets.
        policy: `latest` keeps only the newest frame and counts the dropped ones; `all` lets the camera wait.
        first_wait: seconds before the first attempt after a loss.
        max_wait: longest time between two attempts, in seconds.
        denied_wait: the shortest and the longest time between two attempts at a camera that refuses the user or the
            password: many lock the account after a few of them.
        check: notices frozen and black pictures.
        pause: waits for so many seconds before an attempt; None waits until the source is closed at most.
    """

    frames: int | None = None

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        policy: Literal["latest", "all"] = "latest",
        first_wait: float = 1.0,
        max_wait: float = 30.0,
        denied_wait: tuple[float, float] = (30.0, 600.0),
        check: PictureCheck | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.fps = DEFAULT_FPS
        self._connect = connect
        self._name = name
        self._latest = policy == "latest"
        self._capacity = _CAPACITY[policy]
        self._first_wait, self._max_wait = first_wait, max_wait
        self._denied_wait = denied_wait
        self._check = check or PictureCheck()
        self._status = StatusKeeper()
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        self._changed = threading.Condition()
        self._queue: deque[_QueuedPicture] = deque()
        self._connection: Connection | None = None
        self._time = StreamTime()
        self._numbering = FrameNumbering()
        self._was_connected = False
        self._damaged = 0  # packets of the connections before this one
        self._first_picture_at: float | None = None  # of this connection, by the monotonic clock
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
                yield Frame(
                    self._numbering.number(waiting.time), waiting.time, size, image, None, waiting.utc
                )

    def __enter__(self) -> CameraSource:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the reading, even while it waits, and so the iteration over the source. May be called from any thread."""
        with self._changed:
            self._stopped.set()
            if self._connection is not None:
                self._connection.stop()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)
        self._status.to("ended")

    def _run(self) -> None:
        wait, denied = self._first_wait, 0
        while not self._stopped.is_set():
            reason = self._read()
            if self._stopped.is_set():
                return
            if self._first_picture_at is not None and time.monotonic() - self._first_picture_at > wait:
                wait = self._first_wait  # pictures came for longer than the last wait
            max_wait = self._max_wait
            denied = denied + 1 if DENIED.search(reason) else 0
            if denied:
                reason = f"wrong user or password: {reason}"
                wait, max_wait = max(wait, self._denied_wait[0]), self._denied_wait[1]
            else:
                wait = min(wait, max_wait)
            if denied == _MAX_DENIED:
                reason += f"; it is not tried again after {denied} times, which could lock the account"
                self._status.to("lost", reason)
                logger.error("%s: %s. Correct the address and reload, or restart", self._name, reason)
                return
            if self._status.to("lost", reason):
                logger.warning(
                    "%s: connection lost: %s; it is tried again until it succeeds", self._name, reason
                )
            else:
                logger.debug("%s: still lost: %s", self._name, reason)
            self._pause(wait * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            wait = min(2 * wait, max_wait)

    def _read(self) -> str:
        """Read one connection to its end, and return why it ended."""
        connection: Connection | None = None
        self._first_picture_at = None
        try:
            connection = self._connect()
            with self._changed:
                self._connection = connection
                if self._stopped.is_set():
                    return "closed"
            self._time.reconnected()
            self._check.reset()
            for picture in connection:
                self._enqueue(picture, connection)
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
                if connection.damage.packets:
                    self._damaged += connection.damage.packets
                    logger.warning("%s: %s", self._name, connection.damage)
        return "the stream ended"

    def _enqueue(self, picture: Picture, connection: Connection) -> None:
        now, utc = time.monotonic(), time.time()
        self._first_picture_at = now if self._first_picture_at is None else self._first_picture_at
        if self.status.state in ("connecting", "lost"):
            if self._was_connected:
                self._status.reconnect()
                logger.info("%s: connected again", self._name)
            self._was_connected = True
            self.fps = connection.fps or self.fps
        self._status.set_damaged(self._damaged + connection.damage.packets)
        self._status.to(self._check.update(luma(picture.picture), now))
        waiting = _QueuedPicture(picture, self._time.update(picture.stamp, now), utc)
        with self._changed:
            if self._latest:
                while len(self._queue) >= self._capacity:
                    self._queue.popleft()
                    self._status.drop()
            else:
                self._changed.wait_for(lambda: len(self._queue) < self._capacity or self._stopped.is_set())
            self._queue.append(waiting)
            self._changed.notify_all()

    def _take(self) -> _QueuedPicture | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopped.is_set())
            if self._stopped.is_set():
                return None
            waiting = self._queue.popleft()
            self._changed.notify_all()
            return waiting

    def _image(self, picture: Picture) -> Image | None:
        try:
            return upright(picture.picture, picture.matrix)
        except Exception as error:  # noqa: BLE001 - a damaged picture must not end the service
            logger.debug("%s: a picture cannot be used: %r", self._name, error)
            return None
