"""What a worse pose estimator or a busier machine does to tracks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.tracks import DEFAULT_FPS, Clip, Track


@dataclass(frozen=True)
class Distortion:
    """How tracks are distorted.

    Attributes:
        jitter: standard deviation of every coordinate, as a share of the person's height in that frame.
        missing_joints: share of the joints that are not found, and written as 0, 0, as OpenPose does.
        dropped_frames: share of the frames in which nobody is found.
        every: only every so many frames is left: the camera or the device is so much slower.
    """

    jitter: float = 0.0
    missing_joints: float = 0.0
    dropped_frames: float = 0.0
    every: int = 1


CLEAN = Distortion()


def distort(clip: Clip, how: Distortion, seed: int) -> Clip:
    """Return a distorted clip; the same seed gives the same one.

    >>> clip = Clip("a", (Track(1, np.arange(9), np.ones((9, 17, 3), np.float32), np.ones(9, np.float32)),), (9, 9))
    >>> distort(clip, Distortion(dropped_frames=1.0), seed=0).poses
    0
    """
    if how == CLEAN:
        return clip
    rng = np.random.default_rng(seed)
    last = max((int(track.frames[-1]) for track in clip.tracks), default=0)
    dropped = rng.random(last + 1) < how.dropped_frames
    tracks = (_distort_track(track, how, dropped, rng) for track in clip.tracks)
    fps = clip.rate.fps if clip.rate else DEFAULT_FPS
    return replace(
        clip,
        tracks=tuple(track for track in tracks if len(track.frames)),
        rate=FrameRate.constant(fps / how.every),
    )


def _distort_track(track: Track, how: Distortion, dropped: np.ndarray, rng: np.random.Generator) -> Track:
    kept = ~dropped[track.frames] & (track.frames % how.every == 0)
    keypoints = track.keypoints[kept].copy()
    height = np.ptp(keypoints[..., 1], axis=1) if len(keypoints) else np.zeros(0)
    keypoints[..., :2] += how.jitter * height[:, None, None] * rng.standard_normal(keypoints[..., :2].shape)
    keypoints[rng.random(keypoints.shape[:2]) < how.missing_joints] = 0
    return Track(
        track.person, track.frames[kept] // how.every, keypoints.astype(np.float32), track.scores[kept]
    )
