"""Which tracks are of one person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.data import people as people_module
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.people import join_tracks
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip, Track


def walker(person: int, first: int, last: int, x: float, height: float = 200, speed: float = 4.0) -> Track:
    """Somebody who walks to the right at `speed` pixels a frame and is at `x` in frame 0."""
    frames = np.arange(first, last)
    body = np.random.default_rng(0).uniform(0, 1, (17, 3)) * [height / 3, height, 1]
    keypoints = np.repeat(body[None], len(frames), axis=0)
    keypoints[..., 0] += x + speed * frames[:, None]
    return Track(person, frames, keypoints.astype(np.float32) + 50, np.ones(len(frames), np.float32))


def people(*tracks: Track, fps: float | None = 25.0) -> int:
    clip = Clip("c", tracks, (1280, 720), None if fps is None else FrameRate.constant(fps))
    joined = join_tracks(clip)
    assert set(joined) == {track.person for track in tracks}
    assert set(joined.values()) <= set(joined)
    return len(set(joined.values()))


def test_a_track_that_continues_another_is_the_same_person() -> None:
    assert people(walker(1, 0, 100, 0), walker(2, 110, 200, 0), walker(3, 230, 300, 0)) == 1
    assert people(walker(1, 0, 100, 0), walker(2, 95, 200, 0)) == 1, "a little earlier than the old one ends"


def test_joints_that_were_not_seen_say_nothing_about_a_person() -> None:
    """A pose estimator gives a place to a joint that it did not see, with a confidence of 0."""
    other = walker(2, 110, 200, 0)
    keypoints = other.keypoints.copy()
    keypoints[:, 3] = 5000, 5000, 0
    assert people(walker(1, 0, 100, 0), replace(other, keypoints=keypoints)) == 1


@pytest.mark.parametrize(
    "other",
    [
        walker(2, 110, 200, 900),  # elsewhere
        walker(2, 200, 300, 0),  # four seconds later
        walker(2, 50, 200, 0),  # at the same time
        walker(2, 110, 200, 0, height=600),  # a child who is followed by a giant
    ],
)
def test_others_are_other_people(other: Track) -> None:
    assert people(walker(1, 0, 100, 0), other) == 2


def test_seconds_count_and_not_frames() -> None:
    tracks = walker(1, 0, 100, 0, speed=1), walker(2, 140, 200, 0, speed=1)
    assert people(*tracks, fps=25) == people(*tracks, fps=None) == 1
    assert people(*tracks, fps=8) == 2, "five seconds"


def test_two_who_meet_stay_two() -> None:
    right, left = walker(1, 0, 200, 0), walker(2, 0, 200, 800, speed=-4)
    pieces = [
        replace(
            track, person=10 * track.person + k, frames=track.frames[part], keypoints=track.keypoints[part]
        )
        for track in (right, left)
        for k, part in enumerate((slice(0, 60), slice(65, 200)))
    ]
    assert people(*pieces) == 2


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(1, 8), max_size=4))
def test_cutting_generated_tracks_into_pieces_adds_nobody(seed: int, cuts: list[int]) -> None:
    clip, _ = generate_clip("g", seed, Scene(frames=200, people=2))
    pieces = []
    for track in clip.tracks:
        rows = np.arange(len(track.frames))
        for k, part in enumerate(np.split(rows, [len(rows) * cut // 9 for cut in sorted(set(cuts))])):
            if len(part):
                piece = replace(track, person=100 * track.person + k, frames=track.frames[part])
                pieces.append(replace(piece, keypoints=track.keypoints[part], scores=track.scores[part]))
    whole = len(set(join_tracks(clip).values()))
    assert len(set(join_tracks(replace(clip, tracks=tuple(pieces))).values())) <= whole


def crowd(size: int) -> Clip:
    """People who are all there in one frame, far from each other."""
    tracks = (walker(person, 0, 2, 2000.0 * person) for person in range(size))
    return Clip("crowd", tuple(tracks), (1280, 720))


def test_the_work_grows_with_the_tracks_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_module, "_MAX_RECENT", 10)
    compared: list[int] = []
    inner = people_module._distances

    def counted(ends: Any, chosen: Any, begins: Any, index: int) -> Any:
        compared.append(len(chosen))
        return inner(ends, chosen, begins, index)

    monkeypatch.setattr(people_module, "_distances", counted)
    for size in (50, 200):
        compared.clear()
        assert len(set(join_tracks(crowd(size)).values())) == size
        assert len(compared) == size
        assert sum(compared) <= 10 * size
