"""The skeletons around an alarm as an animated GIF or an MP4: drawn on a dark ground, without a pixel of the camera."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daflow.core.errors import unusable_package
from runtime.drawing import ABNORMAL, BLANK, INK, NORMAL, UNSCORED, Colour, draw_person, short, write
from runtime.replays.skeletons import AlarmSkeletons, RecordedFrame
from runtime.sources.frames import Image

_TRACK: Colour = (90, 90, 90)
_EDGES: Colour = (70, 70, 70)
_TICKS = 1000  # per second of an MP4; a GIF has 100
_MAX_GAP = 1.0  # seconds without frames that are shown
_ROUNDING = 1e-3  # seconds
_HELD = 1.0  # seconds that the last frame stays


class _Form(NamedTuple):
    """How a picture is made: its longer side in pixels, the seconds that it shows, and those between its frames."""

    side: int
    seconds: float
    spacing: float


_GIF = _Form(480, 20.0, 0.1)
_MP4 = _Form(720, 60.0, 0.0)


def gif_of(skeletons: AlarmSkeletons) -> bytes:
    """Return an animated GIF of the skeletons, of at most 20 seconds around the peak.

    Raises:
        InputError: PyAV or OpenCV is missing.
    """
    av, canvases = _av(), _drawn(skeletons, _GIF)
    time, first = next(canvases)
    height, width = first.shape[:2]
    base = Fraction(1, 100)
    # Colours that are known need no pass over the frames to find them, and no frame has to wait in memory.
    graph = av.filter.Graph()
    frames = graph.add_buffer(width=width, height=height, format="rgb24", time_base=base)
    palette = graph.add_buffer(width=16, height=16, format="rgb24", time_base=base)
    mapped, sink = graph.add("paletteuse", "dither=none:diff_mode=rectangle"), graph.add("buffersink")
    frames.link_to(mapped, 0, 0)
    palette.link_to(mapped, 0, 1)
    mapped.link_to(sink)
    graph.configure()
    palette.push(_frame(av, _palette(), 0, base))
    palette.push(None)
    file = io.BytesIO()
    with av.open(file, "w", format="gif") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        stream.codec_context.time_base = base

        def mux(frame: Any) -> None:
            frames.push(frame)
            while (found := _pulled(av, sink)) is not None:
                container.mux(stream.encode(found))

        mux(_frame(av, first, round(time * 100), base))
        for time, canvas in canvases:
            mux(_frame(av, canvas, round(time * 100), base))
        mux(None)
        container.mux(stream.encode(None))
    return file.getvalue()


def mp4_of(skeletons: AlarmSkeletons) -> bytes:
    """Return an MP4 (H.264) of the skeletons, of at most 60 seconds around the peak.

    Raises:
        InputError: PyAV or OpenCV is missing.
    """
    return write_mp4(_drawn(skeletons, _MP4))


def write_mp4(pictures: Iterator[tuple[float, Image]]) -> bytes:
    """Return an MP4 (H.264) of pictures.

    Args:
        pictures: at least one, each with its time, seconds; of one size, with sides that are even numbers.

    Raises:
        InputError: PyAV is missing.
    """
    av, file, base = _av(), io.BytesIO(), Fraction(1, _TICKS)
    with av.open(file, "w", format="mp4") as container:
        stream = None
        for time, picture in pictures:
            if stream is None:
                options = {"preset": "veryfast", "crf": "23", "tune": "zerolatency"}
                stream = container.add_stream("libx264", rate=25, options=options)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = base
            container.mux(stream.encode(_frame(av, picture, round(time * _TICKS), base)))
        if stream is not None:
            container.mux(stream.encode(None))
    return file.getvalue()


def _av() -> Any:
    try:
        import av
        import av.filter
        import cv2  # noqa: F401  # fail before anything is drawn
    except ImportError as error:
        raise unusable_package(error, error.name or "av", "edge") from None
    return av


def _frame(av: Any, picture: Image, ticks: int, base: Fraction) -> Any:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = ticks, base
    return frame


def _pulled(av: Any, sink: Any) -> Any:
    """Return the next frame of a filter, None when there is none yet."""
    try:
        return sink.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None


def _palette() -> Image:
    """Return the 256 colours of a GIF as a picture: from the ground to each colour in which something is drawn."""
    steps = np.linspace(0, 1, 256 // 5)[1:, None]
    ramps = [
        np.array(BLANK) + steps * (np.array(colour) - BLANK)
        for colour in (NORMAL, ABNORMAL, UNSCORED, INK, _TRACK)
    ]
    colours = np.concatenate([np.array([BLANK]), *ramps])
    filled = np.concatenate([colours, np.repeat(colours[-1:], 256 - len(colours), axis=0)])
    palette: Image = filled.round().astype(np.uint8).reshape(16, 16, 3)
    return palette


def _drawn(skeletons: AlarmSkeletons, form: _Form) -> Iterator[tuple[float, Image]]:
    """Yield the frames that are shown, drawn, each with when it is shown, seconds from 0."""
    part = _shown_part(skeletons, form.seconds)
    width, height = skeletons.frame_size
    scale = form.side / max(width, height)
    size = max(32, int(width * scale) // 2 * 2), max(32, int(height * scale) // 2 * 2)
    edges = _edges(skeletons.outline, size)
    frames = part.frames or (RecordedFrame(0.0, ()),)
    shown, last, due = 0.0, frames[0], frames[0].time + form.spacing
    yield shown, _draw(part, last, size, edges)
    for frame in frames[1:]:
        if frame.time >= due - _ROUNDING:
            shown += min(frame.time - last.time, _MAX_GAP)
            yield shown, _draw(part, frame, size, edges)
            last, due = frame, max(due, frame.time - form.spacing) + form.spacing
    yield shown + _HELD, _draw(part, last, size, edges)


def _shown_part(skeletons: AlarmSkeletons, seconds: float) -> AlarmSkeletons:
    """Return the part around the peak that is not longer than so many seconds."""
    if not skeletons.frames:
        return skeletons
    first, last = skeletons.frames[0].time, skeletons.frames[-1].time
    if last - first <= seconds:
        return skeletons
    begin = min(max((skeletons.peak or 0.0) - seconds / 2, first), last - seconds)
    return skeletons.between(begin, begin + seconds)


def _edges(png: bytes | None, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Return where the outline of a scene is in a picture of that size, `(H, W)`; None without one."""
    import cv2

    if png is None:
        return None
    outline: Any = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    edges: npt.NDArray[np.bool_] = cv2.resize(outline[..., 3], size, interpolation=cv2.INTER_LINEAR) > 100
    return edges


def _draw(
    skeletons: AlarmSkeletons,
    frame: RecordedFrame,
    size: tuple[int, int],
    edges: npt.NDArray[np.bool_] | None,
) -> Image:
    width, height = size
    canvas = np.full((height, width, 3), BLANK, dtype=np.uint8)
    if edges is not None:
        canvas[edges] = _EDGES
    scale = np.array([width, height, 1], dtype=np.float32)
    for person in frame.people:
        raised = person.person in skeletons.raised
        colour = UNSCORED if person.score is None else NORMAL
        if raised or (person.score is not None and person.score > skeletons.threshold):
            colour = ABNORMAL
        label = f"#{person.person}" + ("" if person.score is None else f"  {short(person.score)}")
        draw_person(canvas, person.keypoints * scale, colour, label)
    _draw_times(canvas, skeletons, frame.time)
    return canvas


def _draw_times(canvas: Image, skeletons: AlarmSkeletons, now: float) -> None:
    """Draw when this is, in words above and on a line below: the alarm in red, its peak as a mark."""
    import cv2

    on = now >= 0 and (skeletons.seconds is None or now <= skeletons.seconds)
    began = datetime.fromtimestamp(skeletons.began_utc, timezone.utc)
    camera = skeletons.camera + "  " if skeletons.camera.isascii() else ""  # the font has no other letters
    text = f"{camera}{began:%Y-%m-%d %H:%M:%S} UTC  {now:+.1f} s" + ("  ALARM" if on else "")
    write(canvas, text, (8, 16), ABNORMAL if on else INK, 0.4)
    height, width = canvas.shape[:2]
    first = skeletons.frames[0].time if skeletons.frames else 0.0
    length = max((skeletons.frames[-1].time if skeletons.frames else 0.0) - first, 1e-6)

    def column(time: float) -> int:
        return 8 + int(min(max((time - first) / length, 0.0), 1.0) * (width - 16))

    row, end = height - 9, first + length if skeletons.seconds is None else skeletons.seconds
    cv2.line(canvas, (column(first), row), (column(first + length), row), _TRACK, 2)
    cv2.line(canvas, (column(0.0), row), (column(end), row), ABNORMAL, 2)
    if skeletons.peak is not None:
        cv2.line(canvas, (column(skeletons.peak), row - 5), (column(skeletons.peak), row + 5), ABNORMAL, 2)
    cv2.circle(canvas, (column(now), row), 4, INK, -1, cv2.LINE_AA)
