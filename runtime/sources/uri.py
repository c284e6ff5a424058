"""The names of all sources, and how each is opened; a new kind of source is added here.

    shop.mp4, file:///data/shop.mp4            a video
    pictures/                                  a folder of images
    rtsp://user:${PASSWORD}@camera/live        a network camera; also rtsps, http and https (MJPEG, HLS)
    rtsp://camera/live#transport=udp&timeout=5 the same with options, which the camera does not get
    v4l2:///dev/video0?width=1280&fps=30, 0    a USB camera, also by its number alone
    csi://0?width=1280&height=720&fps=30       a camera on a Jetson's CSI connector
    gst:PIPELINE                               any GStreamer pipeline that ends in raw video
    gst:rtsp://camera/live#codec=h265          the same by GStreamer, with any hardware decoder that is there
    tracks:FILE                                recorded pose tracks
    synthetic:frames=0,people=4,event=none     generated people, here endless

`${NAME}` is replaced by that environment variable.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from daflow.core.data.tracks import DEFAULT_FPS, track_file
from daflow.core.errors import InputError, unusable_package
from runtime.sources.camera import CameraSource, Connection
from runtime.sources.first_that_works import FirstThatWorks
from runtime.sources.frames import Source
from runtime.sources.gstreamer import (
    CODECS,
    JETSON_DECODER,
    PipelineStream,
    csi_pipeline,
    find_decoders,
    find_gstreamer,
    is_hardware,
    missing_element,
    network_pipeline,
    v4l2_pipeline,
)
from runtime.sources.images import ImagesSource, tell_default_rate
from runtime.sources.network_stream import (
    PROCESSOR,
    NetworkStream,
    check_options,
    positive_number,
    stream_options,
)
from runtime.sources.realtime_playback import RealtimeSource
from runtime.sources.recorded_tracks import ClipSource
from runtime.sources.redaction import Redactor, redacted, with_environment
from runtime.sources.synthetic import synthetic_source
from runtime.sources.video import VideoSource
from runtime.sources.video_timing import video_rate

__all__ = ["Policy", "check_present", "connector", "is_live", "open_source", "redacted"]

Policy = Literal["auto", "latest", "all"]

_TIMEOUT_S = 10.0  # without a picture, until a camera counts as lost; #timeout= changes it
_BY_FFMPEG = "decoded by FFmpeg on the processor"
_NETWORK = ("rtsp", "rtsps", "http", "https")
_LIVE = (*_NETWORK, "v4l2", "csi", "gst")
_CAMERA_OPTIONS = {"width": 16384, "height": 16384, "fps": 1000}
_KINDS = "a video file, a folder of images, rtsp://, http://, v4l2://, csi://, gst:, tracks: or synthetic:"


def is_live(uri: str) -> bool:
    """Whether a source is a camera, which has no end and cannot wait.

    >>> is_live("rtsp://camera/live"), is_live("0"), is_live("shop.mp4"), is_live("synthetic:")
    (True, True, False, False)
    """
    with contextlib.suppress(InputError):
        uri = _resolved(uri)
    return _is_number(uri) or uri.partition(":")[0].lower() in _LIVE


def open_source(
    uri: str,
    policy: Policy = "auto",
    realtime: bool = False,
    name: str | None = None,
    fps: float | None = None,
) -> Source:
    """Open a source by its name.

    Args:
        uri: see this module.
        policy: what happens when frames arrive faster than they are processed. `latest` drops old frames and counts
            them, `all` keeps every frame; `auto` is `latest` for cameras and `all` for recordings. Without `realtime`
            a recording never drops frames.
        realtime: play recordings at their own speed.
        name: the name of a camera in the log; None is its address without secrets.
        fps: frames per second of a recording; None is its own rate.

    Raises:
        InputError: the name is wrong, a recording is missing or cannot be read, or a package is missing. A camera
            that does not answer is no error: its status says so, and it is tried again.
    """
    if not uri.strip():
        raise InputError(f"The source is empty; name {_KINDS}")
    _resolved(uri)
    if is_live(uri):
        if fps is not None:
            raise InputError(
                f"{redacted(uri)} is a camera, which has its own rate: fps is for recordings (ask a csi or v4l2 "
                "camera for a rate with ?fps=)."
            )
        connect = connector(uri)
        return CameraSource(connect, name or redacted(uri), "all" if policy == "all" else "latest")
    source = _recording(with_environment(uri), fps)
    return RealtimeSource(source, policy == "latest") if realtime else source


def _recording(uri: str, fps: float | None) -> Source:
    if "\0" in uri:
        raise InputError("The name of the source holds a zero byte.")
    scheme, _, rest = uri.partition(":")
    if scheme == "tracks":
        clip = track_file(recording_path(uri), fps=fps).read()
        return ClipSource(clip, clip.rate.fps if clip.rate else DEFAULT_FPS)
    if scheme == "synthetic":
        if fps is not None:
            raise InputError("Generated people have the rate of their name, as in synthetic:fps=15.")
        return synthetic_source(rest)
    path = recording_path(uri)
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError:  # a name that is too long, say
        folder = there = False
    if not there and rest.startswith("//") and scheme.isalnum() and scheme != "file":
        raise InputError(f"There are no sources of the kind {scheme}://; name {_KINDS}")
    # A mistyped address, which may hold a password: it is not repeated.
    if not there and "@" in uri and (":" in uri or "//" in uri):
        raise InputError(f"The source is neither a file nor an address; name {_KINDS}")
    if not folder:
        return VideoSource(path, rate=video_rate(path, fps))
    if fps is None:
        tell_default_rate([path])
    return ImagesSource(path, fps or DEFAULT_FPS)


def recording_path(uri: str) -> Path:
    """Return the file or folder that a source names, which is no camera.

    >>> recording_path("file:///data/my%20shop.mp4"), recording_path("16:38:41.mp4"), recording_path("tracks:a.json")
    (PosixPath('/data/my shop.mp4'), PosixPath('16:38:41.mp4'), PosixPath('a.json'))

    Raises:
        InputError: a `file://` source names another machine, or an environment variable is missing.
    """
    scheme, _, rest = with_environment(uri).partition(":")
    if scheme == "tracks":
        return Path(rest)
    if scheme == "file" and rest.startswith("//"):
        host, slash, name = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise InputError("A file:// source names a file of this machine, as in file:///data/shop.mp4.")
        return Path(f"/{unquote(name)}")
    return Path(with_environment(uri))


def connector(uri: str) -> Callable[[], Connection]:
    """Check the name of a camera, and return what connects to it.

    Raises:
        InputError: the name is wrong, or a package or program is missing.
    """
    redactor = Redactor(uri)
    uri = _resolved(uri)
    scheme = "v4l2" if _is_number(uri) else uri.partition(":")[0].lower()
    if scheme in _NETWORK:
        return _network(scheme, with_environment(uri), redactor)
    rest = uri.partition(":")[2]
    if scheme == "gst" and _is_rtsp(rest):
        ways = {
            decoded: partial(PipelineStream, words, _TIMEOUT_S, redactor)
            for decoded, words in _ready_pipelines(rest).items()
        }
        return FirstThatWorks(ways, redacted(rest))
    words, device = _local_pipeline(scheme, uri)
    find_gstreamer()
    return lambda: PipelineStream(words, _TIMEOUT_S, redactor, device)


def check_present(uri: str) -> None:
    """Refuse a camera of this machine that is not there, or whose GStreamer plug-in is not.

    For a run that somebody starts by hand. A service waits instead: a USB camera may be plugged in again.

    Raises:
        InputError: it is not there, or its name is wrong.
    """
    if not is_live(uri):
        return
    connector(uri)
    uri = _resolved(uri)
    scheme = "v4l2" if _is_number(uri) else uri.partition(":")[0].lower()
    if scheme in _NETWORK:
        return
    words, device = _local_pipeline(scheme, uri)
    if missing := missing_element(words):
        hint = ": it is part of JetPack (nvidia-l4t-gstreamer)" if scheme == "csi" else ""
        raise InputError(f"GStreamer has no {missing} on this machine, which {redacted(uri)} needs{hint}.")
    if device is not None and not device.exists():
        raise InputError(f"There is no camera {device}; v4l2-ctl --list-devices lists the cameras.")


def _local_pipeline(scheme: str, uri: str) -> tuple[list[str], Path | None]:
    """Return the pipeline of a camera of this machine, and its device file, if it has one."""
    if scheme == "gst":
        rest = uri.partition(":")[2]
        return next(iter(_ready_pipelines(rest).values())) if _is_rtsp(rest) else _pipeline(rest), None
    if scheme == "csi":
        sensor, options = _camera(with_environment(uri))
        if not _is_number(sensor):
            raise InputError(
                "A csi source names its sensor by a number, as in csi://0?width=1280&height=720&fps=30."
            )
        return csi_pipeline(int(sensor), options), None
    name, options = _camera(f"v4l2:///dev/video{int(uri)}" if _is_number(uri) else with_environment(uri))
    if not name.startswith("/dev/"):
        raise InputError("A v4l2 source names its device, as in v4l2:///dev/video0.")
    return v4l2_pipeline(name, options), Path(name)


def decoder_of(uri: str) -> str | None:
    """Return what decodes a network camera, in words; None for other sources.

    Raises:
        InputError: the name is wrong, or there is no decoder.
    """
    uri = _resolved(uri)
    scheme, _, rest = uri.partition(":")
    scheme = scheme.lower()
    if scheme == "gst" and _is_rtsp(rest):
        return next(iter(_ready_pipelines(rest)))
    if scheme not in _NETWORK:
        return None
    address, options = _address_and_options(with_environment(uri))
    if jetson := _jetson_pipelines(address, options):
        return f"{next(iter(jetson))}, if that gives a picture"
    hint = ""
    with contextlib.suppress(InputError):
        if (
            _is_rtsp(uri)
            and PROCESSOR not in options.values()
            and any(map(is_hardware, find_decoders(CODECS[0])))
        ):
            hint = f" (gst:{scheme}://... would be decoded in hardware)"
    return f"{_BY_FFMPEG}{hint}"


def _is_rtsp(text: str) -> bool:
    """Whether what follows gst: is the address of a camera, and no pipeline."""
    return text.lower().startswith(("rtsp://", "rtsps://"))


def _ready_pipelines(text: str) -> dict[str, list[str]]:
    """Return the pipelines for the address of a camera by what decodes in them, in words; the best first."""
    find_gstreamer()
    address, options = _address(text)
    places = {True: "in hardware", False: "on the processor"}
    return {
        f"decoded by {name} {places[is_hardware(name)]}": network_pipeline(address, name, options)
        for name in find_decoders(options["codec"])
    }


def _address(text: str) -> tuple[str, dict[str, str]]:
    """Return the address of a camera that a ready pipeline reads, and the options after #."""
    redactor = Redactor(text)
    address, options = _address_and_options(with_environment(text))
    scheme = address.partition(":")[0].lower()
    _require_valid(address, redactor(redacted(text)), scheme)
    check_options(options, f"gst:{scheme}")
    return address, {"codec": CODECS[0], **options}


def _address_and_options(uri: str) -> tuple[str, dict[str, str]]:
    """Split an address and the options after #."""
    address, _, fragment = uri.partition("#")
    return address, dict(parse_qsl(fragment, keep_blank_values=True))


def _jetson_pipelines(address: str, options: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the pipelines for a camera that a Jetson decodes, by what decodes in them, in words; none elsewhere.

    Which codec a camera sends is not known before; that of the options, or each in turn.
    """
    if not _is_rtsp(address) or options.get("decoder") == PROCESSOR:
        return {}
    pipelines = {}
    with contextlib.suppress(InputError):  # no GStreamer, or no decoder of a codec
        find_gstreamer()
        for codec in [options["codec"]] if "codec" in options else CODECS:
            if JETSON_DECODER in find_decoders(codec):
                words = f"decoded as {codec} by {JETSON_DECODER} in hardware"
                pipelines[words] = network_pipeline(address, JETSON_DECODER, {**options, "codec": codec})
    return pipelines


def _network(scheme: str, uri: str, redactor: Redactor) -> Callable[[], Connection]:
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise unusable_package(error, "av", "edge") from None
    address, options = _address_and_options(uri)
    _require_valid(address, redactor(redacted(uri)), scheme)
    check_options(options, scheme)
    seconds = positive_number("timeout", options.get("timeout", str(_TIMEOUT_S)), 3600)
    chosen = stream_options(scheme, options, seconds)
    address = scheme + address[len(scheme) :]
    by_ffmpeg = partial(NetworkStream, address, chosen, seconds, redactor)
    in_hardware = {
        decoded: partial(PipelineStream, words, seconds, redactor)
        for decoded, words in _jetson_pipelines(address, options).items()
    }
    if not in_hardware:
        return by_ffmpeg
    return FirstThatWorks({**in_hardware, _BY_FFMPEG: by_ffmpeg}, redacted(uri))


def _require_valid(address: str, shown: str, scheme: str) -> None:
    try:
        parts = urlsplit(address)
        valid = bool(parts.hostname) and parts.port != 0 and re.search(r"[\s\x00-\x1f\x7f]", address) is None
    except ValueError:
        valid = False
    if not valid:
        raise InputError(
            f"The address {shown} is invalid; write {scheme}://user:password@host:port/path. In the password write @ "
            "as %40, / as %2F and # as %23."
        )


def _pipeline(text: str) -> list[str]:
    try:
        words = [with_environment(word) for word in shlex.split(text)]
    except ValueError:
        words = []
    if not words or words[-1] == "!" or words[0].startswith("-") or any("\0" in word for word in words):
        raise InputError(
            "A gst source is a pipeline that ends in raw video, as in gst:videotestsrc ! video/x-raw,width=640; its "
            "quotes must be closed, and it must not end with !."
        )
    return words


def _camera(uri: str) -> tuple[str, Mapping[str, int]]:
    """Return the device or sensor of a csi or v4l2 source, and its options."""
    scheme, _, rest = uri.partition(":")
    name, _, query = rest.removeprefix("//").partition("?")
    options = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _CAMERA_OPTIONS:
            raise InputError(f"A {scheme} source takes {', '.join(_CAMERA_OPTIONS)}, not {key!r}.")
        if not _is_number(value) or not 0 < int(value) <= _CAMERA_OPTIONS[key]:
            raise InputError(
                f"{key}={value!r} of a {scheme} source must be from 1 to {_CAMERA_OPTIONS[key]}."
            )
        options[key] = int(value)
    if not name or re.search(r"[\s\x00!]", name):
        raise InputError(
            f"A {scheme} source needs a camera, as in {'csi://0' if scheme == 'csi' else 'v4l2:///dev/video0'}."
        )
    return name, options


def _resolved(uri: str) -> str:
    """Return a source with its environment variable replaced if it starts with one, as in ${CAMERA}."""
    return with_environment(uri) if uri.startswith("${") else uri


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


_RECORDED_PEOPLE = ("tracks:", "synthetic:")


def needs_poses(uri: str) -> bool:
    """Whether the people of a source must be found in its pictures.

    >>> needs_poses("shop.mp4"), needs_poses("synthetic:people=4")
    (True, False)
    """
    return not uri.startswith(_RECORDED_PEOPLE)
