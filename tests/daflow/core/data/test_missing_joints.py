from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.data.missing_joints import MAX_HIDDEN, fill_missing, seen_points
from daflow.core.data.skeleton import OPENPOSE_JOINTS, to_openpose
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip, Track, read_clips, write_clips
from daflow.core.data.windows import fill_and_normalise, make_windows, normalise

SIZE = (640, 480)
TORSO = [
    OPENPOSE_JOINTS.index(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip")
]
HIPS = [OPENPOSE_JOINTS.index(f"{side}_hip") for side in ("left", "right")]
USUAL = {OPENPOSE_JOINTS.index(name): along for name, along in (
    ("nose", -0.9), ("right_eye", -1), ("left_eye", -1), ("right_ear", -1), ("left_ear", -1),
    ("right_elbow", 0.1), ("left_elbow", 0.1), ("right_wrist", 0.5), ("left_wrist", 0.5),
    ("right_knee", 1.2), ("left_knee", 1.2), ("right_ankle", 1.9), ("left_ankle", 1.9), ("neck", -0.5),
)}  # fmt: skip
WRIST, NECK = OPENPOSE_JOINTS.index("left_wrist"), OPENPOSE_JOINTS.index("neck")


def moving(windows: int = 3, length: int = 24, seed: int = 0) -> npt.NDArray[np.float32]:
    """People who walk with arms and legs that swing, `(N, 2, T, 18)` pixels."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)[:, None]
    place = rng.uniform(100, 300, (windows, 2, 1, 18))
    swing = 10 * np.sin(0.2 * time + rng.uniform(0, 6, place.shape))
    return (place + 3 * time + swing).astype(np.float32)


def plain_fill(window: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Fill one window `(2, T, 18)`, joint by joint and pose by pose."""
    window = window.astype(np.float64)
    for joint in TORSO:
        window[..., joint] = plain_bridge(window[..., joint], MAX_HIDDEN)
    if not np.isfinite(window[..., TORSO]).all():
        return window
    for pose in range(window.shape[1]):
        if not np.isfinite(window[:, pose, NECK]).all():
            ends = [window[:, pose, OPENPOSE_JOINTS.index(f"{side}_shoulder")] for side in ("left", "right")]
            window[:, pose, NECK] = sum(ends) / 2
    middle = window[..., TORSO].mean(axis=-1)
    axis = 2 * (window[..., HIPS].mean(axis=-1) - middle)
    for joint in range(18):
        there = np.isfinite(window[..., joint]).all(axis=0)
        beside = plain_bridge(window[..., joint] - middle, 24) if there.any() else USUAL[joint] * axis
        beside = beside + middle
        window[..., joint] = np.where(there, window[..., joint], beside)
    return window


def plain_bridge(path: npt.NDArray[np.float64], longest: int) -> npt.NDArray[np.float64]:
    seen = np.flatnonzero(np.isfinite(path).all(axis=0))
    filled = np.full_like(path, np.nan)
    for pose in range(path.shape[1]):
        before, after = seen[seen <= pose], seen[seen >= pose]
        low = before[-1] if len(before) else -1
        high = after[0] if len(after) else path.shape[1]
        if len(seen) and high - low - 1 <= longest:
            filled[:, pose] = [np.interp(pose, seen, axis[seen]) for axis in path]
    return filled


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.sampled_from([0.002, 0.02, 0.1, 0.3]), st.integers(1, 9))
def test_filled_windows_are_those_of_a_slow_obvious_search(seed: int, share: float, longest: int) -> None:
    points, rng = moving(seed=seed), np.random.default_rng(seed)
    for row, pose, joint in np.argwhere(rng.random((3, 24, 18)) < share):
        points[row, :, pose : pose + rng.integers(1, longest + 1), joint] = np.nan
    filled, holes, unseen = fill_missing(points)
    for row, window in enumerate(points):
        expected = plain_fill(window)
        assert holes[row] == (not np.isfinite(window).all())
        assert unseen[row] == (not np.isfinite(expected[..., TORSO]).all())
        if not unseen[row]:
            np.testing.assert_allclose(filled[row], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("poses", [1, MAX_HIDDEN, MAX_HIDDEN + 1])
@pytest.mark.parametrize("first", [0, 5, 24])
@pytest.mark.parametrize("joint", [WRIST, *TORSO])
def test_a_window_whose_torso_is_hidden_for_too_long_is_not_scored(
    poses: int, first: int, joint: int
) -> None:
    points = moving()
    begin = min(first, 24 - poses)
    points[1, :, begin : begin + poses, joint] = np.nan
    made = fill_and_normalise(points, SIZE)
    usable = joint == WRIST or poses <= MAX_HIDDEN
    assert made.kept.tolist() == [True, usable, True]
    assert (made.filled, made.unseen, made.broken) == (usable, not usable, 0)


def test_joints_that_are_never_seen_are_on_the_line_of_the_body_also_when_it_lies() -> None:
    points = moving(1)
    upright = {"shoulder": (300, 100), "hip": (300, 200)}
    for part, place in upright.items():
        for side in ("left", "right"):
            points[0, :, :, OPENPOSE_JOINTS.index(f"{side}_{part}")] = np.array(place)[:, None]
    points[..., [OPENPOSE_JOINTS.index("left_ankle"), OPENPOSE_JOINTS.index("nose")]] = np.nan
    for window in (points, points[:, ::-1]):
        ankle = fill_missing(window)[0][0, :, 0, OPENPOSE_JOINTS.index("left_ankle")].tolist()
        assert sorted(ankle) == pytest.approx([300, 340])


def test_a_filled_wrist_stays_near_where_it_was() -> None:
    whole = moving()
    points = whole.copy()
    points[:, :, 10:14, WRIST] = points[:, :, 22:, WRIST] = np.nan
    filled = fill_missing(points)[0]
    assert np.abs(filled - whole).max() < 8, "pixels, while the person walks 3 each pose"


def test_a_window_that_misses_nothing_is_that_of_normalise_bit_for_bit() -> None:
    points = moving()
    points[1, :, 3, WRIST] = np.nan
    poses = fill_and_normalise(points, SIZE).poses
    assert np.array_equal(poses[[0, 2]], normalise(points, SIZE)[0])


def test_windows_beside_each_other_do_not_change_how_one_is_filled() -> None:
    points = moving(40)
    points[np.random.default_rng(1).random((40, 2, 24, 18)) < 0.02] = np.nan
    together = fill_missing(points)[0]
    alone = [fill_missing(np.asfortranarray(points[row : row + 1]))[0] for row in range(40)]
    assert np.array_equal(np.concatenate(alone), together, equal_nan=True)


def test_the_neck_is_not_seen_when_a_shoulder_is_not() -> None:
    keypoints = np.full((17, 3), 5.0)
    keypoints[6] = 0
    hidden = np.isnan(to_openpose(seen_points(keypoints))).any(axis=1)
    assert np.flatnonzero(hidden).tolist() == [1, 2]


def test_confidences_that_are_all_0_say_nothing_and_a_low_one_is_used() -> None:
    unknown = np.full((17, 3), 5.0)
    unknown[:, 2] = 0
    assert np.isfinite(seen_points(unknown)).all()
    unknown[3, 2] = 0.001
    assert np.flatnonzero(np.isfinite(seen_points(unknown)).all(axis=1)).tolist() == [3]


def zeroed(clip: Clip, share: float) -> Clip:
    rng, tracks = np.random.default_rng(0), []
    for track in clip.tracks:
        keypoints = track.keypoints.copy()
        keypoints[rng.random(keypoints.shape[:2]) < share] = 0
        tracks.append(Track(track.person, track.frames, keypoints, track.scores))
    return Clip(clip.name, tuple(tracks), clip.frame_size, clip.rate)


def test_joints_at_0_0_hardly_change_the_windows_and_are_counted() -> None:
    clip, _ = generate_clip("clip", 3, Scene(frames=100, people=2, missed_poses=0))
    whole, holes = make_windows([clip]), make_windows([zeroed(clip, 0.02)])
    assert len(whole) == len(holes) == holes.filled
    assert float(np.abs(whole.poses - holes.poses).mean()) < 0.01
    assert (whole.missing, whole.missing_joints()) == (0, "")
    assert 0.015 < holes.missing / holes.joints < 0.035
    assert (
        f"% of the joints were not seen, which is filled in {holes.filled} windows" in holes.missing_joints()
    )


def test_stgnf_takes_0_0_for_a_place_as_its_code_does() -> None:
    clip, _ = generate_clip("clip", 3, Scene(frames=60, people=1, missed_poses=0))
    made = make_windows([zeroed(clip, 0.02)], rule="stgnf")
    assert made.filled == 0
    assert float(np.abs(made.poses - make_windows([clip], rule="stgnf").poses).max()) > 0.5


def test_a_low_confidence_does_not_become_a_hidden_joint_in_a_file(tmp_path: Path) -> None:
    keypoints = np.full((30, 17, 3), 50.0, np.float32)
    keypoints[..., 2] = 0.9
    keypoints[:, 4, 2] = 0.0002
    keypoints[:, 5, 2] = 0.0
    track = Track(1, np.arange(30), keypoints, np.ones(30, np.float32))
    write_clips(tmp_path, [Clip("01_0001", (track,), SIZE)])
    (clip,) = read_clips(tmp_path)
    hidden = np.isnan(seen_points(clip.tracks[0].keypoints)).all(axis=(0, 2))
    assert np.flatnonzero(hidden).tolist() == [5]
