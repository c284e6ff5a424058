"""Containers and their packets: the stream that is watched, and decoding that passes over what is damaged."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_MAX_READ_ERRORS = 100  # in a row; FFmpeg reports an unreadable disk again and again
_DISPLAY_MATRIX = "DISPLAYMATRIX"
_COVER = 0x400 | 0x800  # AV_DISPOSITION_ATTACHED_PIC and _TIMED_THUMBNAILS


class NoVideoError(Exception):
    """A container has nothing to watch; the message says what it has instead, as in "it has sound, but no video"."""


def video_stream(container: Any) -> Any:
    """Return the stream to watch: the largest that is no cover picture, of equals the one that FFmpeg prefers.

    Args:
        container: an `av.InputContainer`.

    Raises:
        NoVideoError: there is none.
    """
    streams = container.streams
    videos = [one for one in streams.video if not int(getattr(one.disposition, "value", 0)) & _COVER]
    usable = [one for one in videos if one.codec_context is not None]
    if usable:
        best = getattr(streams.best("video"), "index", None)
        return max(usable, key=lambda one: _rank(one, best))
    if videos:
        raise NoVideoError("its video format cannot be decoded")
    if streams.audio:
        raise NoVideoError(f"it has sound, but no video{' (only a cover picture)' if streams.video else ''}")
    raise NoVideoError(f"it has no video{', only a cover picture' if streams.video else ''}")


def _rank(stream: Any, best: int | None) -> tuple[bool, bool, int, bool]:
    """The order of streams: a single picture is no video, then the size decides."""
    context = stream.codec_context
    area = (context.width or 0) * (context.height or 0)
    return stream.frames != 1, bool(stream.average_rate), area, stream.index == best


@dataclass
class Damage:
    """What could not be read or decoded.

    Attributes:
        packets: how many packets.
        error: the last error of FFmpeg.
    """

    packets: int = 0
    error: str = ""

    def add(self, error: Exception) -> None:
        """Count a packet."""
        self.packets += 1
        # A plain ValueError is PyAV's, about a decoder that could not be opened: the error before it said why.
        if type(error) is not ValueError or not self.error:
            self.error = str(getattr(error, "strerror", None) or error)

    def __str__(self) -> str:
        return f"{self.packets} damaged packet{'s' * (self.packets != 1)} left out ({self.error})"


def read_packets(container: Any, streams: Any, damage: Damage) -> Iterator[Any]:
    """Yield the packets of streams to the end of the container; what cannot be read is counted and passed over.

    Raises:
        FFmpegError: the source of a network stream is silent or gone.
    """
    import av

    failures = 0
    while failures < _MAX_READ_ERRORS:
        try:
            for packet in container.demux(streams):
                if packet.size:
                    failures = 0
                    yield packet
            return
        except (av.error.ExitError, TimeoutError, ConnectionError):
            raise
        except av.error.FFmpegError as error:
            failures += 1
            if failures == 1:
                damage.add(error)


def decode_packets(
    decoder: Any, packets: Iterable[Any], damage: Damage, max_seconds: float | None = None
) -> Iterator[Any]:
    """Yield the pictures (`av.VideoFrame`) of packets; a packet that cannot be decoded is counted and passed over.

    Args:
        decoder: the codec context. With a thread for each frame it would lose pictures after an error, so its
            `thread_type` must be SLICE.
        packets: without the empty packet at the end.
        damage: counts.
        max_seconds: how long there may be errors and no picture; None is for ever.

    Raises:
        NoVideoError: there were only errors for `max_seconds`.
    """
    import av

    last = time.monotonic()
    for packet in packets:
        try:
            pictures = decoder.decode(packet)
        except (av.error.FFmpegError, ValueError) as error:
            damage.add(error)
            if max_seconds is not None and time.monotonic() - last > max_seconds:
                raise NoVideoError(f"its pictures cannot be decoded: {damage.error}") from None
            continue
        if pictures:
            last = time.monotonic()
            yield from pictures
    try:
        yield from decoder.decode(None)
    except av.error.EOFError:
        return
    except (av.error.FFmpegError, ValueError) as error:
        damage.add(error)


def display_matrix(picture: Any) -> bytes | None:
    """Return the display matrix of a decoded picture (`av.VideoFrame`), None when it has none."""
    try:
        found = picture.side_data
    except ValueError:  # PyAV cannot list kinds that are newer than itself, such as EXIF
        _allow_unknown_side_data()
        found = picture.side_data
    matrix = found.get(_DISPLAY_MATRIX)
    return None if matrix is None else bytes(matrix)


def _allow_unknown_side_data() -> None:
    """Let PyAV's list of kinds take every number; an enumeration asks `_missing_` about one that it does not know."""
    from av.sidedata.sidedata import Type

    def unknown(kind: Any, value: object) -> Any:
        member = object.__new__(kind)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member

    Type._missing_ = classmethod(unknown)  # type: ignore[assignment]
