"""What every source is (`Source`) and yields: frames, with a picture or with the people themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]

SourceState = Literal["connecting", "streaming", "frozen", "black", "lost", "ended"]


@dataclass(frozen=True)
class Frame:
    """One frame of a source.

    Attributes:
        index: the number of the frame, from 0; it grows by more than one where frames are missing.
        time: seconds since the source began, by the stream's own time stamps; it never goes back, not even when a
            camera reconnects.
        size: width and height in pixels; it may change when a camera reconnects with another resolution.
        image: `(H, W, 3)` uint8 RGB, None when the source has no pictures.
        people: keypoints `(J, 3)` by person when the source knows them, None when they must be found in the image.
        utc: when the frame reached this machine, seconds since 1970.
    """

    index: int
    time: float
    size: FrameSize
    image: Image | None = None
    people: Mapping[int, Keypoints] | None = None
    utc: float = 0.0


@dataclass(frozen=True)
class SourceStatus:
    """The state of a source.

    Attributes:
        state: `connecting` before the first frame, `streaming`, `frozen` (the picture does not change), `black`,
            `lost` (it is tried again until it succeeds), `ended`.
        since: when that state began, seconds since 1970.
        dropped: frames that were skipped because processing was slower than the source.
        damaged: packets of the video that could not be read or decoded, and were left out.
        reconnects: how often it was connected again after it was lost.
        error: the last error, without passwords; None when there was none.
    """

    state: SourceState = "connecting"
    since: float = 0.0
    dropped: int = 0
    damaged: int = 0
    reconnects: int = 0
    error: str | None = None


class Source(Protocol):
    """Yields frames in order.

    Attributes:
        fps: the nominal rate, frames per second.
        frames: their number, None when unknown or without end.
    """

    fps: float
    frames: int | None

    @property
    def status(self) -> SourceStatus:
        """Its state; may be read from any thread."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *_: object) -> None: ...
