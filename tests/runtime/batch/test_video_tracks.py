"""Tracks of labelled videos are found once, and again only when something else would be found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daflow.core.data.tracks import SUFFIX, read_clips
from daflow.core.errors import InputError
from runtime.batch.video_tracks import VideoTracks, track_videos


def test_tracks_are_kept_until_the_video_or_the_options_change(
    record_video: Callable[..., Path], pose_model: Path, tmp_path: Path
) -> None:
    videos, tracks = tmp_path / "videos", tmp_path / "tracks"
    videos.mkdir()
    record_video(videos / "shop.mp4", frames=12, fps=5)
    (videos / "broken.mp4").write_bytes(b"no video")
    (videos / "other.mp4").write_bytes(b"nobody asked for it")

    def found(**options: Any) -> VideoTracks:
        people = {"people": "one", "pose_model": pose_model, **options}
        return track_videos(videos, tracks, {"shop", "broken"}.__contains__, people, workers=1)

    first = found()
    assert (first.kept, first.frames, list(first.failed)) == (0, {"shop": 12}, ["broken"])
    assert first.fps["shop"] == pytest.approx(5)
    (clip,) = read_clips(tracks)
    assert clip.frame_size == (64, 48)
    assert found().kept == 1
    assert found(people="few", max_people=2).kept == 0
    assert found(people="few", max_people=2).kept == 1
    file = tracks / f"shop{SUFFIX}"
    file.write_text("{ }")  # as 'daflow poses' would write it: what made it is not known
    assert found().kept == 1
    os.utime(videos / "shop.mp4")
    os.utime(file, (0, 0))
    assert found().kept == 0


def test_no_usable_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"No video of .* can be used"):
        track_videos(tmp_path, tmp_path / "tracks", lambda _: True, {})
    with pytest.raises(InputError, match="There is no folder"):
        track_videos(tmp_path / "nothing", tmp_path / "tracks", lambda _: True, {})
