"""Windows: 24 consecutive poses of one person, normalised, the input of the model.

Training, evaluation, export and the edge all use `normalise` of this module, so that windows are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.tracks import Clip

LENGTH = 24
MAX_MISSING = 2
STGNF_FRAME_SIZE = (856, 480)
"""Frame size that STG-NF normalises every video with, whatever its real size."""
_BLOCK = 128  # windows; 128 of 24 poses fit the cache of a processor
_MIN_DEVIATION = 1e-6  # of the frame's height, far below a pixel: smaller is zero variance

Poses = npt.NDArray[np.float32]
WindowRule = Literal["span", "stgnf"]


@dataclass(frozen=True)
class Windows:
    """The windows of a set of clips.

    Attributes:
        poses: `(N, 2, T, 18)` float32, normalised.
        clip: `(N,)` int64, the index of the clip in the list that they were made from.
        person: `(N,)` int64, the person's number.
        start: `(N,)` int64, the frame number of the window's first pose.
        short_tracks: tracks with fewer than T poses, which give no window.
        gaps: windows skipped because too many frames are missing inside.
        broken: windows skipped because of NaN or infinite coordinates or zero variance.
    """

    poses: Poses
    clip: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    short_tracks: int = 0
    gaps: int = 0
    broken: int = 0

    def __len__(self) -> int:
        return len(self.poses)

    def select(self, chosen: npt.NDArray[np.bool_]) -> Windows:
        """Return the chosen windows, `(N,)` bool; the counts of what was skipped stay."""
        return replace(
            self,
            poses=self.poses[chosen],
            clip=self.clip[chosen],
            person=self.person[chosen],
            start=self.start[chosen],
        )

    def skipped(self) -> str:
        """Describe what was skipped and why; empty when nothing was."""
        reasons = (
            (self.short_tracks, "tracks are too short"),
            (self.gaps, "windows miss too many frames"),
            (self.broken, "windows have NaN or infinite coordinates or zero variance"),
        )
        return ", ".join(f"{count} {reason}" for count, reason in reasons if count)


def make_windows(
    clips: Sequence[Clip],
    length: int = LENGTH,
    stride: int = 1,
    max_missing: int = MAX_MISSING,
    rule: WindowRule = "span",
) -> Windows:
    """Cut every track of every clip into normalised windows.

    A window is `length` consecutive poses of a track; windows start at every `stride`-th pose of the track.

    Args:
        clips: whose tracks to cut.
        length: poses in a window (T).
        stride: poses between the starts of windows.
        max_missing: frames that may be missing inside a window.
        rule: `span`: a window spans at most `length + max_missing` frames. `stgnf`, exactly as STG-NF's code
            (`split_pose_to_segments`) does it: all but `max_missing` of the window's poses lie in the `length` frames
            from its first one, so a gap of any size may lie before the last poses, and the last window of a
            track is skipped.
    """
    parts = [_clip_windows(index, c, length, stride, max_missing, rule) for index, c in enumerate(clips)]
    if not parts:
        return _no_windows(length)
    if len(parts) == 1:
        return parts[0]
    return Windows(
        poses=np.concatenate([part.poses for part in parts]),
        clip=np.concatenate([part.clip for part in parts]),
        person=np.concatenate([part.person for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        short_tracks=sum(part.short_tracks for part in parts),
        gaps=sum(part.gaps for part in parts),
        broken=sum(part.broken for part in parts),
    )


def last_frames(windows: Windows, clips: Sequence[Clip]) -> npt.NDArray[np.int64]:
    """Return the frame number of each window's last pose, `(N,)`; windows were made from `clips`."""
    ends, length = np.empty(len(windows), dtype=np.int64), windows.poses.shape[2]
    for index, clip in enumerate(clips):
        for track in clip.tracks:
            rows = np.flatnonzero((windows.clip == index) & (windows.person == track.person))
            ends[rows] = track.frames[np.searchsorted(track.frames, windows.start[rows]) + length - 1]
    return ends


def normalise(points: npt.NDArray[np.float32], frame_size: FrameSize) -> tuple[Poses, npt.NDArray[np.bool_]]:
    """Make windows independent of the position and size of a person, as STG-NF's `normalize_pose` does.

    x is divided by the frame's width and y by its height; each window's mean x and mean y (over time and joints) are
    subtracted; both are divided by the window's standard deviation of y.

    Args:
        points: `(N, 2, T, V)` float32, pixels.
        frame_size: width and height of the frame, pixels.

    Returns:
        The windows that can be normalised, `(M, 2, T, V)` float32, and which those are, `(N,)` bool: windows with
        NaN or infinite coordinates or zero variance of y are skipped.

    >>> points = np.random.default_rng(0).normal(500, 90, (1, 2, 24, 18)).astype(np.float32)
    >>> window, kept = normalise(points, (1920, 1080))
    >>> bool(kept[0]), round(float(window[0, 1].mean()), 5), round(float(window[0, 1].std()), 5)
    (True, 0.0, 1.0)
    """
    scaled, kept = np.empty(points.shape, dtype=np.float32), np.empty(len(points), dtype=np.bool_)
    for first in range(0, len(points), _BLOCK):  # blocks that fit the cache are faster
        block = slice(first, first + _BLOCK)
        scaled[block], kept[block] = _normalise_block(points[block], frame_size)
    return (scaled if kept.all() else scaled[kept]), kept


def _normalise_block(
    points: npt.NDArray[np.float32], frame_size: FrameSize
) -> tuple[Poses, npt.NDArray[np.bool_]]:
    flat = points.reshape(len(points), 2, points.shape[2] * points.shape[3])
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        centred = flat / np.asarray(frame_size, dtype=np.float64)[:, None]
        centred -= centred.mean(axis=2, keepdims=True)
        deviation = centred[:, 1].std(axis=1)
        centred /= deviation[:, None, None]
        scaled = centred.astype(np.float32)
        kept = np.isfinite(scaled).all(axis=(1, 2)) & (deviation > _MIN_DEVIATION)
    return scaled.reshape(points.shape), kept


def _clip_windows(
    index: int, clip: Clip, length: int, stride: int, max_missing: int, rule: WindowRule
) -> Windows:
    min_poses = length + 1 if rule == "stgnf" else length
    long_enough = [track for track in clip.tracks if len(track.frames) >= min_poses]
    short = len(clip.tracks) - len(long_enough)
    if not long_enough:
        return _no_windows(length, short)
    sizes = np.array([len(track.frames) for track in long_enough])
    frames = np.concatenate([track.frames for track in long_enough])
    persons = np.repeat([track.person for track in long_enough], sizes)
    points = np.concatenate([track.points() for track in long_enough])
    position = np.arange(len(frames)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    remaining = np.repeat(sizes, sizes) - position
    first = np.flatnonzero((position % stride == 0) & (remaining >= min_poses))
    if rule == "stgnf":
        unbroken = frames[first + max(0, length - max_missing - 1)] - frames[first] < length
    else:
        unbroken = frames[first + length - 1] - frames[first] < length + max_missing
    gaps = int((~unbroken).sum())
    first = first[unbroken]
    sliding = np.lib.stride_tricks.sliding_window_view(points, length, axis=0)  # (n, V, 2, T)
    poses, kept = normalise(sliding[first].transpose(0, 2, 3, 1), clip.frame_size)
    first = first[kept]
    return Windows(
        poses=poses,
        clip=np.full(len(first), index, dtype=np.int64),
        person=persons[first].astype(np.int64),
        start=frames[first],
        short_tracks=short,
        gaps=gaps,
        broken=int((~kept).sum()),
    )


def _no_windows(length: int, short_tracks: int = 0) -> Windows:
    nothing = np.zeros(0, dtype=np.int64)
    poses = np.zeros((0, 2, length, 18), dtype=np.float32)
    return Windows(poses, nothing, nothing, nothing, short_tracks=short_tracks)
