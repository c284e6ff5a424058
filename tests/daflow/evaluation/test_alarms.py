"""What an alarm does on labelled recordings, against scores whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daflow.core.alarms.rule import AlarmRule
from daflow.core.data.tracks import Clip, Track
from daflow.core.data.windows import Windows, make_windows
from daflow.evaluation.alarms import evaluate_causal

LENGTH = 4


def clip_of(frames: list[int], name: str = "a") -> Clip:
    keypoints = np.random.default_rng(0).normal(100, 20, (len(frames), 17, 3)).astype(np.float32)
    return Clip(name, (Track(3, np.array(frames), keypoints, keypoints[:, 0, 2]),), (640, 480))


def windows_of(clip: Clip) -> Windows:
    return make_windows([clip], LENGTH)


def test_a_window_counts_at_its_last_pose_also_when_frames_are_missing() -> None:
    clip = clip_of([0, 1, 2, 3, 5, 6, 8, 9])
    assert windows_of(clip).last.tolist() == [3, 5, 6, 8, 9]


def test_delay_and_false_alarms_are_counted() -> None:
    clip = clip_of(list(range(40)))
    windows = windows_of(clip)
    ends = windows.last
    nll = np.zeros(len(windows), dtype=np.float32)
    nll[np.isin(ends, [8, 23, 24, 25, 26])] = 5  # a false alarm at 8, the fall at 20 is noticed at 23
    mask = np.zeros(40, dtype=np.int64)
    mask[20:30], mask[35:37] = 1, 1
    rule = AlarmRule(1.0, 1.0, begin_seconds=0.0, end_seconds=0.0)
    seen = evaluate_causal(nll, windows, [clip], {"a": mask}, {"a": 10.0}, rule)
    assert seen.alarms is not None
    (of_clip,) = seen.alarms.clips.values()
    assert of_clip.begins == (8, 23)
    assert [(event.first, event.last, event.delay) for event in of_clip.events] == [
        (20, 29, pytest.approx(0.3)),
        (35, 36, None),
    ]
    assert seen.alarms.false_alarms == 1
    assert seen.alarms.median_delay == pytest.approx(0.3)
    assert of_clip.normal_seconds == pytest.approx(2.8)
    assert seen.alarms.as_dict()["false_alarms_per_hour"] == pytest.approx(3600 / 2.8)
    assert "an alarm in 1 of 2 abnormal events; median delay 0.30 s" in str(seen.alarms)


def test_an_alarm_that_was_on_before_is_no_quick_one() -> None:
    clip = clip_of(list(range(30)))
    windows = windows_of(clip)
    ends = windows.last
    nll = np.where((ends >= 12) & (ends < 20), 5, 0).astype(np.float32)
    mask = np.r_[np.zeros(15, dtype=np.int64), np.ones(15, dtype=np.int64)]
    rule = AlarmRule(1.0, 1.0, begin_seconds=0.0, end_seconds=0.0)
    alarms = evaluate_causal(nll, windows, [clip], {"a": mask}, {"a": 10.0}, rule).alarms
    assert alarms is not None
    assert alarms.events[0].on_before
    assert alarms.median_delay is None
    assert alarms.false_alarms == 1


def test_frames_without_a_score_count_as_normal_and_are_counted() -> None:
    clip = clip_of(list(range(10)))
    windows = windows_of(clip)
    nll = np.arange(len(windows), dtype=np.float32)
    mask = np.r_[
        np.zeros(6, dtype=np.int64), np.ones(14, dtype=np.int64)
    ]  # nobody is seen in the last ten frames
    seen = evaluate_causal(nll, windows, [clip], {"a": mask}, {}, AlarmRule(99, 99, hold_seconds=0))
    assert seen.scored.auc == 1
    assert seen.scored.frames == 7
    assert seen.micro.frames == 20
    assert seen.micro.auc is not None
    assert 0.5 < seen.micro.auc < 0.8
    for rule in (None, AlarmRule(99, 99, hold_seconds=1)):  # the last score counts where they are lost
        held = evaluate_causal(nll, windows, [clip], {"a": mask}, {}, rule)
        assert (held.alarms is None) == (rule is None)
        assert (held.scored.frames, held.micro.auc) == (17, 1)


def test_each_point_of_the_curve_is_what_an_alarm_at_that_threshold_does() -> None:
    clips = [clip_of(list(range(200)), name) for name in "ab"]
    windows = make_windows(clips, LENGTH)
    rng = np.random.default_rng(4)
    nll = np.convolve(rng.normal(size=len(windows) + 4), np.ones(5), "valid").astype(np.float32)
    mask = np.zeros(200, dtype=np.int64)
    mask[80:100], mask[150:170] = 1, 1
    masks, fps = {"a": mask, "b": np.roll(mask, 20)}, {"a": 10.0, "b": 10.0}
    rule = AlarmRule(0.0, 0.0, begin_seconds=0.2, cool_down_seconds=1.0)
    curve = evaluate_causal(nll, windows, clips, masks, fps, rule).curve
    assert len(curve) > 20
    assert [point.threshold for point in curve] == sorted((p.threshold for p in curve), reverse=True)
    assert curve[0].false_alarms_per_hour < curve[-1].false_alarms_per_hour
    for point in curve[::10]:
        at = replace(rule, threshold=point.threshold, release=point.threshold)
        alarms = evaluate_causal(nll, windows, clips, masks, fps, at).alarms
        assert alarms is not None
        before = sum(event.on_before for event in alarms.events)
        assert (point.events, point.on_before) == (
            sum(event.delay is not None for event in alarms.events) - before, before,
        )  # fmt: skip
        assert point.false_alarms_per_hour == pytest.approx(alarms.false_alarms / alarms.normal_hours)
        assert point.median_delay == alarms.median_delay


def test_nobody_or_nothing_normal_gives_no_curve() -> None:
    clip = clip_of(list(range(20)))
    windows = windows_of(clip)
    nll = np.arange(len(windows), dtype=np.float32)
    mask = np.zeros(20, dtype=np.int64)
    mask[10:] = 1
    lonely = evaluate_causal(nll[:0], windows_of(clip_of([0])), [clip], {"a": mask}, {}, None)
    assert lonely.curve == ()
    with_labels = evaluate_causal(nll, windows, [clip], {"a": mask}, {}, None)
    assert with_labels.curve
    assert with_labels.alarms is None
