from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.commands.poses import poses
from daflow.core.data.tracks import SUFFIX, read_clips
from daflow.core.data.windows import make_windows
from runtime.sources.video import VideoSource


def run(*arguments: object) -> Result:
    return CliRunner().invoke(poses, [str(argument) for argument in arguments])


def test_a_video_becomes_a_track_file_to_train_on(squats: Path, pose_model: Path, tmp_path: Path) -> None:
    ran = run("--source", squats, "-o", tmp_path, "--pose-model", pose_model, "--max-frames", 40)
    assert ran.exit_code == 0, ran.output
    (clip,) = read_clips(tmp_path)
    assert clip.name == "tfjs_pose_squats"
    assert clip.frame_size == (720, 1280)
    (track,) = clip.tracks
    assert 35 <= len(track.frames) <= 40
    assert track.frames.max() == 39
    assert track.keypoints.shape[1:] == (17, 3)
    assert f"40 frames, {clip.poses} poses of 1 people" in ran.output
    windows = make_windows([clip])
    assert len(windows) > 10
    assert np.isfinite(windows.poses).all()


def test_tracks_of_generated_people_are_written_as_they_are(tmp_path: Path) -> None:
    assert run("--source", "synthetic:frames=60,people=3,seed=2", "-o", tmp_path).exit_code == 0
    (clip,) = read_clips(tmp_path)
    assert clip.frame_size == (1280, 720)
    assert [track.person for track in clip.tracks] == [1, 2, 3]


def test_nobody_found_is_an_error(
    pose_model: Path, record_video: Callable[..., Path], tmp_path: Path
) -> None:
    noise = record_video(tmp_path / "noise.mp4", frames=12)
    ran = run("--source", noise, "-o", tmp_path / "tracks", "--pose-model", pose_model)
    assert ran.exit_code == 2
    assert f"Nobody was found in the 12 frames of {noise}." in ran.output
    assert read_clips(tmp_path / "tracks")[0].tracks == ()


def test_a_folder_of_videos_is_resumed_and_a_broken_one_does_not_stop_it(
    record_video: Callable[..., Path], pose_model: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    (videos / "monday").mkdir(parents=True)
    for name in ("monday/a.mp4", "b.mp4"):
        record_video(videos / name, frames=6)
    (videos / "broken.mp4").write_bytes(b"no video")
    (videos / "notes.txt").write_text("no video either")
    words = [
        "--source",
        videos,
        "-o",
        tmp_path / "out",
        "--pose-model",
        pose_model,
        "--workers",
        1,
        "--max-frames",
        6,
    ]
    first = run(*words)
    assert first.exit_code == 0, first.output
    assert "1 sources failed" in first.output
    assert [clip.name for clip in read_clips(tmp_path / "out")] == ["b", "monday_a"]
    (tmp_path / "out" / f"b{SUFFIX}").unlink()
    before = (tmp_path / "out" / f"monday_a{SUFFIX}").stat().st_mtime_ns
    again = run(*words)
    assert "1 of 2 clips are there already" in again.output
    assert (tmp_path / "out" / f"monday_a{SUFFIX}").stat().st_mtime_ns == before
    assert [clip.name for clip in read_clips(tmp_path / "out")] == ["b", "monday_a"]
    third = run("--overwrite", *words)
    assert "are there already" not in third.output
    assert (tmp_path / "out" / f"monday_a{SUFFIX}").stat().st_mtime_ns > before


def test_a_long_video_becomes_parts_that_hold_each_frame_once(
    record_video: Callable[..., Path], pose_model: Path, tmp_path: Path
) -> None:
    path = record_video(tmp_path / "long.mp4", frames=40, fps=5)
    with VideoSource(path) as video:
        whole = [frame.image for frame in video]
        seconds = len(whole) / video.fps
    cut = seconds / 2.5
    parts = []
    for begin, end in ((0.0, cut), (cut, 2 * cut), (2 * cut, None)):
        with VideoSource(path, begin, end) as part:
            parts.append([frame.image for frame in part])
            assert part.frames == pytest.approx(len(parts[-1]), abs=1)
    assert sum(map(len, parts)) == len(whole)
    for one, other in zip((image for part in parts for image in part), whole, strict=True):
        assert np.array_equal(one, other)
    ran = run(
        "--source",
        path,
        "-o",
        tmp_path,
        "--pose-model",
        pose_model,
        "--workers",
        1,
        "--part-minutes",
        cut / 60,
    )
    assert f"Nobody was found in the 40 frames of {path}" in ran.output
    assert [clip.name for clip in read_clips(tmp_path)] == [f"long_{part:04d}" for part in range(3)]


def test_a_camera_needs_an_end(tmp_path: Path) -> None:
    ran = run("--source", "99", "-o", tmp_path)
    assert ran.exit_code == 2
    assert "set the number of frames to record with --max-frames" in ran.output


def test_two_videos_of_the_same_name_do_not_overwrite_each_other(
    record_video: Callable[..., Path], tmp_path: Path
) -> None:
    for folder in ("morning", "evening"):
        (tmp_path / folder).mkdir()
        record_video(tmp_path / folder / "cam.mp4", frames=6)
    sources = [part for f in ("morning", "evening") for part in ("--source", tmp_path / f / "cam.mp4")]
    ran = run(*sources, "-o", tmp_path / "out")
    assert ran.exit_code == 2
    assert "Two sources would be the clip cam" in ran.output
    assert not (tmp_path / "out").exists()
