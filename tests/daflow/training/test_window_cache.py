"""The cache of training windows: the same windows, keyed by content, read once, and never half written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.core.errors import InputError
from daflow.training import window_cache
from daflow.training.window_cache import default_cache, read_training_set


@pytest.fixture
def tracks(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset / "train", tmp_path / "tracks"))


def test_it_gives_what_cutting_gives(tracks: Path, tmp_path: Path) -> None:
    expected = make_windows(read_clips(tracks), 16, 3)
    for _ in range(2):  # made, then found
        found = read_training_set(tracks, 16, 3, cache=tmp_path / "cache")
        assert isinstance(found.windows.poses, np.memmap)
        assert np.array_equal(found.windows.poses, expected.poses)
        assert found.windows.skipped() == expected.skipped()
        for name in ("clip", "person", "start"):
            assert np.array_equal(getattr(found.windows, name), getattr(expected, name))
        assert found.clips == ("01_0001", "01_0002", "01_0003")


def test_a_second_run_reads_no_track(tracks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_training_set(tracks, 24, 6, cache=tmp_path / "cache")
    monkeypatch.setattr(window_cache, "read_each", lambda *_: pytest.fail("a track was read"))
    read_training_set(tracks, 24, 6, cache=tmp_path / "cache")


def test_another_content_length_stride_or_frame_size_is_another_entry(tracks: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    read_training_set(tracks, 24, 6, cache=cache)
    for number, (length, stride, size) in enumerate(
        ((16, 6, None), (24, 3, None), (24, 6, (640, 480))), start=2
    ):
        read_training_set(tracks, length, stride, size, cache=cache)
        assert len(list(cache.iterdir())) == number
    first = min(tracks.glob("*.json"))
    first.write_text(first.read_text().replace("1", "2", 1))
    read_training_set(tracks, 24, 6, cache=cache)
    assert len(list(cache.iterdir())) == 5


def test_a_broken_file_in_a_large_folder_is_said_each_time(
    tracks: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tracks / "99_0001_alphapose_tracked_person.json").write_text("{")
    for _ in range(2):
        caplog.clear()
        found = read_training_set(tracks, 24, 6, cache=tmp_path / "cache")
        assert len(found.broken_files) == 1
        assert len(found.clips) == 3
        assert "99_0001" in caplog.text


def test_what_fails_leaves_nothing_behind(
    tracks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(window_cache.np, "savez", full)
        with pytest.raises(OSError, match="No space left"):
            read_training_set(tracks, 24, 6, cache=cache)
    assert list(cache.iterdir()) == []
    for file in tracks.glob("*tracked_person.json"):
        file.write_text("{")
    with pytest.raises(InputError, match="can be read"):
        read_training_set(tracks, 24, 6, cache=cache)
    assert list(cache.iterdir()) == []


def test_only_the_entries_used_last_are_kept(tracks: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for stride in range(1, 11):
        read_training_set(tracks, 24, stride, cache=cache)
        for entry in cache.iterdir():
            os.utime(entry, (entry.stat().st_mtime - 10, entry.stat().st_mtime - 10))
        if stride > 1:
            read_training_set(tracks, 24, 1, cache=cache)  # stays, since it is used
    assert len(list(cache.iterdir())) == 8
    before = {entry.name: (entry / "poses.f32").stat().st_mtime_ns for entry in cache.iterdir()}
    read_training_set(tracks, 24, 1, cache=cache)
    assert {entry.name: (entry / "poses.f32").stat().st_mtime_ns for entry in cache.iterdir()} == before


def test_its_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/daflow/windows")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache/daflow/windows"


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(5, "Input/output error"), FileNotFoundError(2, "gone")]
)
def test_a_machine_in_need_is_not_called_a_damaged_entry(
    tracks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    read_training_set(tracks, 24, 6, cache=tmp_path / "cache")

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(window_cache.np, "load", fails)
    with pytest.raises(type(error)) as caught:
        read_training_set(tracks, 24, 6, cache=tmp_path / "cache")
    assert caught.value is error


@pytest.mark.parametrize("name", ["index.npz", "facts.json", "poses.f32"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"[[[", b"{}"])
def test_a_damaged_entry_is_named(tracks: Path, tmp_path: Path, name: str, content: bytes) -> None:
    read_training_set(tracks, 24, 6, cache=tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    (entry / name).write_bytes(content)
    with pytest.raises(InputError, match=r"The cache of windows in .* is damaged\. Delete this folder"):
        read_training_set(tracks, 24, 6, cache=tmp_path / "cache")
