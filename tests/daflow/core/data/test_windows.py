from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.data.missing_joints import fill_missing
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.tracks import Clip, Track
from daflow.core.data.windows import Poses, WindowRule, make_windows, normalise

SIZE = (640, 480)
FAULTS = {"nan": np.nan, "inf": np.inf}


def make_track(person: int, frames: list[int], joints: int = 17, seed: int = 0) -> Track:
    keypoints = np.random.default_rng(seed).uniform(50, 400, (len(frames), joints, 3)).astype(np.float32)
    return Track(person, np.array(frames, dtype=np.int64), keypoints, np.ones(len(frames), dtype=np.float32))


def make_points(windows: int = 4, length: int = 24, seed: int = 0) -> npt.NDArray[np.float32]:
    """People of different places and sizes, `(N, 2, T, 18)` pixels."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(20, 120, (windows, 1, 1, 1))
    return rng.normal(rng.uniform(200, 400, size.shape), size, (windows, 2, length, 18)).astype(np.float32)


@dataclass
class Reference:
    """Windows cut and normalised one by one, in the plainest way."""

    poses: list[npt.NDArray[np.float64]] = field(default_factory=list)
    origins: list[tuple[int, int, int]] = field(default_factory=list)
    short_tracks: int = 0
    gaps: int = 0
    broken: int = 0
    rule: WindowRule = "span"

    def unbroken(self, frames: list[int], missing: int) -> bool:
        if self.rule == "span":
            return frames[-1] - frames[0] + 1 - len(frames) <= missing
        expected = range(frames[0], frames[0] + len(frames))
        return len(set(frames) & set(expected)) >= len(frames) - missing

    def add(
        self, index: int, track: Track, size: tuple[int, int], length: int, stride: int, missing: int
    ) -> None:
        last = len(track.frames) - length - (self.rule == "stgnf")
        if last < 0:
            self.short_tracks += 1
        for first in range(0, last + 1, stride):
            frames = track.frames[first : first + length]
            if not self.unbroken(frames.tolist(), missing):
                self.gaps += 1
                continue
            window = to_openpose(track.keypoints[first : first + length, :, :2]).astype(np.float64)
            if self.rule == "span":
                points = window.transpose(2, 0, 1)[None].astype(np.float32)
                window = fill_missing(points)[0][0].transpose(1, 2, 0).astype(np.float64)
            x, y = window[..., 0] / size[0], window[..., 1] / size[1]
            if not np.isfinite(window).all() or y.std() < 1e-6:
                self.broken += 1
                continue
            self.poses.append(np.stack([x - x.mean(), y - y.mean()]) / y.std())
            self.origins.append((index, track.person, int(frames[0])))


@st.composite
def tracks(draw: st.DrawFn, person: int) -> Track:
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 3, 4, 30]), max_size=25))
    frames = np.cumsum([draw(st.integers(0, 5)), *steps]).tolist()
    track = make_track(person, frames, draw(st.sampled_from([17, 18])), draw(st.integers(0, 9)))
    for fault in draw(st.lists(st.sampled_from(sorted(FAULTS)), max_size=2)):
        pose, joint = draw(st.integers(0, len(frames) - 1)), draw(st.integers(0, 16))
        track.keypoints[pose, joint, draw(st.integers(0, 1))] = FAULTS[fault]
    if draw(st.integers(0, 7)) == 0:
        track.keypoints[..., 1] = 77
    return track


clips = st.integers(0, 3).flatmap(lambda people: st.tuples(*(tracks(3 * p + 1) for p in range(people))))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(clips, max_size=3), st.integers(2, 6), st.integers(1, 4), st.integers(0, 3),
    st.sampled_from(["span", "stgnf"]),
)  # fmt: skip
def test_windows_are_those_of_a_slow_obvious_search(
    people: list[tuple[Track, ...]], length: int, stride: int, missing: int, rule: WindowRule
) -> None:
    sizes = [(640, 480), (1920, 1080), (320, 240)]
    reference = Reference(rule=rule)
    for index, tracks_of_clip in enumerate(people):
        for track in tracks_of_clip:
            reference.add(index, track, sizes[index], length, stride, missing)
    made = make_windows(
        [Clip(f"clip{i}", t, sizes[i]) for i, t in enumerate(people)], length, stride, missing, rule
    )
    assert (
        list(zip(made.clip.tolist(), made.person.tolist(), made.start.tolist(), strict=True))
        == reference.origins
    )
    assert (made.short_tracks, made.gaps, made.broken + made.unseen) == (
        reference.short_tracks,
        reference.gaps,
        reference.broken,
    )
    assert made.poses.dtype == np.float32
    assert made.poses.shape == (len(reference.poses), 2, length, 18)
    assert len(made) == len(reference.poses)
    if reference.poses:
        assert np.allclose(made.poses, reference.poses, rtol=1e-5, atol=1e-5)


def test_stride_starts_a_window_at_every_so_many_poses() -> None:
    clip = Clip("clip", (make_track(1, list(range(10, 50))),), SIZE)
    assert make_windows([clip], stride=6).start.tolist() == [10, 16, 22]


@pytest.mark.parametrize(("missing", "windows"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_as_many_frames_may_be_missing_as_asked(missing: int, windows: int) -> None:
    frames = [*range(12), *range(14, 26)]  # two are missing
    made = make_windows([Clip("clip", (make_track(1, frames),), SIZE)], max_missing=missing)
    assert (len(made), made.gaps) == (windows, 1 - windows)


def test_no_clips_and_no_long_tracks_give_no_windows_of_the_right_shape() -> None:
    short = Clip("clip", (make_track(1, list(range(23))),), SIZE)
    for given_clips in ([], [short], [Clip("empty", (), SIZE), short]):
        made = make_windows(given_clips)
        assert made.poses.shape == (0, 2, 24, 18)
        assert made.poses.dtype == np.float32
        assert len(made.clip) == len(made.person) == len(made.start) == 0


def test_what_is_left_out_is_said() -> None:
    made = make_windows([])
    assert made.skipped() == ""
    counted = dataclasses.replace(made, short_tracks=3, broken=1)
    assert "3 tracks are too short" in counted.skipped()
    assert "1 windows have NaN" in counted.skipped()
    assert "miss" not in counted.skipped()


def test_a_normalised_window_has_mean_zero_and_unit_deviation_of_y() -> None:
    poses, kept = normalise(make_points(), SIZE)
    assert kept.all()
    assert np.allclose(poses.mean(axis=(2, 3)), 0, atol=1e-5)
    assert np.allclose(poses[:, 1].std(axis=(1, 2)), 1, atol=1e-5)


def test_x_keeps_its_proportion_to_y() -> None:
    points = make_points()
    poses, _ = normalise(points, (480, 480))
    ratio = points[:, 0].std(axis=(1, 2)) / points[:, 1].std(axis=(1, 2))
    assert np.allclose(poses[:, 0].std(axis=(1, 2)), ratio, rtol=1e-4)


@settings(deadline=None)
@given(st.floats(-2000, 2000), st.floats(-2000, 2000), st.floats(0.1, 10))
def test_neither_the_place_nor_the_size_of_a_person_matters(x: float, y: float, scale: float) -> None:
    points = make_points()
    moved = points * scale + np.array([x, y])[:, None, None]
    before, after = normalise(points, SIZE)[0], normalise(moved.astype(np.float32), SIZE)[0]
    assert np.allclose(before, after, atol=2e-3)


def test_of_the_frame_size_only_the_aspect_ratio_matters() -> None:
    points = make_points()
    poses = normalise(points, (640, 480))[0]
    assert np.allclose(poses, normalise(points, (1280, 960))[0], atol=1e-6)
    wider = normalise(points, (1280, 480))[0]
    assert np.allclose(wider[:, 0], poses[:, 0] / 2, atol=1e-6)
    assert np.allclose(wider[:, 1], poses[:, 1], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_window_with_a_value_that_is_not_finite_is_dropped(value: float, axis: int) -> None:
    points = make_points(3)
    points[1, axis, 20, 4] = value
    poses, kept = normalise(points, SIZE)
    assert kept.tolist() == [True, False, True]
    assert np.array_equal(poses, normalise(points[[0, 2]], SIZE)[0])


@pytest.mark.parametrize("y", [0.0, 77.0, 1234.567])
def test_a_window_without_spread_is_dropped(y: float) -> None:
    points = make_points(2)
    points[0, 1] = y
    assert normalise(points, SIZE)[1].tolist() == [False, True]


def test_a_window_that_leaves_the_range_of_float32_is_dropped() -> None:
    points = 500 + make_points(2) * np.float32(1e-4)
    points[0, 0, 0, 0] = 3e38
    poses, kept = normalise(points, (1, 1000))
    assert kept.tolist() == [False, True]
    assert np.isfinite(poses).all()


def one_by_one(points: npt.NDArray[np.float32]) -> Poses:
    return np.concatenate([normalise(points[i : i + 1], SIZE)[0] for i in range(len(points))])


def test_a_window_alone_is_bit_for_bit_the_window_of_a_batch() -> None:
    points = make_points(windows=33)
    assert np.array_equal(one_by_one(points), normalise(points, SIZE)[0])


def test_a_window_in_any_memory_layout_is_bit_for_bit_the_window_of_training() -> None:
    track = make_track(1, list(range(60)))
    trained = make_windows([Clip("clip", (track,), SIZE)]).poses
    by_joint = np.stack([track.points()[i : i + 24] for i in range(len(trained))]).transpose(0, 3, 1, 2)
    assert np.array_equal(one_by_one(by_joint), trained)
    assert np.array_equal(one_by_one(np.ascontiguousarray(by_joint)), trained)
    assert np.array_equal(one_by_one(np.asfortranarray(by_joint)), trained)
