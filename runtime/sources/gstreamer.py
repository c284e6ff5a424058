"""CSI cameras of a Jetson (`csi://`), USB cameras (`v4l2://`), and GStreamer pipelines (`gst:`), one of them ready.

The pipeline runs in a child process (`pipeline_runner`), so that a plug-in which crashes or hangs does not end
daflow-edge. It writes raw pictures with their time stamps as Matroska into a pipe.
"""

from __future__ import annotations

import ctypes
import functools
import json
import logging
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError, unusable_package
from daflow.core.programs import find_program, python_module
from runtime.sources.camera import Picture
from runtime.sources.child_process import ReaderProcess, SourceLostError
from runtime.sources.containers import open_limited
from runtime.sources.packets import Damage, NoVideoError, decode_packets, read_packets, video_stream
from runtime.sources.pipeline_runner import LIBRARY
from runtime.sources.redaction import Redactor
from runtime.sources.video_timing import plausible_rate

logger = logging.getLogger(__name__)

_TO_PIPE = shlex.split(
    "! videoconvert ! videoflip video-direction=auto ! video/x-raw,format=I420 "  # turned as its tag says
    "! matroskamux streamable=true ! fdsink sync=false"
)
_INSPECT = "gst-inspect-1.0"
_ELEMENT = re.compile(r"[a-zA-Z][\w-]*")  # neither caps nor the name of another element
_INSTALL = "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
JETSON_DECODER = "nvv4l2decoder"
"""The decoder of a Jetson."""

_JETSON_CONVERTER = "nvvidconv"  # its pictures are in memory of the chip
_DECODERS = {
    "h264": (JETSON_DECODER, "v4l2slh264dec", "v4l2h264dec", "avdec_h264", "openh264dec"),
    "h265": (JETSON_DECODER, "v4l2slh265dec", "v4l2h265dec", "avdec_h265"),
}
CODECS = tuple(_DECODERS)
"""What the ready pipeline of a network camera decodes; the first unless the address says otherwise."""

_LATENCY_MS = 100  # of the buffer that puts packets in order, chosen; GStreamer's 2000 would delay the alarm
_START_S = 10.0  # chosen: plug-ins and cameras start within a few seconds
_NOISE = re.compile(r"Additional debug info:|ERROR: pipeline doesn't want to preroll|\S+\.c\(\d+\): ")
_ORIGIN = re.compile(
    r"^(WARNING: erroneous pipeline: |ERROR: from element /GstPipeline:pipeline\d+/|ERROR: )"
)


def csi_pipeline(sensor: int, options: Mapping[str, int]) -> list[str]:
    """Return the pipeline of a camera on a Jetson's CSI connector.

    >>> " ".join(csi_pipeline(0, {"width": 1280, "height": 720, "fps": 30}))
    'nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1 ! nvvidconv'
    """
    caps = _caps("video/x-raw(memory:NVMM)", options)
    return ["nvarguscamerasrc", f"sensor-id={sensor}", "!", caps, "!", "nvvidconv"]


def v4l2_pipeline(device: str, options: Mapping[str, int]) -> list[str]:
    """Return the pipeline of a USB camera, raw or JPEG.

    >>> " ".join(v4l2_pipeline("/dev/video0", {}))
    'v4l2src device=/dev/video0 ! decodebin'
    """
    chosen = []
    if options:
        chosen = ["!", f"{_caps('video/x-raw', options)};{_caps('image/jpeg', options)}"]
    return ["v4l2src", f"device={device}", *chosen, "!", "decodebin"]


def network_pipeline(address: str, decoder: str, options: Mapping[str, str]) -> list[str]:
    """Return the pipeline of an RTSP camera.

    Args:
        address: rtsp or rtsps.
        decoder: of `find_decoders`.
        options: the options after # in the address: `transport` (tcp, udp), `latency` (milliseconds), `codec`.

    >>> " ".join(network_pipeline("rtsp://door/", "nvv4l2decoder", {"codec": "h265"}))
    'rtspsrc location=rtsp://door/ latency=100 protocols=tcp ! rtph265depay ! h265parse ! nvv4l2decoder ! nvvidconv'
    """
    codec = options.get("codec", CODECS[0])
    received = [
        "rtspsrc", f"location={address}", f"latency={round(float(options.get('latency', _LATENCY_MS)))}",
        f"protocols={options.get('transport', 'tcp')}", "!", f"rtp{codec}depay", "!", f"{codec}parse",
    ]  # fmt: skip
    copied = ["!", _JETSON_CONVERTER] if decoder == JETSON_DECODER else []
    return [*received, "!", decoder, *copied]


@functools.cache
def find_decoders(codec: str) -> tuple[str, ...]:
    """Return the decoders of a codec that GStreamer has here: one in hardware, then one on the processor, if it has.

    Raises:
        InputError: none is found. This alone is not remembered, as one may be installed.
    """
    best = (
        next((name for name in _DECODERS[codec] if is_hardware(name) == hardware and _is_usable(name)), None)
        for hardware in (True, False)
    )
    if not (found := tuple(filter(None, best))):
        packages = "gstreamer1.0-tools gstreamer1.0-libav"
        raise InputError(f"{_INSPECT} finds no decoder of {codec} here: apt-get install {packages}")
    return found


def _is_usable(decoder: str) -> bool:
    needed = (decoder, _JETSON_CONVERTER) if decoder == JETSON_DECODER else (decoder,)
    return all(has_element(name) for name in needed)


def is_hardware(decoder: str) -> bool:
    """Whether a decoder is a part of the chip."""
    return "v4l2" in decoder


def _caps(kind: str, options: Mapping[str, int]) -> str:
    names = {"width": "width={}", "height": "height={}", "fps": "framerate={}/1"}
    return ",".join([kind, *(form.format(options[name]) for name, form in names.items() if name in options)])


def find_gstreamer() -> None:
    """Check that GStreamer and PyAV are installed.

    Raises:
        InputError: one is missing.
    """
    try:
        ctypes.CDLL(LIBRARY)  # as `pipeline_runner` does
    except OSError:
        raise InputError(f"Sources such as gst:, csi:// and v4l2:// need GStreamer: {_INSTALL}") from None
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise unusable_package(error, "av", "edge") from None


def missing_element(pipeline: Sequence[str]) -> str | None:
    """Return the first element of a pipeline that GStreamer is known not to have here; None when there is none."""
    places = [0, *(number + 1 for number, word in enumerate(pipeline) if word == "!")]
    words = [pipeline[place] for place in places if place < len(pipeline)]
    names = dict.fromkeys(word for word in words if _ELEMENT.fullmatch(word))
    return next((name for name in names if has_element(name) is False), None)


def has_element(name: str) -> bool | None:
    """Whether GStreamer has an element here; None when that is not known, as without gst-inspect-1.0."""
    if (program := find_program(_INSPECT)) is None:
        return None
    try:
        ran = subprocess.run([program, "--exists", name], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {0: True, 1: False}.get(ran.returncode)


class PipelineStream:
    """One run of a pipeline; see `runtime.sources.camera.Connection`.

    Args:
        pipeline: its words, which end in an element with raw video.
        seconds: longest wait for a picture.
        redactor: removes the secrets from GStreamer's messages.
        device: a device file that must exist.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(
        self, pipeline: Sequence[str], seconds: float, redactor: Redactor, device: Path | None = None
    ) -> None:
        import av

        self._av: Any = av
        self._seconds = seconds
        self._redactor = redactor
        self._device = device
        self.delivered = False
        """Whether there was a picture."""
        self.fps: float | None = None
        self.damage = Damage()
        self._child = ReaderProcess(
            lambda output: python_module("runtime.sources.pipeline_runner", str(output)),
            json.dumps([*pipeline, *_TO_PIPE]).encode() + b"\n",
            _START_S + seconds,
        )

    def __iter__(self) -> Iterator[Picture]:
        if self._device is not None and not self._device.exists():
            raise SourceLostError(
                f"there is no camera {self._device}; v4l2-ctl --list-devices lists the cameras"
            )
        options = {"analyzeduration": "0", "codec_whitelist": "rawvideo"}
        try:
            container = open_limited(self._child, options, format="matroska", buffer_size=1 << 20)
        except self._av.error.FFmpegError:
            raise SourceLostError(self._reason()) from None
        with container:
            try:
                stream = video_stream(container)
            except NoVideoError as error:
                raise SourceLostError(str(error)) from None
            stream.thread_type = "SLICE"  # see `decode_packets`
            self.fps = plausible_rate(stream.average_rate)
            self._child.wait_seconds = self._seconds
            packets = read_packets(container, stream, self.damage)
            for picture in decode_packets(stream.codec_context, packets, self.damage):
                self.delivered = True
                yield Picture(None if picture.time is None else float(picture.time), picture)
        raise SourceLostError(self._reason())

    def stop(self) -> None:
        """End the reading now; may be called from any thread."""
        self._child.kill()

    def close(self) -> None:
        """Release the connection."""
        self._child.close()

    def _reason(self) -> str:
        lines = [line for line in self._child.last_lines() if line and not _NOISE.match(line)]
        errors = [number for number, line in enumerate(lines) if "ERROR" in line or "erroneous" in line]
        # The first error is the cause of the others; the line after it says more.
        chosen = lines[errors[0] : errors[0] + 2] if errors else lines[-1:]
        return self._redactor(_ORIGIN.sub("", " ".join(chosen))) if chosen else "the pipeline ended"
