from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daflow.core.bundle import Bundle
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from runtime.config.schema import Config
from runtime.outputs.track_recorder import TrackRecorder
from runtime.pipeline.results import FrameResult
from runtime.service.service import Service


def test_recorded_people_give_the_windows_that_they_gave_before(bundle: Bundle, tmp_path: Path) -> None:
    scene = Scene(frames=200, people=3, event=None)
    original, _ = generate_clip("synthetic", 5, scene)
    source = {"source": "synthetic:frames=200,people=3,event=none,seed=5"}
    config = {"bundle": bundle.folder, "cameras": {"door": source}, "record": tmp_path / "tracks"}
    with Service(Config.model_validate(config)) as service:
        service.run()
    (recorded,) = read_clips(next((tmp_path / "tracks").iterdir()))
    assert recorded.name.startswith("door_20")
    assert recorded.frame_size == original.frame_size
    before, after = make_windows([original]), make_windows([recorded])
    assert np.array_equal(before.start, after.start)
    assert np.allclose(before.poses, after.poses, atol=2e-3)


def test_a_file_for_each_five_minutes_and_none_where_nobody_was(
    tmp_path: Path, make_result: Callable[..., FrameResult]
) -> None:
    with TrackRecorder(tmp_path) as recorder:
        for second in (0, 100, 299, 300, 450, 601, 2000):
            result = make_result(25 * second)
            people = () if second == 2000 else result.people
            frame = replace(result.frame, utc=1_700_000_000 + second, time=float(second))
            recorder(replace(result, frame=frame, people=people))
    names = [clip.name for clip in read_clips(tmp_path / "202311")]
    assert names == ["camera_20231114T221320Z", "camera_20231114T221820Z", "camera_20231114T222321Z"]
    assert [track.frames.tolist() for clip in read_clips(tmp_path / "202311") for track in clip.tracks] == [
        [0, 2500, 7475],
        [0, 3750],
        [0],
    ]


def test_two_files_of_one_second_are_two(tmp_path: Path, make_result: Callable[..., FrameResult]) -> None:
    """Among them those of cameras whose names end alike, and of a run before."""
    for _ in range(2):
        with TrackRecorder(tmp_path) as recorder:
            for index, size in enumerate([(640, 480), (320, 240), (640, 480)]):
                result = make_result(index)
                frame = replace(result.frame, utc=1_700_000_000.1, time=index / 25, size=size)
                for camera in ("客厅", "客厅_2"):
                    recorder(replace(result, frame=frame, camera=camera))
    names = [clip.name for clip in read_clips(tmp_path / "202311")]
    assert len(names) == len(set(names)) == 12
    assert {"客厅_20231114T221320Z", "客厅_20231114T221320Z-6", "客厅_2_20231114T221320Z-2"} <= set(names)


def test_a_disk_that_cannot_be_written_stops_nothing(
    tmp_path: Path, make_result: Callable[..., FrameResult], caplog: pytest.LogCaptureFixture
) -> None:
    with TrackRecorder(tmp_path / "tracks") as recorder:
        recorder(make_result(0))
        (tmp_path / "tracks").rmdir()
        (tmp_path / "tracks").write_text("in the way")
    assert "was not recorded" in caplog.text


def test_a_file_of_sizes_that_is_broken_stops_nothing(
    tmp_path: Path, make_result: Callable[..., FrameResult], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "197001").mkdir()
    (tmp_path / "197001" / "frame_sizes.json").write_text("{")
    with TrackRecorder(tmp_path) as recorder:
        recorder(make_result(0))
    assert "frame_sizes.json" in caplog.text
