"""Which tracks are of one person: a tracker that loses somebody begins a new track where the old one ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.tracks import DEFAULT_FPS, Clip, Track

# Chosen so that somebody who walks on behind a pillar is one person: people walk about 0.8 of their height a second.
_MAX_GAP_SECONDS = 3.0
_MAX_OVERLAP_SECONDS = 0.5
_REACH = 0.5  # of the person's height, plus the same for each second of the gap, twice
_MAX_RATIO = 1.7  # of the heights
_POSES = 3  # at each end, whose median is its place


@dataclass(frozen=True)
class _Place:
    """Where a person is: the middle of the joints, pixels, the height of the box around them, and the time, seconds."""

    middle: npt.NDArray[np.float64]
    height: float
    seconds: float


def join_tracks(clip: Clip) -> dict[int, int]:
    """Return the first track of the person that each track is of, both by the number of the track in the file.

    A track continues another one of the same clip that ended at most three seconds before near the place where it
    begins, by a person of about the same height.
    """
    fps = clip.rate.fps if clip.rate else DEFAULT_FPS
    person_of: dict[int, int] = {}
    ended: dict[int, _Place] = {}
    for track in sorted(clip.tracks, key=lambda track: int(track.frames[0])):
        begin = _place(track, slice(None, _POSES), int(track.frames[0]) / fps)
        ended = {
            number: place for number, place in ended.items()
            if begin.seconds - place.seconds <= _MAX_GAP_SECONDS
        }  # fmt: skip
        near = {number: found for number, place in ended.items() if (found := _distance(place, begin)) <= 1}
        before = min(near, key=lambda number: near[number], default=None)
        person_of[track.person] = track.person if before is None else person_of[before]
        if before is not None:
            del ended[before]
        ended[track.person] = _place(track, slice(-_POSES, None), int(track.frames[-1]) / fps)
    return person_of


def _place(track: Track, part: slice, seconds: float) -> _Place:
    points = track.keypoints[part, :, :2].astype(np.float64).reshape(-1, 2)
    seen = points[np.isfinite(points).all(axis=1) & (points != 0).any(axis=1)]
    if not len(seen):
        return _Place(np.full(2, np.nan), np.nan, seconds)
    return _Place(np.median(seen, axis=0), float(np.ptp(seen, axis=0).max()), seconds)


def _distance(end: _Place, begin: _Place) -> float:
    """Return how far apart two places are, 1 at the limit; infinite for other people or times."""
    gap = begin.seconds - end.seconds
    heights = sorted((end.height, begin.height))
    if not (-_MAX_OVERLAP_SECONDS <= gap <= _MAX_GAP_SECONDS and heights[1] <= _MAX_RATIO * heights[0]):
        return float("inf")
    reach = _REACH * (1 + 2 * max(0.0, gap)) * heights[1]
    return float(np.linalg.norm(end.middle - begin.middle)) / max(reach, 1e-9)
