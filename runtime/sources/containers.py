"""What is opened: which protocols, formats and codecs are let in, and how large a picture may be.

FFmpeg opens whatever a name or a playlist says. Here a file is only ever a file (not `http:` or `concat:`, which are
names of its protocols), no format is read that leads to other files or addresses, and no picture is decoded that would
take gigabytes. What may be read from the network is in `NETWORK_FORMATS` and `NETWORK_CODECS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_PIXELS = 1 << 26
"""The most pixels of a picture, 8192 x 8192; as RGB they take 200 MB."""

TOO_LARGE = f"pictures of more than {MAX_PIXELS / 1e6:.0f} megapixels are not read"
"""What to say where FFmpeg does not say why it refuses."""

_FILE_FORMATS = (
    # videos; without hls, dash, concat, sdp and others that lead elsewhere
    "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg,mxf,nut,dv,dhav,wtv,rm,nsv,ivf,obu,gif,apng,yuv4mpegpipe,mpjpeg,"
    "mjpeg,h264,hevc,vvc,av1,m4v,mpegvideo,h261,h263,vc1,vc1test,"
    # pictures
    "image2,jpeg_pipe,jpegls_pipe,png_pipe,bmp_pipe,webp,webp_pipe,tiff_pipe,pbm_pipe,pgm_pipe,pgmyuv_pipe,ppm_pipe"
)

NETWORK_FORMATS = (
    "rtsp,hls,mpjpeg,mjpeg,image2,jpeg_pipe,mpegts,mpeg,mov,matroska,flv,avi,asf,ogg,h264,hevc,m4v,mpegvideo,"
    "aac,ac3,eac3,mp3,webvtt"  # the sound and the text of HLS are streams of their own
)
"""FFmpeg's formats that are read from the network."""

NETWORK_CODECS = (
    "h264,hevc,mjpeg,mpeg4,vp8,vp9,av1,libdav1d,h263,mpeg1video,mpeg2video,"
    "aac,ac3,eac3,mp3,mp3float,mp2,mp2float,opus,vorbis,pcm_alaw,pcm_mulaw,pcm_s16le,pcm_s16be,g722,g726,g726le"
)
"""FFmpeg's decoders that data from the network may reach; sound is decoded to learn its rate only."""

_LIMITS = {"max_pixels": str(MAX_PIXELS)}
_READS_ALL_METADATA = 19  # PyAV, since this version
_ONE_PICTURE = {"pattern_type": "none"}  # frame%d.jpg is the name of one picture


def file_address(path: Path) -> str:
    """Return the name by which FFmpeg takes a path as a file, whatever it begins with.

    >>> file_address(Path("http:/10.0.0.5/shop.mp4"))
    'file:http:/10.0.0.5/shop.mp4'
    """
    return f"file:{path}"


def open_file(path: Path) -> Any:
    """Open a file of video or a picture; return its `av.InputContainer`, whose decoders have the limit of pixels.

    Raises:
        FFmpegError: it cannot be read, or has another format.
    """
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": _FILE_FORMATS,
    }
    return open_limited(file_address(path), options)


def open_limited(source: Any, options: Mapping[str, str], **arguments: Any) -> Any:
    """Open a container whose decoders refuse pictures of more than `MAX_PIXELS`.

    Args:
        source: a name or a file object, as `av.open` takes it.
        options: of FFmpeg.
        arguments: the others of `av.open`.

    Raises:
        FFmpegError: it cannot be read.
    """
    import av

    # Metadata may be in any encoding: PyAV 19 reads it as it is, older ones must be told not to fail.
    if int(av.__version__.split(".")[0]) < _READS_ALL_METADATA:
        arguments["metadata_errors"] = "replace"
    container = av.open(source, options={**options, **_LIMITS, **_ONE_PICTURE}, **arguments)
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = dict(_LIMITS)
    return container


def reason_of(error: Exception) -> str:
    """Return what an error of FFmpeg says."""
    import av

    if isinstance(error, av.error.ArgumentError):  # all that FFmpeg says of these
        return f"it is damaged, has more than {MAX_PIXELS / 1e6:.0f} megapixels, or a format that is not read"
    return str(getattr(error, "strerror", None) or error)
