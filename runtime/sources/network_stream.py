"""Network cameras: RTSP, MJPEG over HTTP and HLS, received and decoded in a child process."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from daflow.core.errors import InputError, unusable_package
from daflow.core.programs import python_module
from runtime.sources.camera import Picture
from runtime.sources.child_process import ReaderProcess, SourceLostError
from runtime.sources.gstreamer import CODECS
from runtime.sources.packets import Damage
from runtime.sources.raw_pictures import LENGTH, MAX_HEAD, read_matrix, read_picture
from runtime.sources.redaction import Redactor
from runtime.sources.video_timing import plausible_rate

logger = logging.getLogger(__name__)

_OPTIONS = {
    "rtsp": {"timeout", "transport", "latency", "codec", "decoder"},
    "http": {"timeout"},
    "gst:rtsp": {"codec", "transport", "latency"},
}  # after # in an address, also with TLS
PROCESSOR = "processor"
"""What the option `decoder` of an address may be: FFmpeg decodes, even where the chip could."""

_START_S = 5.0  # chosen: the child starts Python and loads PyAV within a second or two


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
            import av  # noqa: F401
        except ImportError as error:
            raise unusable_package(error, "av", "edge") from None
        self._seconds = seconds
        self._redactor = redactor
        self.delivered = False
        """Whether there was a picture."""
        self.fps: float | None = None
        self.damage = Damage()
        request = {"address": address, "options": dict(options), "seconds": seconds}
        message = json.dumps(request).encode() + b"\n"
        self._child = ReaderProcess(
            lambda output: python_module("runtime.sources.network_receiver", str(output)),
            message,
            _START_S + 2 * seconds,
        )

    def __iter__(self) -> Iterator[Picture]:
        while facts := self._facts():
            self.damage.packets, self.damage.error = int(facts["damaged"]), self._redactor(facts["error"])
            if "fps" in facts:
                self.fps = plausible_rate(facts["fps"])
                self._child.wait_seconds = self._seconds
            if "size" in facts:
                picture = read_picture(facts, self._child.read_into)
                if picture is None:
                    break
                self.delivered = True
                yield Picture(facts["stamp"], picture, read_matrix(facts))
        raise SourceLostError(self._reason())

    def stop(self) -> None:
        """End the reading now; may be called from any thread."""
        self._child.kill()

    def close(self) -> None:
        """Release the connection."""
        self._child.close()

    def _facts(self) -> dict[str, Any]:
        """Return the next entry without its picture, empty at the end."""
        if not (length := self._child.read_exactly(LENGTH.size)):
            return {}
        (size,) = LENGTH.unpack(length)
        if size > MAX_HEAD:
            raise SourceLostError("its receiver wrote nonsense")
        facts: dict[str, Any] = json.loads(self._child.read_exactly(size) or b"{}")
        return facts

    def _reason(self) -> str:
        said = [line for line in self._child.last_lines() if line]
        if crash := self._child.crash():
            return f"its video ended the process that decodes it ({crash})"
        return self._redactor(said[-1]) if said else "the stream ended"


def check_options(options: Mapping[str, str], kind: str) -> None:
    """Check the options after # in an address.

    Args:
        options: by name.
        kind: rtsp, rtsps, http, https, gst:rtsp or gst:rtsps.

    Raises:
        InputError: one is unknown or wrong.
    """
    known = _OPTIONS[kind.rstrip("s")]
    if unknown := sorted(set(options) - known):
        # A password with a # in it ends up here, so unknown options are not repeated.
        raise InputError(
            f"An address of {kind} may have these options after #: {', '.join(sorted(known))}; it has {len(unknown)} "
            "others. Write a # in a password as %23."
        )
    if options.get("transport", "tcp") not in ("tcp", "udp"):
        raise InputError(
            "The transport of an rtsp address is tcp or udp, as in rtsp://camera/live#transport=udp."
        )
    if options.get("codec", CODECS[0]) not in CODECS:
        raise InputError(f"The codec of {kind} is {' or '.join(CODECS)}, as in #codec=h265.")
    if options.get("decoder", PROCESSOR) != PROCESSOR:
        raise InputError(
            f"The decoder of an rtsp address may be {PROCESSOR}, as in rtsp://camera/live#decoder={PROCESSOR}."
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
