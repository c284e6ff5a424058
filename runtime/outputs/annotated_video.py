"""The annotated video: skeletons coloured by their score, and the score over time with its threshold."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from daflow.core.alarms.p_value import NARROW_SPACE
from daflow.core.alarms.zones import Zone
from daflow.core.data.clip_tables import FrameSize
from daflow.core.errors import InputError, unusable_package
from daflow.core.files import require_short_name
from runtime.drawing import ABNORMAL, BLANK, INK, NORMAL, UNSCORED, Colour, draw_person, short, write
from runtime.pipeline.results import FrameResult, Person
from runtime.sources.containers import file_address
from runtime.sources.frames import Image

_ZONES: dict[str, Colour] = {"watch": (90, 160, 240), "ignore": (240, 190, 80)}
_PAPER: Colour = (24, 26, 30)
_CHART_HEIGHT = 96
_CHART_FRAMES = 240
_FRAGMENT_SECONDS = 2
_MIN_WIDTH = 480  # smaller pictures are enlarged, so that the text is readable
_MAX_SIDE = 4096  # larger ones are made smaller: H.264 has no level for them, and players refuse them
_MAX_PIXELS = 2560 * 1440  # so are these: the encoder holds several pictures, at this size 150 MB
_MIN_SIDE = 16
_SUFFIXES = (".mp4", ".m4v")


class AnnotatedVideo:
    """Writes an H.264 MP4 in fragments, so that the file can be played even after the process was killed.

    Args:
        path: the file.
        fps: frames per second.
        privacy: with `skeletons` people are drawn on a dark background and no pixel of the camera is in the file.

    Raises:
        InputError: a package is missing, the name does not end in .mp4 or .m4v or is too long, or the file cannot be
            written.
    """

    def __init__(
        self, path: Path, fps: float, privacy: Literal["skeletons", "pictures"] = "skeletons"
    ) -> None:
        check_video_name(path)
        try:
            import av
            import cv2
        except ImportError as error:
            raise unusable_package(error, error.name or "cv2", "edge") from None
        self._cv2: Any = cv2
        self._av: Any = av
        self._pictures = privacy == "pictures"
        self._scores: deque[float] = deque(maxlen=_CHART_FRAMES)
        self._size: FrameSize | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        # Each fragment is written at once, so that a killed process loses only the last seconds.
        options = {"movflags": "frag_keyframe+empty_moov", "flush_packets": "1"}
        try:
            self._container = av.open(file_address(path), "w", format="mp4", options=options)
        except av.error.FFmpegError as error:
            raise InputError(f"Cannot write the video {path}: {error.strerror}.") from None
        self._stream: Any = self._container.add_stream(
            "libx264",
            rate=Fraction(max(fps, 1.0)).limit_denominator(1001),
            # Without the latency of an encoder that looks ahead it holds half as much memory.
            options={"preset": "veryfast", "crf": "23", "tune": "zerolatency"},
        )
        self._stream.pix_fmt = "yuv420p"
        self._stream.gop_size = max(1, round(_FRAGMENT_SECONDS * fps))
        self._failed = False

    def __call__(self, result: FrameResult) -> None:
        """Draw and encode one frame."""
        picture = self.draw(result)
        size = (picture.shape[1], picture.shape[0])
        if self._size is None:
            self._size = size
            self._stream.width, self._stream.height = size
        elif size != self._size:
            picture = self._cv2.resize(picture, self._size)
        self._encode(self._av.VideoFrame.from_ndarray(picture, format="rgb24"))

    def _encode(self, frame: Any = None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except BaseException:
            self._failed = True  # FFmpeg crashes when it is flushed after the disk was full
            raise

    def draw(self, result: FrameResult) -> Image:
        """Return the picture of one frame, RGB: the image or a dark background, the skeletons, and the chart below."""
        width, height = result.frame.size
        scale = min(
            max(1.0, _MIN_WIDTH / width),
            _MAX_SIDE / width,
            _MAX_SIDE / height,
            math.sqrt(_MAX_PIXELS / (width * height)),
        )
        width, height = (max(_MIN_SIDE, int(side * scale) // 2 * 2) for side in (width, height))
        canvas = np.full((height + _CHART_HEIGHT, width, 3), BLANK, dtype=np.uint8)
        if self._pictures and result.frame.image is not None:
            canvas[:height] = self._cv2.resize(result.frame.image, (width, height))
        for name, zone in result.zones.items():
            self._draw_zone(canvas[:height], name, zone)
        for person in result.people:
            self._draw_person(canvas[:height], person, result.threshold, scale)
        if result.alarm:
            self._cv2.rectangle(canvas, (0, 0), (width - 1, height - 1), ABNORMAL, 6)
            write(canvas, "ALARM", (14, 34), ABNORMAL, 0.9)
            reason = result.worst.why if result.worst else None
            line = round(16 * max(1.0, width / 720))
            for number, phrase in enumerate(reason.split("; ") if reason else ()):
                write(canvas, phrase.replace(NARROW_SPACE, " "), (14, 54 + line * number), ABNORMAL, 0.4)
        self._scores.append(np.nan if result.score is None else result.score)
        self._draw_chart(canvas[height:], result)
        return canvas

    def _draw_zone(self, canvas: Image, name: str, zone: Zone) -> None:
        height, width = canvas.shape[:2]
        corners = (np.array(zone.points) * (width - 1, height - 1)).round().astype(np.int32)
        self._cv2.polylines(
            canvas, [corners], True, _ZONES[zone.kind], max(1, round(height / 360)), self._cv2.LINE_AA
        )
        left, top = corners[corners[:, 1].argmin()].tolist()
        label = f"{name} ({zone.kind})" if name.isascii() else zone.kind  # the font has no other letters
        write(canvas, label, (left, max(16, top + 16)), _ZONES[zone.kind], 0.4)

    @staticmethod
    def _draw_person(canvas: Image, person: Person, threshold: float, scale: float) -> None:
        colour = UNSCORED
        if person.smoothed is not None:
            colour = ABNORMAL if person.smoothed > threshold else NORMAL
        label = f"#{person.person}" + ("" if person.smoothed is None else f"  {short(person.smoothed)}")
        draw_person(canvas, person.keypoints * np.array([scale, scale, 1], dtype=np.float32), colour, label)

    def _draw_chart(self, canvas: Image, result: FrameResult) -> None:
        canvas[:] = _PAPER
        height, width = canvas.shape[:2]
        scores = np.array(self._scores)
        known = scores[np.isfinite(scores)]
        threshold = result.threshold
        marks = [threshold - 1, threshold + 1] if np.isfinite(threshold) else [-1.0, 1.0]
        low, high = min([*marks, *known]), max([*marks, *known])
        if np.isfinite(threshold):  # scores far above it are cut, so that the others are not flattened
            high = min(high, max(marks[1], threshold + 3 * (threshold - low)))

        def row(score: float) -> int:
            return int(height - 8 - (min(score, high) - low) / (high - low) * (height - 30))

        if np.isfinite(threshold):
            self._cv2.line(canvas, (0, row(threshold)), (width, row(threshold)), ABNORMAL, 1)
        step = width / _CHART_FRAMES
        for index in range(1, len(scores)):
            if np.isfinite(scores[index - 1 : index + 1]).all():
                a, b = ((int(i * step), row(scores[i])) for i in (index - 1, index))
                self._cv2.line(canvas, a, b, INK, 1, self._cv2.LINE_AA)
        score = "-" if result.score is None else short(result.score)
        kind = "provisional threshold" if result.provisional else "threshold"
        text = f"{result.frame.time:7.1f} s   score {score}   {kind} {threshold:.2f} {result.unit}"
        write(canvas, text, (8, 14), INK, 0.4)

    def __enter__(self) -> AnnotatedVideo:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._size is not None and not self._failed:
                self._encode()
        finally:
            self._container.close()


def check_video_name(path: Path) -> None:
    """Check the name of a video before anything is run.

    Raises:
        InputError: the file would be MP4 and is called something else, or its name is too long.
    """
    require_short_name(path)
    special = path.exists() and not path.is_file() and not path.is_dir()  # such as /dev/null
    if path.suffix.lower() not in _SUFFIXES and not special:
        raise InputError(f"The video {path} is written as MP4: give it a name that ends in .mp4.")
