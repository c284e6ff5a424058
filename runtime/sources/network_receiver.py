"""The program of the child process that receives a network camera: `python -m runtime.sources.network_receiver`.

FFmpeg's network code can block where nothing can interrupt it, so it runs in a process that can be killed. The video
is passed on compressed: a line of JSON about the stream, then each packet as its time stamp (int64, `NO_STAMP` when it
has none), its size (uint32) and its bytes. The address comes on standard input, as everybody can read command lines.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from runtime.sources.packets import Damage, NoVideoError, decode_packets, read_packets, video_stream

HEAD = struct.Struct("<qI")
NO_STAMP = -(1 << 63)
_UNTIMED = frozenset(
    {"mpjpeg", "mjpeg", "h264", "hevc"}
)  # formats without time stamps, for which FFmpeg makes them up
_MAX_TO_PICTURE = 100  # packets; a decoder keeps back up to 16
_LATE_S, _EARLY_S = 1.0, 30.0  # a packet further from its time restarts the clock: a jump of the stamps


def main() -> None:
    """Receive the stream that the request on standard input names; write its packets to the given file descriptor."""
    import av

    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with open(int(sys.argv[1]), "wb") as output:  # noqa: PTH123 - a descriptor
            timeout = (request["open_seconds"], request["read_seconds"])
            with av.open(
                request["address"], options=request["options"], timeout=timeout, metadata_errors="replace"
            ) as container:
                _copy(container, output)
    except BrokenPipeError:
        return
    except (av.error.FFmpegError, NoVideoError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, av.error.ExitError):
            reason = "no answer in time"
        print(reason, file=sys.stderr)  # noqa: T201 - the parent reads it
        sys.stderr.flush()
        os._exit(1)


def _copy(container: Any, output: BinaryIO) -> None:
    stream = video_stream(container)
    names = set(container.format.name.split(","))
    has_stamps, live = not names & _UNTIMED, "rtsp" in names
    packets = read_packets(container, stream, Damage())
    first: list[Any] = []
    matrix = b"" if live or not has_stamps else _display_matrix(stream, packets, first)
    header = {
        "codec": stream.codec_context.name,
        "extradata": base64.b64encode(stream.codec_context.extradata or b"").decode(),
        "unit": float(stream.time_base or 1),
        "fps": float(stream.average_rate or stream.guessed_rate or 0),
        "matrix": base64.b64encode(matrix).decode(),
    }
    output.write(json.dumps(header).encode() + b"\n")
    began: float | None = None
    for packet in itertools.chain(first, packets):
        if has_stamps and not live and packet.dts is not None:
            began = _wait(float(packet.dts * stream.time_base), began)
        stamp = packet.pts if has_stamps and packet.pts is not None else NO_STAMP
        output.write(HEAD.pack(stamp, packet.size))
        output.write(bytes(packet))
        output.flush()


def _display_matrix(stream: Any, packets: Iterator[Any], read: list[Any]) -> bytes:
    """Return how a file's pictures are turned, which only its decoder is told; empty when they are upright.

    Args:
        stream: of the packets.
        packets: are read up to the first picture.
        read: takes them.
    """
    from runtime.sources.orientation import display_matrix  # not above: it loads numpy

    def kept() -> Iterator[Any]:
        for packet in itertools.islice(packets, _MAX_TO_PICTURE):
            read.append(packet)
            yield packet

    for picture in decode_packets(stream.codec_context, kept(), Damage()):
        return display_matrix(picture) or b""
    return b""


def _wait(stamp: float, began: float | None) -> float:
    """Wait until it is time for a packet, as files and HLS arrive faster than they play; return the time of stamp 0."""
    now = time.monotonic()
    if began is None or not -_LATE_S < began + stamp - now < _EARLY_S:
        return now - stamp
    time.sleep(max(0.0, began + stamp - now))
    return began


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
