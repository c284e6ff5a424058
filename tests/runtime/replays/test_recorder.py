from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from runtime.pipeline.results import FrameResult
from runtime.replays.recorder import MAX_FRAMES, MAX_PEOPLE, SkeletonRecorder, Snapshot
from runtime.replays.skeletons import AlarmSkeletons

At = Callable[..., FrameResult]


def watch(
    at: At, on: tuple[float, float], until: float, fps: float = 25.0, before: float = 5.0, after: float = 5.0
) -> list[Snapshot]:
    """Return what is stored of an alarm of person 7, who is beside person 1."""
    recorder, stored, began = SkeletonRecorder("door", before, after), [], False
    for index in range(round(until * fps)):
        time = index / fps
        high = on[0] <= time < on[1]
        result = at(time, {1: 2.0, 7: 9.0 + math.sin(time) if high else 1.0}, fps=fps)
        stored += recorder.see(result)
        if high and not began:
            stored.append(recorder.begin("a", result, result.frame.utc))
            began = True
        elif began and time >= on[1] and time - 1 / fps < on[1]:
            end = recorder.end("a")
            assert end is not None
            stored.append(end)
    return stored


def spacings(skeletons: AlarmSkeletons) -> list[float]:
    return np.diff([frame.time for frame in skeletons.frames]).tolist()


@pytest.mark.parametrize(("fps", "spacing"), [(25.0, 0.08), (30.0, 0.1), (10.0, 0.1), (5.0, 0.2)])
def test_it_holds_what_was_before_and_after_thinned_to_a_bounded_rate(
    at: At, fps: float, spacing: float
) -> None:
    stored = watch(at, (20.0, 23.0), 40.0, fps)
    whole = stored[-1].skeletons()
    assert [snapshot.complete for snapshot in stored] == [False] * (len(stored) - 1) + [True]
    assert whole.frames[0].time == pytest.approx(-5.0, abs=0.1)
    assert whole.frames[-1].time == pytest.approx(8.0, abs=0.2)
    assert spacings(whole) == pytest.approx([spacing] * (len(whole.frames) - 1), abs=0.005)
    assert whole.seconds == pytest.approx(3.0, abs=0.01)
    assert whole.raised == {7}
    assert whole.began_utc == 1_700_000_020
    assert whole.peak is not None
    assert 0 <= whole.peak <= 3.0
    assert {person.person for frame in whole.frames for person in frame.people} == {1, 7}


def test_joints_are_fractions_of_the_picture_they_were_seen_in(at: At) -> None:
    recorder = SkeletonRecorder("door", 5, 5)
    recorder.see(at(0.0, {0: 1.0}, size=(200, 100)))
    result = at(1.0, {0: 9.0}, size=(400, 400))
    recorder.see(result)
    first, last = recorder.begin("a", result, 5.0).skeletons().frames
    assert first.people[0].keypoints[0] == pytest.approx([0.05, 0.2, 0.9])
    assert last.people[0].keypoints[0] == pytest.approx([0.025, 0.05, 0.9])


def test_it_is_stored_often_at_first_and_rarely_later(at: At) -> None:
    stored = watch(at, (10.0, 130.0), 140.0)
    lengths = [round(snapshot.skeletons().frames[-1].time) for snapshot in stored]
    assert lengths == [0, 1, 3, 7, 15, 31, 63, 120, 123, 125]


def test_an_alarm_of_hours_is_bounded_and_whole_around_its_begin_and_its_peak(at: At) -> None:
    fps = 12.5
    recorder = SkeletonRecorder("door", 20, 20)
    peak, last = 2000.0, None
    for index in range(round(3600 * fps)):
        time = index / fps
        result = at(time, {7: 1.0 if time < 30 else 9.0 + (time == peak)}, fps=fps)
        recorder.see(result)
        if time == 30:
            recorder.begin("a", result, 0.0)
    last = recorder.close()[0].skeletons()
    assert len(last.frames) <= MAX_FRAMES
    times = np.array([frame.time for frame in last.frames])
    assert times[-1] == pytest.approx(3570, abs=30)
    assert last.peak == pytest.approx(peak - 30)
    for first, end in ((-20, 10), (peak - 30, peak - 25)):
        inside = times[(times >= first) & (times < end)]
        assert np.diff(inside) == pytest.approx(1 / fps, abs=0.001)
    assert np.diff(times).max() < 100


def test_a_crowd_is_bounded_to_those_with_the_highest_scores(at: At) -> None:
    recorder = SkeletonRecorder("door", 5, 5)
    scores: dict[int, float | None] = {number: float(number) / 100 for number in range(60)}
    scores[3], scores[4] = 9.0, None
    result = at(0.0, scores)
    recorder.see(result)
    (frame,) = recorder.begin("a", result, 0.0).skeletons().frames
    assert [person.person for person in frame.people] == [3, *range(60 - MAX_PEOPLE + 1, 60)]


def test_two_alarms_that_follow_each_other_are_both_recorded(at: At) -> None:
    recorder, stored = SkeletonRecorder("door", 2, 2), []
    for index in range(200):
        time = index / 25
        result = at(time, {7: 9.0})
        stored += recorder.see(result)
        if time in (3.0, 4.0):
            stored.append(recorder.begin("a" if time == 3.0 else "b", result, 0.0))
        if time in (3.6, 4.6):
            recorder.end("a" if time == 3.6 else "b")
    whole = {snapshot.id: snapshot.skeletons() for snapshot in stored if snapshot.complete}
    assert {id_: (s.frames[0].time, s.frames[-1].time) for id_, s in whole.items()} == {
        "a": (pytest.approx(-2, abs=0.1), pytest.approx(2.6, abs=0.1)),
        "b": (pytest.approx(-2, abs=0.1), pytest.approx(2.6, abs=0.1)),
    }


def test_what_ends_early_keeps_what_there_was(at: At) -> None:
    recorder = SkeletonRecorder("door", 5, 5)
    for index in range(50):
        result = at(index / 25, {7: 9.0})
        recorder.see(result)
        if index == 25:
            recorder.begin("a", result, 0.0)
            recorder.begin("b", result, 0.0)
    ended = recorder.end("a", complete=True)
    assert ended is not None
    assert ended.complete
    (left,) = recorder.close()
    assert (left.id, left.complete) == ("b", False)
    assert left.skeletons().seconds is None
    assert left.skeletons().frames[-1].time == pytest.approx(0.92, abs=0.08)
    assert recorder.end("b") is None


def test_a_stream_that_starts_again_forgets_what_was_before(at: At) -> None:
    recorder = SkeletonRecorder("door", 5, 5)
    for index in range(100):
        recorder.see(at(100 + index / 25, {1: 1.0}))
    result = at(0.0, {2: 9.0})
    recorder.see(result)
    (frame,) = recorder.begin("a", result, 0.0).skeletons().frames
    assert [person.person for person in frame.people] == [2]


def test_frames_that_a_lost_camera_did_not_give_are_not_recorded(at: At) -> None:
    recorder = SkeletonRecorder("door", 5, 5)
    result = at(0.0, {1: 9.0})
    recorder.see(result)
    recorder.begin("a", result, 0.0)
    recorder.see(at(1.0, {}, absence="camera_lost"))
    assert len(recorder.close()[0].skeletons().frames) == 1
