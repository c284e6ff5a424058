"""What a clip is: who was where in each frame, the size of its frames and their rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize, require_frame_size
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.missing_joints import seen_points
from daflow.core.data.skeleton import to_openpose


@dataclass(frozen=True)
class Track:
    """One person's poses in one clip.

    Attributes:
        person: the person's number in the file.
        frames: `(N,)` int64, strictly increasing frame numbers.
        keypoints: `(N, J, 3)` float32, x and y in pixels and a confidence, in the layout of the file.
        scores: `(N,)` float32, the detector's score of each pose, NaN where it gave none.
    """

    person: int
    frames: npt.NDArray[np.int64]
    keypoints: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    def points(self) -> npt.NDArray[np.float32]:
        """Return the model's joints, `(N, 18, 2)` float32, pixels, NaN where a joint was not seen."""
        return np.asarray(to_openpose(seen_points(self.keypoints)), dtype=np.float32)


@dataclass(frozen=True)
class Clip:
    """All tracks of one clip, the width and height of its frames in pixels, and its frame rate, None if not known.

    Raises:
        InputError: width or height is no whole number of pixels from 1 to 32768.
    """

    name: str
    tracks: tuple[Track, ...]
    frame_size: FrameSize
    rate: FrameRate | None = None

    def __post_init__(self) -> None:
        require_frame_size(self.frame_size)

    @property
    def poses(self) -> int:
        """The number of poses in all tracks."""
        return sum(len(track.frames) for track in self.tracks)
