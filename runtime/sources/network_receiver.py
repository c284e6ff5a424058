"""The program of the child process that receives a network camera: `python -m runtime.sources.network_receiver`.

FFmpeg's network code can block where nothing can interrupt it, so it runs in a process that can be killed. The video
is passed on compressed: a line of JSON about the stream, then each packet as its time stamp (int64, `NO_STAMP` when it
has none), its size (uint32) and its bytes. The address comes on standard input, as everybody can read command lines.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import sys
import threading
import time
from typing import Any, BinaryIO

HEAD = struct.Struct("<qI")
NO_STAMP = -(1 << 63)
_UNTIMED = frozenset(
    {"mpjpeg", "mjpeg", "h264", "hevc"}
)  # formats without time stamps, for which FFmpeg makes them up
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
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, av.error.ExitError):
            reason = "no answer in time"
        print(reason, file=sys.stderr)  # noqa: T201 - the parent reads it
        sys.stderr.flush()
        os._exit(1)


def _copy(container: Any, output: BinaryIO) -> None:
    if not container.streams.video:
        raise ValueError("it sends no video")
    stream = container.streams.video[0]
    header = {
        "codec": stream.codec_context.name,
        "extradata": base64.b64encode(stream.codec_context.extradata or b"").decode(),
        "unit": float(stream.time_base or 1),
        "fps": float(stream.average_rate or stream.guessed_rate or 0),
    }
    output.write(json.dumps(header).encode() + b"\n")
    names = set(container.format.name.split(","))
    has_stamps, live = not names & _UNTIMED, "rtsp" in names
    began: float | None = None
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if has_stamps and not live and packet.dts is not None:
            began = _wait(float(packet.dts * stream.time_base), began)
        stamp = packet.pts if has_stamps and packet.pts is not None else NO_STAMP
        output.write(HEAD.pack(stamp, packet.size))
        output.write(bytes(packet))
        output.flush()


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
