"""Recorded pose tracks, replayed as a source (`tracks:FILE`)."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

from daflow.core.data.tracks import Clip
from daflow.core.errors import InputError
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.recording import Recording

MAX_FRAMES = 10**9
"""A year of video at 30 frames per second; a larger number in a file is an error of the file."""


class ClipSource(Recording):
    """Replays the tracks of a clip, from frame 0 to the last frame with a person."""

    def __init__(self, clip: Clip, fps: float) -> None:
        self._size = clip.frame_size
        self._people = people_by_frame(clip)
        frames = max(self._people, default=-1) + 1
        if frames > MAX_FRAMES:
            raise InputError(f"Frame {frames - 1} of {clip.name} is beyond the limit of {MAX_FRAMES} frames.")
        super().__init__(fps, frames)

    def __iter__(self) -> Iterator[Frame]:
        self._status.to("streaming")
        for index in range(self.frames or 0):
            if self._stopped.is_set():
                break
            people = self._people.get(index, {})
            yield Frame(index, index / self.fps, self._size, people=people, utc=time.time())
        self._status.to("ended")


def people_by_frame(clip: Clip) -> dict[int, dict[int, Keypoints]]:
    """Return who is in each frame that has anybody, with their keypoints `(J, 3)`."""
    people: defaultdict[int, dict[int, Keypoints]] = defaultdict(dict)
    for track in clip.tracks:
        for frame, keypoints in zip(track.frames.tolist(), track.keypoints, strict=True):
            people[frame][track.person] = keypoints
    return dict(people)
