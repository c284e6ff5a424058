from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.data.frame_masks import read_masks
from daflow.core.data.skeleton import COCO_JOINTS
from daflow.core.data.synthetic import SCENE_EVENTS, Scene, SceneEvent, generate_clip, generate_dataset
from daflow.core.data.synthetic import test_scenes as scenes_of_tests
from daflow.core.data.tracks import Clip, Track, read_clips
from daflow.core.data.windows import make_windows

SEEDS = range(6)
PERFECT = Scene(frames=300, jitter=0.0, missing_joints=0.0, missed_poses=0.0)  # a camera that makes no errors

HEAD, HIPS, ANKLES = (
    [COCO_JOINTS.index(name) for name in names.split()]
    for names in (
        "nose left_eye right_eye left_ear right_ear",
        "left_hip right_hip",
        "left_ankle right_ankle",
    )
)


def height(track: Track) -> npt.NDArray[np.float32]:
    """The vertical extent of each pose in pixels."""
    return np.asarray(np.ptp(track.keypoints[..., 1], axis=1))


def upright(track: Track) -> npt.NDArray[np.bool_]:
    """Whether all of the head is above both ankles, and the pose taller than wide (y grows downwards)."""
    head, feet = track.keypoints[:, HEAD, 1].max(axis=1), track.keypoints[:, ANKLES, 1].min(axis=1)
    return np.asarray((head < feet) & (height(track) > np.ptp(track.keypoints[..., 0], axis=1)))


def hips(track: Track) -> npt.NDArray[np.float32]:
    return np.asarray(track.keypoints[:, HIPS, :2].mean(axis=1))


def same(first: Clip, second: Clip) -> bool:
    return len(first.tracks) == len(second.tracks) and all(
        np.array_equal(a.frames, b.frames)
        and np.array_equal(a.keypoints, b.keypoints)
        and np.array_equal(a.scores, b.scores)
        for a, b in zip(first.tracks, second.tracks, strict=True)
    )


@pytest.mark.parametrize("event", [None, *SCENE_EVENTS])
def test_a_seed_repeats_exactly_and_another_differs(event: SceneEvent | None) -> None:
    scene = Scene(frames=60, event=event)
    (first, mask), (again, mask_again) = generate_clip("clip", 4, scene), generate_clip("clip", 4, scene)
    assert same(first, again)
    assert np.array_equal(mask, mask_again)
    assert not same(first, generate_clip("clip", 5, scene)[0])


def test_a_clip_without_an_event_has_an_empty_mask_and_people_who_stay_upright() -> None:
    for seed in SEEDS:
        clip, mask = generate_clip("clip", seed, replace(PERFECT, people=3))
        assert mask.tolist() == [0] * 300
        assert len(clip.tracks) == 3
        assert all(upright(track).all() for track in clip.tracks)


@pytest.mark.parametrize(("event", "seconds"), [("fall", None), ("run", 5), ("fight", 7)])
def test_the_mask_is_one_stretch_after_the_first_third(event: SceneEvent, seconds: int | None) -> None:
    for seed in SEEDS:
        _, mask = generate_clip("clip", seed, Scene(frames=600, fps=25.0, event=event))
        begin, abnormal = int(mask.argmax()), int(mask.sum())
        assert 200 <= begin <= 300
        assert mask[begin : begin + abnormal].all()
        assert abnormal == (600 - begin if seconds is None else 25 * seconds)


def test_who_falls_was_upright_before_and_lies_flat_to_the_end() -> None:
    for seed in SEEDS:
        clip, mask = generate_clip("clip", seed, replace(PERFECT, event="fall"))
        faller, *others = clip.tracks
        before = mask[faller.frames] == 0
        assert upright(faller)[before].all()
        assert height(faller)[-20:].max() < 0.75 * np.median(height(faller)[before])
        assert all(upright(track).all() for track in others)


def test_who_runs_moves_faster_than_who_walks() -> None:
    for seed in SEEDS:
        clip, mask = generate_clip("clip", seed, replace(PERFECT, event="run"))
        runner = clip.tracks[0]
        steps = np.linalg.norm(np.diff(hips(runner), axis=0), axis=1) / height(runner)[1:]
        running = mask[runner.frames[1:]] == 1
        assert np.median(steps[running]) > 2 * np.median(steps[~running])


def test_two_who_fight_stand_close_together() -> None:
    for seed in SEEDS:
        clip, mask = generate_clip("clip", seed, replace(PERFECT, people=1, event="fight"))
        first, second = clip.tracks
        both = np.intersect1d(first.frames, second.frames)
        a, b = (np.isin(track.frames, both) for track in (first, second))
        apart = np.linalg.norm(hips(first)[a] - hips(second)[b], axis=1) / height(first)[a]
        assert np.median(apart[mask[both] == 1]) < 0.75


def test_the_detector_errs_as_the_scene_says() -> None:
    clip, _ = generate_clip("clip", 2, PERFECT)
    noisy, _ = generate_clip("clip", 2, Scene(frames=300, missing_joints=0.2, missed_poses=0.2))
    assert (clip.tracks[0].keypoints[..., 2] >= 0.7).all()
    unseen = np.mean([(track.keypoints[..., 2] < 0.5).mean() for track in noisy.tracks])
    assert 0.15 < unseen < 0.25
    assert 0.7 < noisy.poses / clip.poses < 0.9


def test_people_stay_in_the_frame_and_give_windows() -> None:
    for seed in SEEDS:
        clip, _ = generate_clip("clip", seed, Scene(frames=200, frame_size=(640, 480)))
        for track in clip.tracks:
            assert ((hips(track) > 0) & (hips(track) < [640, 480])).all()
            assert (np.diff(track.frames) > 0).all()
        assert len(make_windows([clip])) > 100


def test_a_dataset_is_folders_of_tracks_and_masks(tmp_path: Path) -> None:
    generate_dataset(tmp_path, seed=3, train_clips=2, test_clips=4, scene=Scene(frames=90))
    train, test = read_clips(tmp_path / "train"), read_clips(tmp_path / "test")
    masks = read_masks(tmp_path / "masks")
    assert [clip.name for clip in train] == ["01_0001", "01_0002"]
    assert [clip.name for clip in test] == list(masks)
    assert {clip.frame_size for clip in train + test} == {(1280, 720)}
    assert all(len(mask) == 90 and 0 < mask.sum() < 90 for mask in masks.values())
    assert not same(train[0], test[0])


def test_a_seed_gives_the_same_files_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate_dataset(tmp_path / name, seed, train_clips=1, test_clips=1, scene=Scene(frames=40))
    for path in (path for path in (tmp_path / "a").rglob("*") if path.is_file()):
        inside = path.relative_to(tmp_path / "a")
        assert path.read_bytes() == (tmp_path / "b" / inside).read_bytes()
        if path.name.startswith("01_") and path.suffix == ".json":
            assert path.read_bytes() != (tmp_path / "c" / inside).read_bytes()


def test_people_of_a_training_set_only_walk(tmp_path: Path) -> None:
    generate_dataset(tmp_path, train_clips=3, test_clips=0, scene=replace(PERFECT, event="fall"))
    for clip in read_clips(tmp_path / "train"):
        assert all(upright(track).all() for track in clip.tracks)


def test_test_scenes_take_the_events_in_turn() -> None:
    events = [scene.event for scene in scenes_of_tests(4, Scene(frames=7))]
    assert events == ["fall", "run", "fight", "fall"]
