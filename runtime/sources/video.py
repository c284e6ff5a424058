"""A video file, or a part of it, as a source: decoded packet by packet, upright, and on past what is damaged."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError
from runtime.sources.containers import TOO_LARGE
from runtime.sources.frames import Frame
from runtime.sources.orientation import upright
from runtime.sources.packets import Damage, decode_packets, read_packets
from runtime.sources.recording import Recording
from runtime.sources.video_timing import (
    VideoRate,
    claimed_seconds,
    open_video,
    stamps_of,
    tell_if_cut_off,
    video_rate,
)

logger = logging.getLogger(__name__)

_COMPLETE_SHARE = 0.98  # the file may count a frame or two more than it has
_ROUNDING_S = 1e-6
_MAX_HELD = 3000  # packets since a key frame; there are videos without any
_FIRST_MARGIN_S = 2.0  # before the part, when no key frame was found at it


class VideoSource(Recording):
    """Decodes a video file, or a part of it, frame by frame.

    A damaged packet is left out; `status.damaged` counts it, and a warning at the end says how many there were.

    Args:
        path: the file.
        begin: where to begin, seconds from the first frame; frames are numbered from 0 there.
        end: where to stop, before the frame at that time; None is the end of the video.
        rate: of `video_rate`; None is the recording's own.
        seekable: whether a time is found by its time stamp (`Extent.seekable`); otherwise a part is found by reading
            the file from its start.

    Raises:
        InputError: the file is missing or is not a video.
    """

    def __init__(
        self,
        path: Path,
        begin: float = 0.0,
        end: float | None = None,
        rate: VideoRate | None = None,
        seekable: bool = True,
    ) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._rate = video_rate(path) if rate is None else rate
        self._seekable = seekable
        self._damage = Damage()
        self._begin, self._end = begin, math.inf if end is None else end
        self._is_complete = begin <= 0 and end is None
        self._container, self._stream = open_video(path)
        self._stream.thread_type = "SLICE"  # see `decode_packets`
        super().__init__(self._rate.fps, self._estimated_frames())

    def _estimated_frames(self) -> int | None:
        fps, seconds = self._rate.fps, claimed_seconds(self._container, self._stream)
        total = self._stream.frames or (seconds and round(seconds * self._rate.stretch * fps))
        return max(0, round(min(total, self._end * fps) - self._begin * fps)) if total else None

    def __iter__(self) -> Iterator[Frame]:
        index, last = 0, 0.0
        self._status.to("streaming")
        for moment, picture in self._pictures():
            image = upright(picture)
            now = moment - self._begin
            last = now if index == 0 or now > last else last + 1 / self.fps
            yield Frame(index, last, (image.shape[1], image.shape[0]), image, utc=time.time())
            index += 1
        damaged = self._damage.packets > 0
        self._status.to("ended", str(self._damage) if damaged else None)
        if self._stopped.is_set():
            return
        if index == 0 and damaged:
            raise InputError(f"No frame of {self._path} can be decoded: {self._damage}; {TOO_LARGE}.")
        if index == 0 and self._is_complete:
            raise InputError(f"{self._path} has no frame.")
        if damaged:
            logger.warning("%s: %s; %d frames were decoded", self._path, self._damage, index)
        if self._is_complete:
            self._tell_if_cut_off(index, last + 1 / self.fps)

    def _tell_if_cut_off(self, frames: int, seconds: float) -> None:
        said = self._stream.frames
        if said:
            if frames + self._damage.packets < _COMPLETE_SHARE * said:
                logger.warning("%s breaks off: %d of its %d frames are there", self._path, frames, said)
            return
        claimed = claimed_seconds(self._container, self._stream, measured=False)
        tell_if_cut_off(self._path, seconds, claimed and claimed * self._rate.stretch)

    def _pictures(self) -> Iterator[tuple[float, Any]]:
        """Yield the pictures of the part with their seconds from the first frame of the file."""
        unit, fps = float(self._stream.time_base or 1), self.fps
        start = None if self._stream.start_time is None else self._stream.start_time * unit
        if start is None and self._begin > 0:
            start = 0.0  # the first frame is not seen
        packets = self._packets(start or 0.0, unit)
        pictures = decode_packets(self._stream.codec_context, packets, self._damage)
        counted = 0.0  # the time of pictures without time stamps
        while True:
            with self._lock:
                picture = None if self._stopped.is_set() else next(pictures, None)
            self._status.set_damaged(self._damage.packets)
            if picture is None:
                return
            if picture.pts is None:
                moment = counted
            else:
                stamp = picture.pts * unit
                start = stamp if start is None else start
                moment = (stamp - start) * self._rate.stretch
            counted = moment + 1 / fps
            if moment >= self._end - _ROUNDING_S:
                return
            if moment >= self._begin - _ROUNDING_S:
                yield moment, picture

    def _packets(self, start: float, unit: float) -> Iterator[Any]:
        """Yield the packets from the key frame before the part; their time stamps are continuous."""
        margin = 0.0  # seconds before the part
        while True:
            target = max(0.0, self._begin - margin) if self._seekable else 0.0
            if target or margin:
                self._seek(int((start + target / self._rate.stretch) / unit))
            packets = stamps_of(self._container, self._stream, self._rate)(
                read_packets(self._container, self._stream, self._damage)
            )
            if self._begin <= 0:
                yield from packets
                return
            wanted = (start + self._begin / self._rate.stretch) / unit
            held: deque[Any] = deque(maxlen=_MAX_HELD)
            found = False
            for packet in packets:
                stamp = packet.pts if packet.dts is None else packet.dts
                if stamp is None:  # a part of it is found by counting what is decoded
                    held.append(packet)
                    break
                if packet.is_keyframe and (packet.pts is None or packet.pts <= wanted):
                    held.clear()
                    found = True
                held.append(packet)
                if stamp >= wanted:
                    break
            if found or not target:
                yield from held
                yield from packets
                return
            margin = max(_FIRST_MARGIN_S, 2 * margin)

    def _seek(self, stamp: int) -> None:
        import av

        try:
            self._container.seek(stamp, stream=self._stream)
        except av.error.FFmpegError:
            logger.debug("%s: no way to %d", self._path, stamp)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        with self._lock:  # another thread may be decoding
            self._container.close()
