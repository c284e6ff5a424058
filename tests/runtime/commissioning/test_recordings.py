"""What is recorded of a camera that is commissioned, and that an interrupted run of a recording is not there twice."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import TrackFile, write_clips
from runtime.commissioning import recordings as recordings_module
from runtime.commissioning.needs import Recorded
from runtime.commissioning.recordings import Recordings


def record(run: Path, name: str, frames: int = 100) -> None:
    clip = generate_clip(name, 1, Scene(frames=frames))[0]
    clip = type(clip)(name, clip.tracks, clip.frame_size, FrameRate.constant(25.0))
    write_clips(run / "202611", [clip])


def test_everything_of_all_runs_counts_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    assert recordings.total() == Recorded()
    first, second = recordings.new_run(), recordings.new_run()
    assert (first.name, second.name) == ("0001", "0002")
    record(first, "camera_20261127T080500Z")
    once = recordings.total()
    record(second, "camera_20261127T100500Z", frames=50)
    both = recordings.total()
    assert both.people > once.people
    assert once.seconds < both.seconds <= once.seconds + 2
    assert len(both.hours_of_day) == 2
    record(second, "camera_20261127T100500Z", frames=100)
    assert np.isclose(recordings.total().seconds, 2 * once.seconds)


def test_a_run_that_was_killed_is_removed_unless_it_watched_a_camera(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    for live in (True, False):
        record(recordings.new_run([] if live else ["camera"]), f"camera_2026112{int(live)}T080500Z")
    assert len(recordings.files()) == 2
    third = recordings.new_run(["camera"])
    assert [file.clip for file in recordings.files()] == ["camera_20261121T080500Z"]
    record(third, "camera_20261129T080500Z")
    recordings.complete(third, ["camera"])
    recordings.new_run()
    assert len(recordings.files()) == 2


def test_a_restart_reads_only_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Recordings(tmp_path).new_run()
    record(run, "camera_20261127T080500Z")
    record(run, "camera_20261127T100500Z")
    first = Recordings(tmp_path).total()
    read: list[str] = []
    measure = recordings_module._measure

    def counted(file: TrackFile) -> Recorded:
        read.append(file.clip)
        return measure(file)

    monkeypatch.setattr(recordings_module, "_measure", counted)
    assert Recordings(tmp_path).total() == first
    assert read == []
    record(run, "camera_20261127T100500Z", frames=50)
    assert Recordings(tmp_path).total("camera").seconds < first.seconds
    assert read == ["camera_20261127T100500Z"]
    (tmp_path / "recordings" / "measured.json").write_text('{"0001/a": {"size": -1}}')
    assert Recordings(tmp_path).total("gate") == Recorded()
    assert Recordings(tmp_path).total().people == first.people


def test_runs_that_begin_in_one_second_have_recordings_of_different_names(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    for _ in range(3):
        record(recordings.new_run(), f"door_{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
    assert len({file.clip for file in recordings.files()}) == 3


def test_a_run_of_two_recordings_that_was_killed_before_anything_was_written_is_removed(
    tmp_path: Path,
) -> None:
    recordings = Recordings(tmp_path)
    first = recordings.new_run(["door", "hall"])
    assert not recordings.files()
    second = recordings.new_run()
    assert not list(first.glob("INCOMPLETE*"))
    assert second.is_dir()
