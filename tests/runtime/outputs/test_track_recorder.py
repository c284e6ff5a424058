from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.core.bundle import Bundle
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.core.errors import InputError
from runtime.config.schema import Config
from runtime.outputs.track_recorder import TrackRecorder
from runtime.pipeline.results import FrameResult
from runtime.service.service import Service


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_recorded_people_give_the_windows_that_they_gave_before(
    bundle: Bundle, tmp_path: Path, form: str
) -> None:
    scene = Scene(frames=200, people=3, event=None)
    original, _ = generate_clip("synthetic", 5, scene)
    source = {"source": "synthetic:frames=200,people=3,event=none,seed=5"}
    config = {
        "bundle": bundle.folder, "cameras": {"door": source}, "record": tmp_path / "tracks", "record_format": form,
    }  # fmt: skip
    with Service(Config.model_validate(config)) as service:
        service.run()
    folder = next((tmp_path / "tracks").iterdir())
    (recorded,) = read_clips(folder)
    names = [path.name for path in folder.iterdir()]
    assert names == [f"{recorded.name}.tracks.parquet"] if form == "parquet" else len(names) == 3
    assert recorded.name.startswith("door_20")
    assert recorded.rate is not None
    assert recorded.rate.fps == pytest.approx(25)
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


def at(result: FrameResult, second: float, frame: int, **fields: Any) -> FrameResult:
    frame_of = replace(result.frame, utc=1_700_000_000 + second, time=second, index=frame, **fields)
    return replace(result, frame=frame_of)


def test_two_pieces_that_begin_in_one_second_are_two_files(
    tmp_path: Path, make_result: Callable[..., FrameResult]
) -> None:
    result = make_result(0)
    for run in range(2):  # and a process that is started again at once
        with TrackRecorder(tmp_path) as recorder:
            for index, size in enumerate([(640, 480), (320, 240), (640, 480)]):
                recorder(at(result, 0.1 * index, index, size=size))
        assert len(read_clips(tmp_path / "202311")) == 3 * (run + 1)


RECORD = """
import pathlib, sys, time
from dataclasses import replace
import numpy as np
from runtime.outputs.track_recorder import TrackRecorder
from runtime.pipeline.results import FrameResult, Person
from runtime.sources.frames import Frame

folder, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
pose = np.full((18, 3), 100, dtype=np.float32)
with TrackRecorder(folder) as recorder:
    for index in range(int(10 * seconds)):
        frame = Frame(index, index / 10, (640, 480), utc=1_700_000_000 + index / 10)
        recorder(FrameResult(frame, (Person(1, pose), Person(2, pose)), None, False, None))
    print("recorded", flush=True)
    time.sleep(600)
"""


def recorded_seconds(folder: Path) -> float:
    """The length of what is in all files; each of them can be read."""
    clips = read_clips(folder) if list(folder.glob("[!.]*person.json")) else []
    for clip in clips:
        for track in clip.tracks:
            assert track.frames.tolist() == list(range(len(track.frames)))
    return sum(len(clip.tracks[0].frames) / 10 for clip in clips)


@contextlib.contextmanager
def recording(folder: Path, seconds: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that records so many seconds as fast as it can, and waits; it is killed at the end."""
    words = [sys.executable, "-c", RECORD, folder, str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("seconds", [61, 359])
def test_a_killed_process_loses_at_most_a_minute(tmp_path: Path, seconds: int) -> None:
    month = tmp_path / "202311"
    with recording(tmp_path, seconds) as process:
        assert process.stdout
        assert process.stdout.readline() == b"recorded\n"
        while (
            recorded_seconds(month) < seconds - 60
        ):  # the thread that writes may be slower than this fast clock
            assert process.poll() is None
            time.sleep(0.05)
    assert seconds - 60 <= recorded_seconds(month) <= seconds


def test_whenever_it_is_killed_each_file_is_whole(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        with recording(folder, 100_000) as process:
            while not list(folder.glob("*/[!.]*person.json")):
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(0.1 * number)
        assert recorded_seconds(folder / "202311") > 0


def test_without_pyarrow_a_recording_in_parquet_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="pip install pyarrow"):
        TrackRecorder(tmp_path / "tracks", "parquet")
    assert not (tmp_path / "tracks").exists()


def test_two_parquet_files_of_one_second_are_two(
    tmp_path: Path, make_result: Callable[..., FrameResult]
) -> None:
    for _ in range(2):
        with TrackRecorder(tmp_path, "parquet") as recorder:
            result = make_result(0)
            recorder(replace(result, frame=replace(result.frame, utc=1_700_000_000)))
    names = sorted(path.name for path in (tmp_path / "202311").iterdir())
    assert names == ["camera_20231114T221320Z-2.tracks.parquet", "camera_20231114T221320Z.tracks.parquet"]
