"""Generated everyday life has the statistics of normal recordings that it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from daflow.core.data.generator.everyday import everyday_clip, everyday_clips
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import make_windows


@pytest.fixture(scope="module")
def clips() -> Sequence[Clip]:
    return everyday_clips(24, seed=11)


def test_a_seed_repeats_exactly_and_another_differs() -> None:
    first, again, other = (everyday_clip("clip", seed, frames=60) for seed in (5, 5, 6))
    assert all(
        np.array_equal(a.keypoints, b.keypoints) for a, b in zip(first.tracks, again.tracks, strict=True)
    )
    assert first.frame_size != other.frame_size or not np.array_equal(
        first.tracks[0].keypoints[:5], other.tracks[0].keypoints[:5]
    )


def test_errors_of_joints_have_the_quantiles_of_real_estimators(clips: Sequence[Clip]) -> None:
    """Third differences over the height of the person; AI-Hub and the shops give the two ends of each range."""
    differences = []
    for track in (track for clip in clips for track in clip.tracks if len(track.frames) > 40):
        points, seen = track.keypoints[..., :2].astype(np.float64), track.keypoints[..., 2] > 0
        whole = (track.frames[3:] - track.frames[:-3] == 3)[:, None]
        seen = whole & seen[3:] & seen[2:-1] & seen[1:-2] & seen[:-3]
        size = np.median(np.ptp(points[..., 1], axis=1))
        differences.append(np.abs(np.diff(points, 3, axis=0))[seen].ravel() / size / np.sqrt(20))
    half, most, nearly_all = np.quantile(np.concatenate(differences), [0.5, 0.9, 0.99])
    assert 0.0003 < half < 0.002
    assert 0.0029 < most < 0.0085
    assert 0.025 < nearly_all < 0.065


def test_people_mostly_stay_or_walk_and_every_share_is_there(clips: Sequence[Clip]) -> None:
    poses = make_windows(clips, 12, 6).poses
    assert np.isfinite(poses).all()
    centre = poses.mean(axis=3)
    moved = ((centre[:, :, 6:] - centre[:, :, :-6]) ** 2).sum(axis=1).mean(axis=1)
    assert np.quantile(moved, 0.25) < 0.002, "a quarter stay where they are"
    assert 0.05 < np.quantile(moved, 0.9) < 0.5
    wide = poses[:, 0].std(axis=(1, 2))
    assert np.quantile(wide, 0.05) < 0.18
    assert 0.22 < np.median(wide) < 0.32
    assert np.quantile(wide, 0.95) > 0.45, "some are seen from above, sit or bend"


def test_cameras_and_people_differ(clips: Sequence[Clip]) -> None:
    assert {clip.frame_size for clip in clips} == {(1920, 1080), (1280, 720), (640, 480), (320, 240)}
    assert {len(clip.tracks) for clip in clips} >= {1, 2, 3}
    tracks = [track for clip in clips for track in clip.tracks]
    missing = [(track.keypoints[..., 2] == 0).any() for track in tracks]
    assert 0 < np.mean(missing) < 0.6, "some estimators leave out joints that are hidden"
