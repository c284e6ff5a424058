"""The rate and the length of a video file: what its container says is checked against its time stamps.

Rate. A container may say 1000 frames per second (the tick of a recorder's clock), nothing, or another rate than that of
its time stamps. Outside 1 to 240 frames per second, or where the time stamps of the first packets contradict it, the
time stamps decide. Where they are as impossible, as in AVI, whose time stamps are made from the same number, the rate
is taken as 25 with a warning, until somebody gives it (`--fps`).

Length. MKV, WebM, MPEG-TS and fragmented MP4 have no number of frames, recordings that were cut off are shorter than
they say, and joined ones go on after their end. So the end is looked at; where it is not as the container says, all
packets are read, without decoding.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.errors import InputError, unusable_package
from runtime.sources.containers import open_file, reason_of
from runtime.sources.packets import Damage, NoVideoError, read_packets, video_stream

logger = logging.getLogger(__name__)

MIN_FPS, MAX_FPS = 1.0, 240.0
"""The rates that a recording of people can have, frames per second."""

_MIN_STAMPED_FPS = 0.1  # a time lapse has its own time stamps
_AGREEMENT = 1.1  # how far the time stamps may be from the rate of the container
_VARIES = 1.5  # fast to slow, from which on a rate is variable; time stamps in milliseconds vary by a quarter at most
_PROBE_PACKETS, _PROBE_BYTES, _REORDERED = 150, 64 << 20, 16
_RESTART_S = 0.5  # time stamps that go back by more restart; less is a muxer's disorder
_JUMP_S = 10.0  # in formats whose time stamps may jump; FFmpeg's -dts_delta_threshold
_TAIL_S = 10.0  # what is read of the end
_END_S, _END_SHARE = 2.0, 0.02  # how far the end may be from what the container says
_INDEXED = frozenset({"mov", "matroska", "avi"})  # whose end is found quickly and which say their length
_SAYS_LENGTH = _INDEXED | {"asf", "flv"}  # of the others FFmpeg estimates it
_MADE_STAMPS = frozenset({"avi", "mjpeg", "h264", "hevc", "m4v", "mpegvideo"})  # from the rate of the header
_RAW = _MADE_STAMPS - {"avi"}  # whose time stamps are made while they are read
_JUMPING = frozenset({"mpegts", "mpeg"})


def open_video(path: Path) -> tuple[Any, Any]:
    """Open a video file; return its container and the stream to watch.

    Raises:
        InputError: the file is missing or is not a video, or PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise unusable_package(error, "av", "edge") from None
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a name that is too long, say
        there = False
    if not there:
        raise InputError(f"There is no video {path}.")
    try:
        container = open_file(path)
    except av.error.FFmpegError as error:
        raise InputError(
            f"{path} is not a video that can be read, or it is cut off: {reason_of(error)}."
        ) from None
    try:
        return container, video_stream(container)
    except NoVideoError as error:
        container.close()
        raise InputError(f"{path} cannot be watched: {error}.") from None


def plausible_rate(fps: Any) -> float | None:
    """Return a container's rate if a recording of people can have it.

    >>> plausible_rate(25), plausible_rate(90000), plausible_rate(None)
    (25.0, None, None)
    """
    rate = float(fps or 0)
    return rate if MIN_FPS <= rate <= MAX_FPS else None


class ContinuousStamps:
    """Lets the time stamps of packets rise where they restart, as in recordings that were joined.

    Attributes:
        restarts: how often they did.
        stamped: whether a packet had a time stamp.

    Args:
        unit: of the time stamps, seconds.
        step: from one frame to the next, seconds.
        jumping: whether the format is one in which a jump ahead is a restart too.
    """

    def __init__(self, unit: float, step: float, jumping: bool = False) -> None:
        self.restarts = 0
        self.stamped = False
        self._step = max(1, round(step / unit))
        self._back = -_RESTART_S / unit
        self._ahead = _JUMP_S / unit if jumping else math.inf
        self._offset = 0
        self._decoded: int | None = None  # the largest time stamp of decoding
        self._shown: int | None = None  # the largest of those without one

    def __call__(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Yield packets with continuous time stamps."""
        for packet in packets:
            if packet.dts is not None:
                self._decoded = self._continued(packet.dts, self._decoded, self._back)
            elif packet.pts is not None:  # pictures are stored in another order than they are shown
                back = min(self._back, -_REORDERED * self._step)
                self._shown = self._continued(packet.pts, self._shown, back)
            if self._offset:
                packet.dts = None if packet.dts is None else packet.dts + self._offset
                packet.pts = None if packet.pts is None else packet.pts + self._offset
            yield packet

    def _continued(self, stamp: int, last: int | None, back: float) -> int:
        """Change the offset if a stamp does not continue from the last; return the largest with the offset."""
        self.stamped = True
        if last is None:
            return stamp + self._offset
        ahead = stamp + self._offset - last
        if not back <= ahead <= self._ahead:
            self.restarts += 1
            self._offset += self._step - ahead
        return max(last, stamp + self._offset)


@dataclass(frozen=True)
class VideoRate:
    """The rate of a video.

    Attributes:
        fps: frames per second.
        stretch: seconds of the video for each second of its time stamps; not 1 where these are wrong.
    """

    fps: float
    stretch: float = 1.0


def video_rate(path: Path, wanted: float | None = None) -> VideoRate:
    """Return the rate of a video file, and tell when it is not what the container says, or varies.

    Args:
        path: the file.
        wanted: what the user says, frames per second; None is the recording's own.

    Raises:
        InputError: the file is missing or is not a video.
    """
    container, stream = open_video(path)
    with container:
        claimed = float(stream.average_rate or stream.guessed_rate or 0)
        formats = _formats(container)
        steps = _first_steps(container, stream, claimed)
    varies = len(steps) >= _REORDERED and _ratio(steps) > _VARIES
    usual = steps if varies or not len(steps) else steps[steps <= 3 * np.median(steps)]  # without gaps
    stamped = 1 / float(usual.mean()) if len(usual) else 0.0
    own = _own_rate(claimed, stamped, bool(formats & _MADE_STAMPS))
    if wanted is not None:
        return VideoRate(wanted, (stamped if own is None else own) / wanted if stamped else 1.0)
    if own is None:
        logger.warning(
            "%s says %.4g frames per second, which cannot be: %g are assumed; give its rate with --fps",
            path, claimed, DEFAULT_FPS,
        )  # fmt: skip
        return VideoRate(DEFAULT_FPS, (stamped or claimed) / DEFAULT_FPS if stamped else 1.0)
    if varies:
        low, high = 1 / np.quantile(steps, (0.95, 0.05))
        logger.warning(
            "%s has a variable frame rate, from %.3g to %.3g frames per second; its time stamps are used",
            path, low, high,
        )  # fmt: skip
    elif claimed and not 1 / _AGREEMENT <= own / claimed <= _AGREEMENT:
        logger.warning(
            "%s says %.4g frames per second, its time stamps say %.4g, which are taken", path, claimed, own
        )
    return VideoRate(own)


def _own_rate(claimed: float, stamped: float, made: bool) -> float | None:
    """Return the rate of a recording from what its container and its time stamps say; None when neither can be."""
    can_be = plausible_rate(claimed)
    if made or not stamped:
        return can_be
    if can_be and 1 / _AGREEMENT <= stamped / can_be <= _AGREEMENT:
        return can_be
    return stamped if _MIN_STAMPED_FPS <= stamped <= MAX_FPS else can_be


def _ratio(steps: Any) -> float:
    slow, fast = np.quantile(steps, (0.95, 0.05))
    return float(slow / fast)


def _first_steps(container: Any, stream: Any, claimed: float) -> Any:
    """Return the steps between the first pictures in order of time, seconds; empty without time stamps."""
    unit = float(stream.time_base or 1)
    stamps: list[int] = []
    size = 0
    packets = ContinuousStamps(unit, 1 / (claimed or DEFAULT_FPS))(read_packets(container, stream, Damage()))
    for packet in packets:
        if packet.pts is not None:
            stamps.append(packet.pts)
        size += packet.size
        if len(stamps) >= _PROBE_PACKETS or size > _PROBE_BYTES:
            stamps = sorted(stamps)[:-_REORDERED]  # pictures between the last ones are not read yet
            break
    steps = np.diff(np.sort(np.array(stamps, dtype=np.float64))) * unit
    return steps[steps > 0]


def _formats(container: Any) -> set[str]:
    return set(container.format.name.split(","))


def claimed_seconds(container: Any, stream: Any, measured: bool = True) -> float | None:
    """Return how long a video is by its container, in seconds of its time stamps.

    Args:
        container: of the file.
        stream: the one that is watched.
        measured: take FFmpeg's estimate where the format does not say it.
    """
    if not measured and not _formats(container) & _SAYS_LENGTH:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if said := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", str(stream.metadata.get("DURATION", ""))):
        return 3600 * int(said[1]) + 60 * int(said[2]) + float(said[3])
    if container.duration and (
        measured or len(container.streams) == 1
    ):  # otherwise that of the sound, perhaps
        return float(container.duration) / 1e6
    return None


@dataclass(frozen=True)
class Extent:
    """How long a video really is.

    Attributes:
        seconds: from the first frame to the end of the last.
        seekable: whether a time is found by its time stamp; not in joined files, nor in those without time stamps.
    """

    seconds: float
    seekable: bool


def extent(path: Path, rate: VideoRate) -> Extent:
    """Return how long a video file is, and tell when it is shorter than it says.

    Raises:
        InputError: the file is missing or is not a video.
    """
    container, stream = open_video(path)
    with container:
        if (end := _end_as_claimed(container, stream, rate)) is not None:
            return Extent(end, seekable=True)
    container, stream = open_video(path)
    with container:
        found = _read_all(container, stream, rate)
        claimed = claimed_seconds(container, stream, measured=False)
    tell_if_cut_off(path, found.seconds, None if claimed is None else claimed * rate.stretch)
    return found


def tell_if_cut_off(path: Path, seconds: float, claimed: float | None) -> None:
    """Tell when there is less of a video than its container says."""
    if claimed is not None and seconds < claimed - max(_END_S / 2, _END_SHARE * claimed):
        logger.warning("%s breaks off: %.1f s of its %.1f s are there", path, seconds, claimed)


def stamps_of(container: Any, stream: Any, rate: VideoRate) -> ContinuousStamps:
    """Return what makes the time stamps of a stream continuous."""
    jumping = bool(_formats(container) & _JUMPING)
    return ContinuousStamps(float(stream.time_base or 1), 1 / (rate.fps * rate.stretch), jumping)


def _end_as_claimed(container: Any, stream: Any, rate: VideoRate) -> float | None:
    """Return the length, from the end of the file alone; None when that is not what the container says."""
    import av

    claimed = claimed_seconds(container, stream)
    if not claimed or not _formats(container) & _INDEXED:
        return None
    unit = float(stream.time_base or 1)
    start = (stream.start_time or 0) * unit
    damage = Damage()
    try:
        container.seek(int((start + max(0.0, claimed - _TAIL_S)) / unit), stream=stream)
    except av.error.FFmpegError:
        return None
    stamps = stamps_of(container, stream, rate)
    ends = [
        packet.pts for packet in stamps(read_packets(container, stream, damage)) if packet.pts is not None
    ]
    if not ends or stamps.restarts:
        return None
    seconds = max(ends) * unit - start + 1 / (rate.fps * rate.stretch)
    return seconds * rate.stretch if abs(seconds - claimed) <= max(_END_S, _END_SHARE * claimed) else None


def _read_all(container: Any, stream: Any, rate: VideoRate) -> Extent:
    unit = float(stream.time_base or 1)
    stamps = stamps_of(container, stream, rate)
    first, last, count = math.inf, -math.inf, 0
    for packet in stamps(read_packets(container, stream, Damage())):
        count += 1
        if packet.pts is not None:
            first, last = min(first, packet.pts), max(last, packet.pts)
    if last <= first or _formats(container) & _RAW:
        return Extent(count / rate.fps, seekable=False)
    seconds = (last - first) * unit * rate.stretch + 1 / rate.fps
    return Extent(seconds, seekable=not stamps.restarts)
