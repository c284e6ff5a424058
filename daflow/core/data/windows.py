"""Windows: 24 consecutive poses of one person, normalised, the input of the model.

Training, evaluation, export and the edge all use `fill_and_normalise` of this module, so that windows are the same
everywhere; joints that were not seen are filled in by it (`daflow.core.data.missing_joints`).
Clips of another frame rate than the model's are sampled at its rate (`daflow.core.data.resampling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.missing_joints import fill_missing
from daflow.core.data.resampling import ends_of_windows, is_same_rate, max_step, reason_against_rate, sample
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.tracks import Clip, Track

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
        start: `(N,)` int64, the number of the window's first frame in its clip.
        middle: `(N,)` int64, the number of the frame that the window's score belongs to.
        last: `(N,)` int64, the number of the window's last frame.
        short_tracks: tracks that are too short for a window.
        gaps: windows skipped because too many frames are missing inside.
        unseen: windows skipped because a shoulder or hip is hidden for too long.
        broken: windows skipped because of coordinates beyond any number or zero variance.
        filled: windows in which joints that were not seen are filled in.
        missing: joints that were not seen, in all poses.
        joints: all joints of all poses.
        rates: why clips were skipped that have a frame rate too far from the model's.
    """

    poses: Poses
    clip: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    middle: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    short_tracks: int = 0
    gaps: int = 0
    unseen: int = 0
    broken: int = 0
    filled: int = 0
    missing: int = 0
    joints: int = 0
    rates: tuple[str, ...] = ()

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
            middle=self.middle[chosen],
            last=self.last[chosen],
        )

    def skipped(self) -> str:
        """Describe what was skipped and why; empty when nothing was."""
        reasons = (
            (self.short_tracks, "tracks are too short"),
            (self.gaps, "windows miss too many frames"),
            (self.unseen, "windows do not show the shoulders and hips"),
            (self.broken, "windows have NaN or infinite coordinates or zero variance"),
        )
        return ", ".join([*(f"{count} {reason}" for count, reason in reasons if count), *self.rates])

    def missing_joints(self) -> str:
        """Say how many joints were not seen; empty when none was missing."""
        if not self.missing:
            return ""
        share = max(0.01, 100 * self.missing / self.joints)
        return f"{share:.2g} % of the joints were not seen, which is filled in {self.filled} windows"


COUNTS = ("short_tracks", "gaps", "unseen", "broken", "filled", "missing", "joints")
"""The attributes of `Windows` that are counts, which add up over clips."""


@dataclass(frozen=True)
class Normalised:
    """What became of windows in pixels.

    Attributes:
        points: `(N, 2, T, V)` float32, pixels, with joints filled in that were not seen.
        poses: `(M, 2, T, V)` float32, the normalised windows of those that can be scored.
        kept: `(N,)` bool, which those are.
        filled: how many of them are filled in.
        unseen: how many others miss a shoulder or hip for too long.
    """

    points: Poses
    poses: Poses
    kept: npt.NDArray[np.bool_]
    filled: int = 0
    unseen: int = 0

    @property
    def broken(self) -> int:
        """How many others have coordinates beyond any number or zero variance."""
        return int((~self.kept).sum()) - self.unseen


def make_windows(
    clips: Sequence[Clip],
    length: int = LENGTH,
    stride: int = 1,
    max_missing: int = MAX_MISSING,
    rule: WindowRule = "span",
    fps: float | None = None,
) -> Windows:
    """Cut every track of every clip into normalised windows.

    A window is `length` consecutive poses of a track; windows start at every `stride`-th pose of the track. Of a clip
    whose known rate differs from `fps`, a window ends at every pose, or with a larger stride at so many poses that
    windows are as far apart in time, and holds the person at `length` moments that are `1 / fps` seconds apart.

    Args:
        clips: whose tracks to cut.
        length: poses in a window (T).
        stride: poses between the starts of windows.
        max_missing: frames that may be missing inside a window.
        rule: `span`: a window spans at most `length + max_missing` frames. `stgnf`, exactly as STG-NF's code
            (`split_pose_to_segments`) does it: all but `max_missing` of the window's poses lie in the `length` frames
            from its first one, so a gap of any size may lie before the last poses, and the last window of a
            track is skipped. It knows no frame rates.
        fps: frames per second that the model was trained at; None takes the poses of every clip as they are.
    """
    parts = []
    for index, clip in enumerate(clips):
        rate = clip.rate.fps if clip.rate else None
        if rule == "stgnf" or rate is None or fps is None or is_same_rate(rate, fps):
            parts.append(_clip_windows(index, clip, length, stride, max_missing, rule))
        else:
            parts.append(_resampled_windows(index, clip, length, stride, max_missing, rate, fps))
    if not parts:
        return _no_windows(length)
    if len(parts) == 1:
        return parts[0]
    return Windows(
        poses=np.concatenate([part.poses for part in parts]),
        clip=np.concatenate([part.clip for part in parts]),
        person=np.concatenate([part.person for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        middle=np.concatenate([part.middle for part in parts]),
        last=np.concatenate([part.last for part in parts]),
        **{name: sum(getattr(part, name) for part in parts) for name in COUNTS},
        rates=tuple(dict.fromkeys(reason for part in parts for reason in part.rates)),
    )


def fill_and_normalise(points: Poses, frame_size: FrameSize) -> Normalised:
    """Fill in joints that were not seen, and make windows independent of the place and size of a person.

    A window that misses nothing is exactly what `normalise` gives.

    Args:
        points: `(N, 2, T, 18)` float32, pixels, NaN where a joint was not seen.
        frame_size: width and height of the frame, pixels.
    """
    points, holes, unseen = fill_missing(points)
    poses, kept = normalise(points, frame_size)
    return Normalised(points, poses, kept, int((holes & kept).sum()), int(unseen.sum()))


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
        # In C order: the order of a sum must not depend on how the windows lie in memory.
        centred = np.divide(flat, np.asarray(frame_size, dtype=np.float64)[:, None], order="C")
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
    # STG-NF's code takes 0, 0 for a place.
    points = np.concatenate([_as_written(t) if rule == "stgnf" else t.points() for t in long_enough])
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
    windows = sliding[first].transpose(0, 2, 3, 1)
    if rule == "stgnf":
        made = Normalised(windows, *normalise(windows, clip.frame_size))
    else:
        made = fill_and_normalise(windows, clip.frame_size)
    first = first[made.kept]
    return Windows(
        poses=made.poses,
        clip=np.full(len(first), index, dtype=np.int64),
        person=persons[first].astype(np.int64),
        start=frames[first],
        middle=frames[first] + length // 2,
        last=frames[first + length - 1],
        short_tracks=short,
        gaps=gaps,
        rates=(),
        **_counts(made, [points]),
    )


def _resampled_windows(
    index: int, clip: Clip, length: int, stride: int, max_missing: int, rate: float, fps: float
) -> Windows:
    """Return the windows of a clip whose rate is not that of the model."""
    if reason := reason_against_rate(rate, fps):
        return _no_windows(length, rates=(reason,))
    ratio = fps / rate  # frames of the model in a frame of the clip
    longest = max_step(rate, fps, max_missing)
    every = 1 if stride == 1 else max(1, round(stride / ratio))
    points: list[npt.NDArray[np.float32]] = []
    seen: list[npt.NDArray[np.float32]] = []
    persons: list[int] = []
    ends: list[npt.NDArray[np.float64]] = []
    short = gaps = 0
    for track in clip.tracks:
        chosen, skipped = _ends(track, ratio, length, longest, every)
        if len(chosen):
            moments = chosen[:, None] - np.arange(length - 1, -1, -1)
            seen.append(track.points())
            points.append(sample(_positions(track, ratio), seen[-1], moments))
            persons += [track.person] * len(chosen)
            ends.append(chosen)
        short += not len(chosen) and not skipped
        gaps += skipped
    if not points:
        return _no_windows(length, short, gaps)
    made = fill_and_normalise(np.concatenate(points).transpose(0, 3, 1, 2), clip.frame_size)
    end = np.concatenate(ends)[made.kept]
    first, middle, last = (
        np.rint((end - back) / ratio).astype(np.int64) for back in (length - 1, length - 1 - length // 2, 0)
    )
    return Windows(
        poses=made.poses,
        clip=np.full(len(end), index, dtype=np.int64),
        person=np.array(persons, dtype=np.int64)[made.kept],
        start=first,
        middle=middle,
        last=last,
        short_tracks=short,
        gaps=gaps,
        rates=(),
        **_counts(made, seen),
    )


def _ends(
    track: Track, ratio: float, length: int, longest: float, every: int
) -> tuple[npt.NDArray[np.float64], int]:
    """Return where the windows of a track end, in frames of the model, and how many gaps made impossible."""
    positions = _positions(track, ratio)
    if not len(positions):
        return positions, 0
    ends = ends_of_windows(positions, length, longest)
    late_enough = int((positions - positions[0] >= length - 1).sum())
    return positions[ends[::every]], (late_enough - len(ends)) // every


def _as_written(track: Track) -> npt.NDArray[np.float32]:
    return np.asarray(to_openpose(track.keypoints[..., :2]), dtype=np.float32)


def _counts(made: Normalised, poses: Sequence[npt.NDArray[np.float32]]) -> dict[str, int]:
    """Return the counts of windows, and of the joints in the poses `(P, 18, 2)` that they are cut from."""
    return {
        **{name: getattr(made, name) for name in ("unseen", "broken", "filled")},
        "missing": sum(int((~np.isfinite(part).all(axis=2)).sum()) for part in poses),
        "joints": sum(part.shape[0] * part.shape[1] for part in poses),
    }


def _positions(track: Track, ratio: float) -> npt.NDArray[np.float64]:
    return np.asarray(track.frames * ratio, dtype=np.float64)


def _no_windows(length: int, short_tracks: int = 0, gaps: int = 0, rates: tuple[str, ...] = ()) -> Windows:
    nothing = np.zeros(0, dtype=np.int64)
    poses = np.zeros((0, 2, length, 18), dtype=np.float32)
    return Windows(
        poses, nothing, nothing, nothing, nothing, nothing, short_tracks=short_tracks, gaps=gaps, rates=rates
    )
