from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import Bundle
from daflow.core.data.missing_joints import MAX_HIDDEN
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import LENGTH, MAX_MISSING, Poses, make_windows
from daflow.core.evidence import Scored
from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.camera_pipeline import CameraPipeline
from runtime.pipeline.results import FrameResult
from runtime.poses.people import PeopleFinder
from runtime.scorers.registry import open_scorer
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.recorded_tracks import ClipSource
from runtime.stage_clock import StageClock

AtRate = Callable[[Clip, float], Clip]
Walking = Callable[[int], Keypoints]


def make_pipeline(scorer: Scorer, threshold: float = 100.0) -> CameraPipeline:
    rule = AlarmRule(threshold, threshold, begin_seconds=0, end_seconds=0)
    return CameraPipeline(scorer, PeopleFinder(None, 25), rule, LENGTH, MAX_MISSING, StageClock())


def results_of(clip: Clip, scorer: Scorer) -> Iterator[FrameResult]:
    pipeline = make_pipeline(scorer)
    yield from (pipeline.process(frame) for frame in ClipSource(clip, 25))


def frame_of(index: int, people: dict[int, Keypoints]) -> Frame:
    return Frame(index, index / 25, (1280, 720), people=people)


def test_online_scores_are_the_offline_scores_of_the_windows_that_end_there(bundle: Bundle) -> None:
    clip, _ = generate_clip("clip", 4, Scene(frames=120, people=3, event="run", missed_poses=0.05))
    windows = make_windows([clip])
    frames = {track.person: track.frames.tolist() for track in clip.tracks}
    with open_scorer(bundle, "onnxruntime") as scorer:
        offline = {
            (person, frames[person][frames[person].index(start) + LENGTH - 1]): score
            for person, start, score in zip(
                windows.person.tolist(), windows.start.tolist(), scorer.score(windows.poses), strict=True
            )
        }
        online = {
            (person.person, result.frame.index): person.score
            for result in results_of(clip, scorer)
            for person in result.people
            if person.score is not None
        }
    assert len(offline) > 100
    assert online.keys() == offline.keys()
    for key, score in offline.items():
        assert online[key] == pytest.approx(score, abs=1e-4)


def test_the_scorer_is_called_once_a_frame_for_all_people(fake_scorer: Any, walking: Walking) -> None:
    scorer = fake_scorer()
    pipeline = make_pipeline(scorer)
    for index in range(LENGTH + 5):
        pipeline.process(frame_of(index, {person: walking(index + person) for person in range(4)}))
    assert [len(poses) for poses in scorer.calls] == [4] * 6


def test_the_worst_person_is_the_result(fake_scorer: Any, walking: Walking) -> None:
    pipeline = make_pipeline(fake_scorer(scores=[1.0, 9.0, 4.0]))
    for index in range(LENGTH):
        result = pipeline.process(
            frame_of(index, {person: walking(index + person) for person in (10, 20, 30)})
        )
    assert result.worst is not None
    assert (result.worst.person, result.score) == (20, 9.0)
    assert [person.score for person in result.people] == [1.0, 9.0, 4.0]


def test_nobody_has_a_score_before_a_window_is_full(fake_scorer: Any, walking: Walking) -> None:
    pipeline = make_pipeline(fake_scorer())
    scores = [pipeline.process(frame_of(index, {1: walking(index)})).score for index in range(LENGTH)]
    assert scores[:-1] == [None] * (LENGTH - 1)
    assert scores[-1] is not None


@pytest.mark.parametrize("damage", [np.nan, np.inf])
def test_people_whose_shoulder_is_hidden_for_too_long_are_counted_and_never_scored(
    fake_scorer: Any, walking: Walking, damage: float
) -> None:
    scorer = fake_scorer()
    pipeline = make_pipeline(scorer)
    for index in range(2 * LENGTH):
        broken = walking(index).copy()
        if LENGTH <= index <= LENGTH + MAX_HIDDEN:
            broken[5, 0] = damage
        pipeline.process(frame_of(index, {1: broken, 2: walking(index)}))
    # The last pose of a hole that is too long arrives with frame LENGTH + MAX_HIDDEN.
    assert pipeline.unusable == pipeline.hidden == LENGTH - MAX_HIDDEN
    assert all(np.isfinite(poses).all() for poses in scorer.calls)
    bad = LENGTH - MAX_HIDDEN
    assert [len(poses) for poses in scorer.calls] == [2] * (LENGTH + 1 - bad) + [1] * bad


def test_a_skeleton_without_spread_is_not_scored(fake_scorer: Any) -> None:
    scorer = fake_scorer()
    pipeline = make_pipeline(scorer)
    for index in range(LENGTH):
        pipeline.process(frame_of(index, {1: np.zeros((17, 3), dtype=np.float32)}))
    assert (pipeline.unusable, scorer.calls) == (1, [])


def test_a_score_that_is_nan_does_not_hide_the_others(fake_scorer: Any, walking: Walking) -> None:
    pipeline = make_pipeline(fake_scorer(scores=[float("nan"), 9.0]), threshold=5)
    for index in range(LENGTH):
        result = pipeline.process(frame_of(index, {1: walking(index), 2: walking(index)}))
    assert result.score == 9.0
    assert result.alarm
    assert pipeline.unusable == 1


class OnePose:
    """An estimator that finds one walker, and remembers whether it was closed."""

    def __init__(self, walking: Walking) -> None:
        self.walking, self.closed = walking, False

    def estimate(self, frame: Frame) -> Keypoints:
        return self.walking(frame.index)[None]

    def close(self) -> None:
        self.closed = True


def test_people_of_pictures_are_found_tracked_and_scored(fake_scorer: Any, walking: Walking) -> None:
    estimator = OnePose(walking)
    with closing(estimator):
        finder = PeopleFinder(estimator, 25)
        pipeline = CameraPipeline(
            fake_scorer(), finder, AlarmRule(100, 100), LENGTH, MAX_MISSING, StageClock()
        )
        frames = [replace(frame_of(index, {}), people=None) for index in range(60)]
        results = [pipeline.process(frame) for frame in frames]
    assert {person.person for result in results for person in result.people} == {0}
    assert results[-1].score is not None
    assert estimator.closed


@functools.lru_cache
def falling() -> Clip:
    """A fall, as a camera of 100 frames per second sees it without noise."""
    scene = Scene(frames=1000, people=2, event="fall", fps=100, jitter=0, missed_poses=0, missing_joints=0)
    return generate_clip("fall", 5, scene)[0]


class Spread:
    """A scorer without a model: how wide a person is for his height, which grows in a fall."""

    name = "spread"
    precision = "fp32"

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        return np.asarray(10 * poses[:, 0].std(axis=(1, 2)), dtype=np.float32)

    def judge(self, poses: Poses) -> Scored:
        return Scored(self.score(poses))

    def close(self) -> None:
        pass


def results_at(at_rate: AtRate, fps: float, threshold: float) -> list[FrameResult]:
    """The results of the fall, seen at `fps` by a model of 25 frames per second."""
    rule, finder = AlarmRule(threshold, threshold, begin_seconds=0, end_seconds=0.5), PeopleFinder(None, fps)
    pipeline = CameraPipeline(Spread(), finder, rule, LENGTH, MAX_MISSING, StageClock(), fps=25.0)
    return [pipeline.process(frame) for frame in ClipSource(at_rate(falling(), fps), fps)]


@settings(deadline=None, max_examples=15)
@given(fps=st.floats(5, 60))
def test_a_fall_raises_its_alarm_at_the_same_time_within_a_frame_at_any_frame_rate(
    at_rate: AtRate, fps: float
) -> None:
    scores = [(result.frame.time, result.score or -np.inf) for result in results_at(at_rate, 25.0, np.inf)]
    normal, highest = max(s for time, s in scores if time < 4.5), max(s for _, s in scores)
    assert highest > normal + 1
    (expected,), (found,) = (
        [
            result.frame.time
            for result in results_at(at_rate, rate, (normal + highest) / 2)
            if result.change == "begin"
        ]
        for rate in (25.0, fps)
    )
    assert abs(found - expected) <= max(1 / fps, 1 / 25) + 1e-6
