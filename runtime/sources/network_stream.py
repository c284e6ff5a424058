"""Network cameras: RTSP, MJPEG over HTTP and HLS, received in a child process (`network_receiver`), decoded here."""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from daflow.core.errors import InputError, unusable_package
from runtime.sources.camera import Picture
from runtime.sources.child_process import ReaderProcess, SourceLostError
from runtime.sources.network_receiver import HEAD, NO_STAMP
from runtime.sources.packets import Damage, NoVideoError, decode_packets
from runtime.sources.redaction import Redactor
from runtime.sources.video_timing import plausible_rate

logger = logging.getLogger(__name__)

_START_S = 5.0  # chosen: the child starts Python and loads PyAV within a second or two
_MAX_KEY_FRAME_S = 30.0  # chosen: what comes before the first key frame cannot be decoded
_MAX_HEADER = 1 << 20  # bytes; a real header has a few hundred


def stream_options(scheme: str, options: Mapping[str, str], seconds: float) -> dict[str, str]:
    """Return FFmpeg's options for an address.

    Args:
        scheme: rtsp, rtsps, http or https.
        options: the options after # in the address: `transport` (tcp, udp), `latency` (milliseconds).
        seconds: longest wait.
    """
    if not scheme.startswith("rtsp"):
        return {"rw_timeout": str(int(seconds * 1e6))}
    chosen = {
        "rtsp_transport": options.get("transport", "tcp"),
        "timeout": str(int(seconds * 1e6)),
        "allowed_media_types": "video",
        # The camera announces its format; probing the stream would only delay the pictures.
        "fpsprobesize": "0",
        "analyzeduration": "1",
    }
    if "latency" in options:
        chosen["max_delay"] = str(int(float(options["latency"]) * 1000))
    return chosen


class NetworkStream:
    """One connection to a network camera; see `runtime.sources.camera.Connection`.

    Args:
        address: rtsp, rtsps, http or https.
        options: FFmpeg's options.
        seconds: longest wait for the connection and for a packet.
        redactor: removes the secrets from FFmpeg's messages.

    Raises:
        InputError: PyAV is not installed.
        OSError: the process cannot be started.
    """

    def __init__(self, address: str, options: Mapping[str, str], seconds: float, redactor: Redactor) -> None:
        try:
            import av
        except ImportError as error:
            raise unusable_package(error, "av", "edge") from None
        self._av: Any = av
        self._seconds = seconds
        self._redactor = redactor
        self.fps: float | None = None
        self.damage = Damage()
        request = {
            "address": address,
            "options": dict(options),
            "open_seconds": seconds,
            "read_seconds": seconds,
        }
        message = json.dumps(request).encode() + b"\n"
        program = [sys.executable, "-m", "runtime.sources.network_receiver"]
        self._child = ReaderProcess(lambda output: [*program, str(output)], message, _START_S + 2 * seconds)

    def __iter__(self) -> Iterator[Picture]:
        header = self._header()
        decoder = self._decoder(header)
        unit = float(header["unit"])
        self.fps = plausible_rate(header["fps"])
        matrix = base64.b64decode(header["matrix"]) or None
        self._child.wait_seconds = self._seconds
        patience = self._seconds + _MAX_KEY_FRAME_S
        try:
            for picture in decode_packets(decoder, self._packets(), self.damage, patience):
                yield Picture(None if picture.pts is None else picture.pts * unit, picture, matrix)
        except NoVideoError as error:
            raise SourceLostError(str(error)) from None
        raise SourceLostError(self._reason())

    def stop(self) -> None:
        """End the reading now; may be called from any thread."""
        self._child.kill()

    def close(self) -> None:
        """Release the connection."""
        self._child.close()

    def _packets(self) -> Iterator[Any]:
        while head := self._child.read_exactly(HEAD.size):
            stamp, size = HEAD.unpack(head)
            packet = self._av.Packet(self._child.read_exactly(size))
            packet.pts = packet.dts = None if stamp == NO_STAMP else stamp
            yield packet

    def _header(self) -> dict[str, Any]:
        line = b""
        while not line.endswith(b"\n"):
            byte = self._child.read_exactly(1)
            if not byte or len(line) > _MAX_HEADER:
                raise SourceLostError(self._reason())
            line += byte
        header: dict[str, Any] = json.loads(line)
        return header

    def _decoder(self, header: Mapping[str, Any]) -> Any:
        try:
            decoder = self._av.CodecContext.create(header["codec"], "r")
        except (ValueError, self._av.error.FFmpegError):
            raise SourceLostError(f"its video format {header['codec']} cannot be decoded") from None
        decoder.extradata = base64.b64decode(header["extradata"]) or None
        decoder.thread_type = "SLICE"  # one thread per frame would delay the pictures by as many frames
        return decoder

    def _reason(self) -> str:
        said = [line for line in self._child.last_lines() if line]
        return self._redactor(said[-1]) if said else "the stream ended"


def check_options(options: Mapping[str, str], scheme: str) -> None:
    """Check the options after # in an address.

    Raises:
        InputError: one is unknown or wrong.
    """
    known = {"timeout", "transport", "latency"} if scheme.startswith("rtsp") else {"timeout"}
    if unknown := sorted(set(options) - known):
        # A password with a # in it ends up here, so unknown options are not repeated.
        raise InputError(
            f"An address of {scheme} may have these options after #: {', '.join(sorted(known))}; it has {len(unknown)} "
            "others. Write a # in a password as %23."
        )
    if options.get("transport", "tcp") not in ("tcp", "udp"):
        raise InputError(
            "The transport of an rtsp address is tcp or udp, as in rtsp://camera/live#transport=udp."
        )
    if "latency" in options:
        positive_number("latency", options["latency"], 60_000)


def positive_number(name: str, text: str, maximum: float) -> float:
    """Return the number that an option has.

    Raises:
        InputError: it is not a number, not above 0, or above `maximum`.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= maximum:
        raise InputError(f"The option {name} of a source must be a number above 0 and at most {maximum:g}.")
    return number
