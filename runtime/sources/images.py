"""A folder of images as a source, in the order of the numbers in their names."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.errors import InputError, unusable_package
from daflow.core.files import natural_order
from runtime.sources.containers import open_file, reason_of
from runtime.sources.frames import Frame, Image
from runtime.sources.orientation import upright
from runtime.sources.recording import Recording

logger = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

_ROUNDING = 1e-6  # of a frame


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name; hidden files are none, such as the `._001.tif` of macOS."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def images_in(folder: Path) -> list[Path]:
    """Return the images of a folder, without those of its subfolders, in the order of the numbers in their names.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(
            (path for path in folder.iterdir() if is_image(path) and path.is_file()), key=natural_order
        )
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from None


def tell_default_rate(folders: Sequence[Path]) -> None:
    """Tell, once for all folders of images, that a rate is assumed for them; without a folder nothing is told."""
    if folders:
        logger.warning(
            "%s: %g frames per second are assumed, as images do not say their rate; give it with --fps",
            folders[0] if len(folders) == 1 else f"{len(folders)} folders of images",
            DEFAULT_FPS,
        )


class ImagesSource(Recording):
    """Reads the images of a folder as the frames of a recording.

    A picture that is damaged or too large is logged and skipped; the numbers and times of the other frames do not
    change, and `status.dropped` counts it.

    Args:
        folder: the folder; images in its subfolders are not read.
        fps: the rate, frames per second.
        begin: where to begin, seconds from the first image; frames are numbered from 0 there.
        end: where to stop, before the frame at that time; None is the end of the folder.

    Raises:
        InputError: the folder has no image, or PyAV is not installed.
    """

    def __init__(
        self, folder: Path, fps: float = DEFAULT_FPS, begin: float = 0.0, end: float | None = None
    ) -> None:
        try:
            import av
        except ImportError as error:
            raise unusable_package(error, "av", "edge") from None
        self._av: Any = av
        self._folder = folder
        paths = images_in(folder)
        if not paths:
            raise InputError(f"{folder} has no image ({', '.join(sorted(SUFFIXES))}).")
        self._paths = paths[_first_at(begin, fps) : None if end is None else _first_at(end, fps)]
        super().__init__(fps, len(self._paths))

    def __iter__(self) -> Iterator[Frame]:
        self._status.to("streaming")
        broken = 0
        for index, path in enumerate(self._paths):
            if self._stopped.is_set():
                break
            try:
                image = self._read(path)
            except (OSError, ValueError, self._av.error.FFmpegError) as error:
                broken += 1
                self._status.drop()
                logger.warning("%s is skipped, it cannot be read: %s", path, reason_of(error))
                continue
            size = (image.shape[1], image.shape[0])
            yield Frame(index, index / self.fps, size, image, utc=time.time())
        self._status.to("ended")
        if broken and broken == len(self._paths):
            raise InputError(f"None of the {broken} images in {self._folder} can be read.")

    def _read(self, path: Path) -> Image:
        with open_file(path) as container:
            for picture in container.decode(video=0):
                return upright(picture)
        raise ValueError("it has no picture")


def _first_at(seconds: float, fps: float) -> int:
    """Return the number of the first frame at a time or after it."""
    return max(0, math.ceil(seconds * fps - _ROUNDING))
