"""The program of the child process that receives and decodes a network camera.

FFmpeg's network code can block where nothing can interrupt it, and its decoders are fed by whoever answers at the
address. So both run in a process that may be killed, may crash, and has little memory. It writes pictures as
`raw_pictures` says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from runtime.sources.child_program import MEMORY_BYTES, begin, end, fail
from runtime.sources.containers import NETWORK_CODECS, NETWORK_FORMATS, TOO_LARGE, open_limited, reason_of
from runtime.sources.named_host import NamedHost
from runtime.sources.packets import Damage, NoVideoError, decode_packets, read_packets, video_stream
from runtime.sources.raw_pictures import PictureWriter

_PROTOCOLS = {"http": "http,https,tcp,tls,crypto", "rtsp": "rtsp,rtsps,tcp,tls,udp,rtp,srtp"}
_UNTIMED = frozenset(
    {"mpjpeg", "mjpeg", "h264", "hevc"}
)  # formats without time stamps, for which FFmpeg makes them up
_MAX_KEY_FRAME_S = 30.0  # chosen: what comes before the first key frame cannot be decoded
_LATE_S, _EARLY_S = 1.0, 30.0  # a packet further from its time restarts the clock: a jump of the stamps


def main() -> None:
    """Receive the stream that the request on standard input names; write its pictures to the given file descriptor."""
    import av

    request = begin()
    address, seconds = request["address"], request["seconds"]
    protocols = _PROTOCOLS["rtsp" if address.startswith("rtsp") else "http"]
    options = {
        **request["options"],
        "protocol_whitelist": protocols,
        "format_whitelist": NETWORK_FORMATS,
        "codec_whitelist": NETWORK_CODECS,
    }
    host = NamedHost(address)
    host.install()
    try:
        with open_limited(address, options, timeout=(seconds, seconds)) as container:
            host.require_asked()
            _copy(container, int(sys.argv[1]), seconds + _MAX_KEY_FRAME_S)
    except BrokenPipeError:
        pass
    except MemoryError:
        fail(f"it needs more than {MEMORY_BYTES >> 30} GiB of memory")
    except (av.error.FFmpegError, NoVideoError, OSError, ValueError) as error:
        fail("no answer in time" if isinstance(error, av.error.ExitError) else reason_of(error))
    end()


def _copy(container: Any, output: int, patience: float) -> None:
    stream = video_stream(container)
    decoder = stream.codec_context
    if decoder.name not in NETWORK_CODECS.split(","):
        raise NoVideoError(f"its video format {decoder.name} is not read from the network")
    decoder.thread_type = "SLICE"  # one thread per frame would delay the pictures by as many frames
    names = set(container.format.name.split(","))
    damage = Damage()
    writer = PictureWriter(output, damage)
    writer.tell(fps=float(stream.average_rate or stream.guessed_rate or 0))
    packets = _packets(container, stream, not names & _UNTIMED, "rtsp" in names, writer)
    unit = float(stream.time_base or 1)
    seen = False
    try:
        for picture in decode_packets(decoder, packets, damage, patience):
            writer.write(picture, None if picture.pts is None else picture.pts * unit)
            seen = True
    except NoVideoError as error:
        raise NoVideoError(f"{error}; {TOO_LARGE}") from None
    if damage.packets and not seen:
        raise NoVideoError(f"its pictures cannot be decoded: {damage.error}; {TOO_LARGE}")


def _packets(
    container: Any, stream: Any, has_stamps: bool, live: bool, writer: PictureWriter
) -> Iterator[Any]:
    """Yield the packets, those of files and HLS at their time, and tell with each that the stream lives."""
    began: float | None = None
    for packet in read_packets(container, stream, Damage()):
        if has_stamps and not live and packet.dts is not None:
            began = _wait(float(packet.dts * stream.time_base), began)
        packet.pts = packet.dts = packet.pts if has_stamps else None
        writer.tell()
        yield packet


def _wait(stamp: float, began: float | None) -> float:
    """Wait until it is time for a packet, as files and HLS arrive faster than they play; return the time of stamp 0."""
    now = time.monotonic()
    if began is None or not -_LATE_S < began + stamp - now < _EARLY_S:
        return now - stamp
    time.sleep(max(0.0, began + stamp - now))
    return began


if __name__ == "__main__":
    main()
