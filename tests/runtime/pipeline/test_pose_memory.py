from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.resampling import SAME_RATE, reason_against_rate
from daflow.core.data.tracks import Clip, Track
from daflow.core.data.windows import make_windows, normalise
from runtime.pipeline.pose_memory import PoseMemory

SIZE = (640, 480)
WINDOW, MAX_MISSING = 5, 2


def random_track(person: int, frames: Iterable[int], joints: int = 18) -> Track:
    numbers = np.array(list(frames), dtype=np.int64)
    rng = np.random.default_rng(person)
    keypoints = rng.uniform(10, 400, (len(numbers), joints, 3)).astype(np.float32)
    return Track(person, numbers, keypoints, np.ones(len(numbers), dtype=np.float32))


def online_windows(
    tracks: Iterable[Track], window: int = WINDOW
) -> dict[tuple[int, int], npt.NDArray[np.float32]]:
    """The normalised windows of a memory that sees the tracks frame by frame, by person and last frame."""
    tracks = list(tracks)
    memory = PoseMemory(window, MAX_MISSING)
    windows = {}
    for frame in range(1 + max(int(track.frames[-1]) for track in tracks)):
        there = {t.person: t.points()[t.frames == frame][0] for t in tracks if frame in t.frames}
        memory.add(frame, there)
        people, points = memory.windows()
        poses, kept = normalise(points, SIZE)
        assert kept.all()
        windows.update({(person, frame): pose for person, pose in zip(people, poses, strict=True)})
    return windows


def offline_windows(
    tracks: Iterable[Track], window: int = WINDOW
) -> dict[tuple[int, int], npt.NDArray[np.float32]]:
    """The windows of training for the same tracks, by person and last frame."""
    tracks = tuple(tracks)
    made = make_windows([Clip("clip", tracks, SIZE)], window, max_missing=MAX_MISSING)
    frames = {track.person: track.frames.tolist() for track in tracks}
    last = [
        frames[person][frames[person].index(start) + window - 1]
        for person, start in zip(made.person.tolist(), made.start.tolist(), strict=True)
    ]
    return dict(zip(zip(made.person.tolist(), last, strict=True), made.poses, strict=True))


steps = st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 3, 4, 5, 60]), min_size=1, max_size=40)


@settings(deadline=None)
@given(st.lists(steps, min_size=1, max_size=3))
def test_the_edge_sees_exactly_the_windows_of_training(gaps: list[list[int]]) -> None:
    tracks = [random_track(person, np.cumsum(of_person)) for person, of_person in enumerate(gaps)]
    online, offline = online_windows(tracks), offline_windows(tracks)
    assert online.keys() == offline.keys()
    for key, window in offline.items():
        np.testing.assert_array_equal(online[key], window)


def test_windows_of_24_poses_are_those_of_training_bit_for_bit() -> None:
    tracks = [random_track(1, [f for f in range(80) if f % 17]), random_track(2, range(40, 70), joints=17)]
    online, offline = online_windows(tracks, 24), offline_windows(tracks, 24)
    assert online.keys() == offline.keys()
    assert {person for person, _ in online} == {1, 2}
    assert all(np.array_equal(online[key], offline[key]) for key in offline)


def test_one_missed_pose_does_not_lose_the_history() -> None:
    frames = [f for f in range(10) if f != 5]
    last_frames = {frame for _, frame in online_windows([random_track(1, frames)])}
    assert last_frames == {4, 6, 7, 8, 9}


def test_a_gap_that_no_window_bridges_starts_over() -> None:
    frames = [*range(5), *range(5 + MAX_MISSING + 1, 20)]
    last_frames = {frame for _, frame in online_windows([random_track(1, frames)])}
    assert last_frames == {4, *range(12, 20)}


def test_nobody_in_the_frame_gives_no_window_of_the_past() -> None:
    memory = PoseMemory(window=2, max_missing=2)
    for frame in range(3):
        memory.add(frame, {1: np.full((18, 2), frame, dtype=np.float32)})
    assert memory.windows()[0] == [1]
    memory.add(3, {})
    people, points = memory.windows()
    assert (people, points.shape) == ([], (0, 2, 2, 18))


def test_people_who_left_are_freed() -> None:
    memory = PoseMemory(window=2, max_missing=1, forget_after=10)
    pose = np.zeros((18, 2), dtype=np.float32)
    for person in range(100):
        memory.add(person, {person: pose})
        assert len(memory) <= 11
    memory.add(200, {})
    assert len(memory) == 0


def test_pixels_of_two_frame_sizes_never_share_a_window() -> None:
    memory, pose = PoseMemory(window=3, max_missing=2), np.zeros((18, 2), dtype=np.float32)
    ready = []
    for frame in range(10):
        memory.add(frame, {1: pose}, (640, 480) if frame < 5 else (1280, 720))
        ready.append(memory.windows()[0])
    assert ready == [[], [], [1], [1], [1], [], [], [1], [1], [1]]


def test_a_change_of_the_size_frees_everybody() -> None:
    memory, pose = PoseMemory(window=3, max_missing=2), np.zeros((18, 2), dtype=np.float32)
    memory.add(0, {1: pose, 2: pose}, (640, 480))
    memory.add(1, {}, (1280, 720))
    assert len(memory) == 0


def test_when_there_are_too_many_people_those_seen_longest_ago_are_freed() -> None:
    memory, pose = PoseMemory(window=2, max_missing=2, max_people=4), np.zeros((18, 2), dtype=np.float32)
    memory.add(0, dict.fromkeys(range(4), pose))
    memory.add(1, {0: pose, 3: pose})
    memory.add(2, {0: pose, 3: pose, 7: pose, 8: pose})
    assert len(memory) == 4
    memory.add(3, {1: pose, 7: pose, 8: pose})
    assert memory.windows()[0] == [7, 8]


def test_a_frame_with_more_people_than_are_remembered_keeps_the_last_of_them() -> None:
    memory, pose = PoseMemory(window=1, max_missing=2, max_people=4), np.zeros((18, 2), dtype=np.float32)
    for frame in range(3):
        memory.add(frame, dict.fromkeys(range(10), pose))
        assert len(memory) == 4
        assert memory.windows()[0] == [6, 7, 8, 9]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=60), st.integers(1, 8))
def test_no_more_people_are_remembered_than_allowed(frames: list[list[int]], most: int) -> None:
    memory, pose = PoseMemory(window=2, max_missing=2, max_people=most), np.zeros((18, 2), dtype=np.float32)
    for frame, people in enumerate(frames):
        memory.add(frame, dict.fromkeys(people, pose))
        ready, windows = memory.windows()
        assert len(memory) <= most
        assert set(ready) <= set(people)
        assert len(windows) == len(ready)


def smooth_track(person: int, fps: float, seconds: float, missing: Iterable[int] = ()) -> Track:
    """Somebody who walks and swings: the same movement at any frame rate."""
    frames = np.array([f for f in range(round(seconds * fps)) if f not in set(missing)], dtype=np.int64)
    time = frames / fps
    rng = np.random.default_rng(person)
    phase, place = rng.uniform(0, 6, (18, 2)), rng.uniform(100, 300, (18, 2))
    points = place + 20 * time[:, None, None] + 15 * np.sin(4 * time[:, None, None] + phase)
    keypoints = np.concatenate([points, np.ones((len(frames), 18, 1))], axis=2).astype(np.float32)
    return Track(person, frames, keypoints, np.ones(len(frames), dtype=np.float32))


def streamed(
    track: Track, fps: float, model_fps: float, window: int = 24
) -> dict[int, npt.NDArray[np.float32]]:
    """The windows of a memory that sees a track frame by frame, by last frame."""
    memory, found = PoseMemory(window, MAX_MISSING, fps=model_fps), {}
    for frame in range(int(track.frames[-1]) + 1):
        there = {track.person: track.points()[track.frames == frame][0]} if frame in track.frames else {}
        memory.add(frame, there, SIZE, frame / fps)
        people, points = memory.windows()
        if people:
            found[frame] = normalise(points, SIZE)[0][0]
    return found


@settings(deadline=None, max_examples=40)
@given(
    fps=st.floats(5, 60),
    model_fps=st.floats(5, 30),
    missing=st.lists(st.integers(0, 80), max_size=4, unique=True),
)
def test_at_any_two_rates_the_edge_samples_the_windows_of_training(
    fps: float, model_fps: float, missing: list[int]
) -> None:
    track = smooth_track(1, fps, 5.0, missing)
    clip = Clip("clip", (track,), SIZE, FrameRate.constant(fps))
    made = make_windows([clip], 24, max_missing=MAX_MISSING, fps=model_fps)
    offline = dict(zip(made.last.tolist(), made.poses, strict=True))
    online = streamed(track, fps, model_fps)
    known = 1 + 2 * MAX_MISSING + 8  # the rate is known after eight steps
    late = {frame for frame in offline if frame > known}
    if reason_against_rate(fps, model_fps):
        assert not offline
    elif abs(abs(fps / model_fps - 1) - SAME_RATE) > 1e-6:
        assert late <= online.keys() <= offline.keys()
        for frame in late:
            np.testing.assert_allclose(online[frame], offline[frame], atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(fps=st.floats(6, 60), other=st.floats(6, 60))
def test_a_window_shows_the_same_movement_at_any_two_rates(fps: float, other: float) -> None:
    model_fps, seen = 20.0, []
    for source in (fps, other):
        # Near rates are taken as they are.
        rate = model_fps if abs(source / model_fps - 1) <= SAME_RATE else source
        windows = streamed(smooth_track(1, rate, 5.0), rate, model_fps)
        time = {frame: frame / rate for frame in windows}
        near = min(windows, key=lambda frame: abs(time[frame] - 4.0))
        seen.append((time[near], windows[near]))
    assert abs(seen[0][0] - seen[1][0]) <= 1 / min(fps, other)
    # One frame is at most a sixth of a second, in which joints move by up to 16 of some 60 pixels.
    assert float(np.abs(seen[0][1] - seen[1][1]).mean()) < 0.25


def test_a_rate_that_cannot_be_scored_gives_a_reason_and_no_window() -> None:
    memory = PoseMemory(24, MAX_MISSING, fps=25.0)
    pose = np.random.default_rng(0).normal(100, 9, (18, 2)).astype(np.float32)
    for frame in range(60):
        memory.add(frame, {1: pose}, SIZE, frame / 3)
        assert memory.windows()[0] == []
    assert memory.reason == "3 frames per second are too few for a model of 25: at least 4.17 are needed"
    for frame in range(60, 90):
        memory.add(frame, {1: pose}, SIZE, 20 + (frame - 60) / 25)
    assert memory.reason is None
    assert memory.windows()[0] == [1]


def test_a_change_of_the_rate_keeps_the_windows_as_long_in_time() -> None:
    """A device that becomes busy delivers every third frame, and later every frame again."""
    memory, fps = PoseMemory(24, MAX_MISSING, fps=25.0), 25.0
    track = smooth_track(1, 25.0, 12.0)
    kept = [f for f in range(300) if not 100 <= f < 200 or f % 3 == 0]
    spans = []
    for number, frame in enumerate(kept):
        memory.add(number, {1: track.points()[frame]}, SIZE, frame / fps)
        people, points = memory.windows()
        if people:
            spans.append((frame, float(np.ptp(points[0].mean(axis=(0, 2))))))
    scored = {frame for frame, _ in spans}
    assert set(range(60, 100)) | {f for f in kept if 140 <= f < 200} | set(range(250, 300)) <= scored


def test_no_window_straddles_a_pause_that_the_frame_numbers_do_not_show() -> None:
    memory, track = PoseMemory(24, MAX_MISSING, fps=25.0), smooth_track(1, 25.0, 4.0)
    scored = []
    for frame in range(100):
        memory.add(frame, {1: track.points()[frame]}, SIZE, frame / 25 + (10 if frame >= 50 else 0))
        if memory.windows()[0]:
            scored.append(frame)
    assert scored == [*range(23, 50), *range(73, 100)]


def test_people_who_were_missed_in_different_frames_each_have_their_own_window() -> None:
    fps, missing = 30.0, {1: [], 2: [], 3: [11, 40], 4: [20, 21, 22, 23, 24, 25]}
    tracks = tuple(smooth_track(person, fps, 3.0, gone) for person, gone in missing.items())
    made = make_windows(
        [Clip("clip", tracks, SIZE, FrameRate.constant(fps))], max_missing=MAX_MISSING, fps=25.0
    )
    offline = dict(zip(zip(made.person.tolist(), made.last.tolist(), strict=True), made.poses, strict=True))
    memory, online = PoseMemory(24, MAX_MISSING, fps=25.0), {}
    for frame in range(90):
        there = {t.person: t.points()[t.frames == frame][0] for t in tracks if frame in t.frames}
        memory.add(frame, there, SIZE, frame / fps)
        people, points = memory.windows()
        poses, _ = normalise(points, SIZE)
        online.update({(person, frame): pose for person, pose in zip(people, poses, strict=True)})
    assert online.keys() == offline.keys()
    assert {person for person, _ in online} == {1, 2, 3, 4}
    for key, window in offline.items():
        np.testing.assert_allclose(online[key], window, atol=1e-4)
