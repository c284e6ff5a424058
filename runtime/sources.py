"""Where frames come from: a video file, a camera, recorded pose tracks, or generated people.

A source is a context manager that yields frames. Video frames carry a picture; recorded and generated ones carry the
people themselves, so that no pose estimation is needed.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from daflow.errors import InputError, unusable_package
from daflow.synthetic import EVENTS, Scene, generate_clip
from daflow.tracks import Clip, FrameSize, frame_size_of, read_clip

logger = logging.getLogger(__name__)

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]
_TRACKS_FPS = 25.0
_MOST_FRAMES = 10**9
_MOSTLY_THERE = 0.98  # containers may count a frame or two more than there are


@dataclass(frozen=True)
class Frame:
    """One moment of a source.

    Attributes:
        index: the number of the frame, from 0.
        time: seconds since the source began, by its own clock.
        size: width and height in pixels.
        image: `(H, W, 3)` uint8 RGB, None when the source has no pictures.
        people: keypoints `(J, 3)` by person when the source knows them, None when they must be found in the image.
    """

    index: int
    time: float
    size: FrameSize
    image: Image | None = None
    people: Mapping[int, Keypoints] | None = None


class Source(Protocol):
    """Yields frames in order; `fps` is their nominal rate, `frames` their number when it is known."""

    fps: float
    frames: int | None

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *_: object) -> None: ...


def open_source(uri: str) -> Source:
    """Open a source by its name.

    Args:
        uri: a video file, the number of a camera, `tracks:FILE`, or `synthetic:` with options such as
            `synthetic:seed=3,people=2,frames=600,event=fall`.

    Raises:
        InputError: there is no such file or camera, or it cannot be read.
    """
    scheme, _, rest = uri.partition(":")
    if scheme == "tracks":
        path = Path(rest)
        return ClipSource(read_clip(path, frame_size_of(path)), _TRACKS_FPS)
    if scheme == "synthetic":
        return _synthetic_source(rest)
    if not uri:
        raise InputError("The source is empty; name a video file, a camera, tracks:FILE or synthetic:.")
    if uri.isdigit():
        return CameraSource(int(uri))
    return VideoSource(Path(uri))


class ClipSource:
    """Replays the tracks of a clip, from frame 0 to the last frame with a person."""

    def __init__(self, clip: Clip, fps: float) -> None:
        self.fps = fps
        self._size = clip.frame_size
        self._people: dict[int, dict[int, Keypoints]] = defaultdict(dict)
        for track in clip.tracks:
            for frame, keypoints in zip(track.frames.tolist(), track.keypoints, strict=True):
                self._people[frame][track.person] = keypoints
        self.frames: int | None = max(self._people, default=-1) + 1
        if self.frames > _MOST_FRAMES:
            raise InputError(
                f"Frame {self.frames - 1} of {clip.name} is beyond {_MOST_FRAMES}, months of video."
            )

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames or 0):
            yield Frame(index, index / self.fps, self._size, people=self._people.get(index, {}))

    def __enter__(self) -> ClipSource:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class VideoSource:
    """Decodes a video file, or a part of it, frame by frame.

    Args:
        path: the file.
        begin: seconds from its first frame at which to begin; frames are numbered from 0 there.
        end: seconds at which to stop, before the frame of that moment; None is the end.

    Raises:
        InputError: the file is missing or is not a video.
    """

    def __init__(self, path: Path, begin: float = 0.0, end: float | None = None) -> None:
        try:
            import av
        except ImportError as error:
            raise unusable_package(error, "av", "edge") from None
        if not path.is_file():
            raise InputError(f"There is no video {path}.")
        self._path = path
        self._av: Any = av
        try:
            self._container = av.open(str(path))
        except av.error.FFmpegError as error:
            raise InputError(
                f"{path} is not a video that can be read, or it is cut off: {error.strerror}."
            ) from None
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path} holds no video stream.")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.fps = float(self._stream.average_rate or 25)
        self._begin, self._end = begin, math.inf if end is None else end
        self._whole = begin <= 0 and end is None
        total = self._stream.frames or None
        self.frames: int | None = total and max(0, round(min(total, self._end * self.fps) - begin * self.fps))

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        try:
            for moment, picture in self._pictures():
                image = np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)
                yield Frame(index, moment - self._begin, (image.shape[1], image.shape[0]), image)
                index += 1
        except self._av.error.FFmpegError as error:
            logger.warning("%s breaks off after %d frames: %s", self._path, index, error.strerror)
            if index == 0:
                raise InputError(f"No frame of {self._path} can be decoded: {error.strerror}.") from None
            return
        if index == 0:
            raise InputError(f"{self._path} holds no frame{'' if self._whole else ' there'}.")
        if self._whole and self.frames and index < _MOSTLY_THERE * self.frames:
            logger.warning("%s breaks off: %d of its %d frames are there", self._path, index, self.frames)

    def _pictures(self) -> Iterator[tuple[float, Any]]:
        """Yield the pictures of the part with their seconds from the first frame of the file."""
        unit = float(self._stream.time_base or 1)  # seconds
        start = None if self._stream.start_time is None else self._stream.start_time * unit
        if self._begin > 0:  # go to a key frame before it
            self._container.seek(int(((start or 0.0) + self._begin) / unit), stream=self._stream)
        for index, picture in enumerate(self._container.decode(self._stream)):
            time = index / self.fps if picture.time is None else float(picture.time)
            start = time if start is None else start
            moment = time - start
            if moment >= self._end:
                return
            if moment >= self._begin:
                yield moment, picture

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


class CameraSource:
    """Reads a camera by its number until it is gone.

    Raises:
        InputError: there is no such camera.
    """

    frames: int | None = None

    def __init__(self, number: int) -> None:
        try:
            import cv2
        except ImportError as error:
            raise unusable_package(error, "cv2", "edge") from None
        # OpenCV would complain about a missing camera in lines of its own.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._cv2 = cv2
        self._number = number
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise InputError(f"There is no camera {number}, or another program holds it.")
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 30.0

    def __iter__(self) -> Iterator[Frame]:
        began = time.monotonic()
        index = 0
        while True:
            there, picture = self._capture.read()
            if not there:
                logger.warning("camera %d gives no more pictures", self._number)
                return
            image = np.asarray(self._cv2.cvtColor(picture, self._cv2.COLOR_BGR2RGB), dtype=np.uint8)
            yield Frame(index, time.monotonic() - began, (image.shape[1], image.shape[0]), image)
            index += 1

    def __enter__(self) -> CameraSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()


def _synthetic_source(options: str) -> ClipSource:
    scene, seed = Scene(event="fall"), 0
    kinds = {"frames": int, "people": int, "fps": float, "jitter": float, "event": str, "seed": int,
             "missing_joints": float, "missed_poses": float}  # fmt: skip
    known = {field.name for field in fields(Scene)} & set(kinds) | {"seed"}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name not in known:
            raise InputError(f"synthetic: knows no {name!r}; it knows {', '.join(sorted(known))}.")
        try:
            number = kinds[name](value)
        except ValueError:
            raise InputError(f"synthetic: {name}={value} is not a number.") from None
        if name == "event" and value not in (*EVENTS, "none"):
            raise InputError(f"synthetic: event is one of {', '.join(EVENTS)} and none, not {value!r}.")
        if isinstance(number, float) and not math.isfinite(number):
            raise InputError(f"synthetic: {name}={value} is not a finite number.")
        if name != "event" and (number < 0 or (name in ("frames", "fps", "people") and number <= 0)):
            raise InputError(f"synthetic: {name}={value} must be positive.")
        if name == "seed":
            seed = int(number)
        else:
            changes: dict[str, Any] = {name: None if value == "none" else number}
            scene = replace(scene, **changes)
    clip, _ = generate_clip("synthetic", seed, scene)
    return ClipSource(clip, scene.fps)
