"""Which tracks are of one person: a tracker that loses somebody begins a new track where the old one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.missing_joints import seen_points
from daflow.core.data.tracks import DEFAULT_FPS, Clip, Track

# Chosen so that somebody who walks on behind a pillar is one person: people walk about 0.8 of their height a second.
_MAX_GAP_SECONDS = 3.0
_MAX_OVERLAP_SECONDS = 0.5
_REACH = 0.5  # of the person's height, plus the same for each second of the gap, twice
_MAX_RATIO = 1.7  # of the heights
_MAX_RECENT = 1000  # so that the work grows with the tracks and not with their square
_POSES = 3  # at each end, whose median is its place


@dataclass(frozen=True)
class _Places:
    """Where people are: the middle of the joints, pixels, the height of the box around them, and the time, seconds."""

    middle: npt.NDArray[np.float64]
    height: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]


def join_tracks(clip: Clip) -> dict[int, int]:
    """Return the first track of the person that each track is of, both by the number of the track in the file.

    A track continues another one of the same clip that ended at most three seconds before near the place where it
    begins, by a person of about the same height. Of more than 1000 people at a time, only the last ones are looked at.
    """
    fps = clip.rate.fps if clip.rate else DEFAULT_FPS
    tracks = sorted(clip.tracks, key=lambda track: int(track.frames[0]))
    begins = _places([(track, slice(None, _POSES), int(track.frames[0])) for track in tracks], fps)
    ends = _places([(track, slice(-_POSES, None), int(track.frames[-1])) for track in tracks], fps)
    person_of: dict[int, int] = {}
    recent = np.zeros(0, dtype=np.int64)  # tracks that nobody continues yet
    for index, track in enumerate(tracks):
        gap = begins.seconds[index] - ends.seconds[recent]
        recent = recent[gap <= _MAX_GAP_SECONDS][-_MAX_RECENT:]
        distances = _distances(ends, recent, begins, index)
        person_of[track.person] = track.person
        if len(recent) and distances[nearest := int(distances.argmin())] <= 1:
            person_of[track.person] = person_of[tracks[recent[nearest]].person]
            recent = np.delete(recent, nearest)
        recent = np.append(recent, index)
    return person_of


def _places(parts: Sequence[tuple[Track, slice, int]], fps: float) -> _Places:
    """Return where each track is in some of its poses, and when its frame is."""
    found = [_place(track.keypoints[part]) for track, part, _ in parts]
    return _Places(
        np.array([middle for middle, _ in found]).reshape(-1, 2),
        np.array([height for _, height in found]),
        np.array([frame / fps for _, _, frame in parts]),
    )


def _place(keypoints: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], float]:
    points = seen_points(keypoints).astype(np.float64).reshape(-1, 2)
    seen = points[np.isfinite(points).all(axis=1)]
    if not len(seen):
        return np.full(2, np.nan), np.nan
    return np.median(seen, axis=0), float(np.ptp(seen, axis=0).max())


def _distances(
    ends: _Places, chosen: npt.NDArray[np.int64], begins: _Places, index: int
) -> npt.NDArray[np.float64]:
    """Return how far apart some ends are from a beginning, 1 at the limit; infinite for other people or times."""
    gap = begins.seconds[index] - ends.seconds[chosen]
    low, high = (choose(ends.height[chosen], begins.height[index]) for choose in (np.minimum, np.maximum))
    reach = _REACH * (1 + 2 * np.maximum(0.0, gap)) * high
    apart = np.linalg.norm(ends.middle[chosen] - begins.middle[index], axis=1) / np.maximum(reach, 1e-9)
    possible = (gap >= -_MAX_OVERLAP_SECONDS) & (gap <= _MAX_GAP_SECONDS) & (high <= _MAX_RATIO * low)
    return np.where(possible, apart, np.inf)
