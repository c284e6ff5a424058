"""A video file, or a part of it, as a source: decoded frame by frame."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.errors import InputError, unusable_package
from runtime.sources.frames import Frame
from runtime.sources.recording import Recording

logger = logging.getLogger(__name__)

_COMPLETE_SHARE = 0.98  # the file may count a frame or two more than it has


class VideoSource(Recording):
    """Decodes a video file, or a part of it, frame by frame.

    Args:
        path: the file.
        begin: where to begin, seconds from the first frame; frames are numbered from 0 there.
        end: where to stop, before the frame at that time; None is the end of the video.

    Raises:
        InputError: the file is missing or is not a video.
    """

    def __init__(self, path: Path, begin: float = 0.0, end: float | None = None) -> None:
        try:
            import av
        except ImportError as error:
            raise unusable_package(error, "av", "edge") from None
        try:
            there = path.is_file()
        except OSError:  # a name that is too long, say
            there = False
        if not there:
            raise InputError(f"There is no video {path}.")
        self._lock = threading.Lock()
        self._path = path
        self._av: Any = av
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise InputError(
                f"{path} is not a video that can be read, or it is cut off: {error.strerror}."
            ) from None
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path} has no video stream.")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        fps = float(self._stream.average_rate or DEFAULT_FPS)
        self._begin, self._end = begin, math.inf if end is None else end
        self._is_complete = begin <= 0 and end is None
        total = self._stream.frames or None
        super().__init__(fps, total and max(0, round(min(total, self._end * fps) - begin * fps)))

    def __iter__(self) -> Iterator[Frame]:
        index, last = 0, 0.0
        self._status.to("streaming")
        try:
            for moment, picture in self._pictures():
                image = np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)
                size = (image.shape[1], image.shape[0])
                now = moment - self._begin
                # Time stamps restart in files that were joined.
                last = now if index == 0 or now > last else last + 1 / self.fps
                yield Frame(index, last, size, image, utc=time.time())
                index += 1
        except self._av.error.FFmpegError as error:
            logger.warning("%s breaks off after %d frames: %s", self._path, index, error.strerror)
            self._status.to("ended", f"it breaks off: {error.strerror}")
            if index == 0:
                raise InputError(f"No frame of {self._path} can be decoded: {error.strerror}.") from None
            return
        self._status.to("ended")
        if self._stopped.is_set():
            return
        if index == 0:
            raise InputError(f"{self._path} has no frame{'' if self._is_complete else ' in this part'}.")
        if self._is_complete and self.frames and index < _COMPLETE_SHARE * self.frames:
            logger.warning("%s breaks off: %d of its %d frames are there", self._path, index, self.frames)

    def _pictures(self) -> Iterator[tuple[float, Any]]:
        """Yield the pictures of the part with their seconds from the first frame of the file."""
        unit = float(self._stream.time_base or 1)  # seconds
        start = None if self._stream.start_time is None else self._stream.start_time * unit
        if self._begin > 0:  # go to a key frame before it
            self._container.seek(int(((start or 0.0) + self._begin) / unit), stream=self._stream)
        pictures = self._container.decode(self._stream)
        for index in itertools.count():
            with self._lock:
                picture = None if self._stopped.is_set() else next(pictures, None)
            if picture is None:
                return
            stamp = index / self.fps if picture.time is None else float(picture.time)
            start = stamp if start is None else start
            moment = stamp - start
            if moment >= self._end:
                return
            if moment >= self._begin:
                yield moment, picture

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        with self._lock:  # another thread may be decoding
            self._container.close()
