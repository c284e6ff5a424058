"""What sources yield: frames, with a picture or with the people themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from daflow.core.data.tracks import FrameSize

Image = npt.NDArray[np.uint8]
Keypoints = npt.NDArray[np.float32]

SourceState = Literal["connecting", "streaming", "frozen", "black", "lost", "ended"]


@dataclass(frozen=True)
class Frame:
    """One moment of a source.

    Attributes:
        index: the number of the frame, from 0; it grows by more than one where frames are missing.
        time: seconds since the source began, by the stream's own time stamps; it never goes back, also not when a
            camera was lost and found again.
        size: width and height in pixels; it may change when a camera comes back with another resolution.
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
    """How a source is doing.

    Attributes:
        state: `connecting` before the first frame, `streaming`, `frozen` (the picture does not change), `black`,
            `lost` (retried until it comes back), `ended`.
        since: when it got into that state, seconds since 1970.
        dropped: frames that were left out because the edge was slower than the source.
        reconnects: how often it came back after it was lost.
        error: what went wrong last, without passwords; None when nothing did.
    """

    state: SourceState = "connecting"
    since: float = 0.0
    dropped: int = 0
    reconnects: int = 0
    error: str | None = None


class Source(Protocol):
    """Yields frames in order.

    Attributes:
        fps: the nominal rate, frames a second.
        frames: their number when it is known.
    """

    fps: float
    frames: int | None

    @property
    def status(self) -> SourceStatus:
        """How it is doing; may be read from any thread."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *_: object) -> None: ...
