"""A track file is kept only if it was made from the same video in the same way, and never overwritten otherwise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.commands.poses import poses
from daflow.core.data.clip_tables import read_frame_rates, read_frame_sizes
from daflow.core.data.track_names import TrackFormat, track_path
from daflow.core.data.tracks import SUFFIX, find_tracks, read_clips
from daflow.core.errors import InputError
from runtime.batch.find_poses import find_poses, record_outcome
from runtime.batch.made_by import MADE_BY, claim, read_made_by, record, release
from runtime.batch.pose_task import PoseTask
from runtime.config.schema import CameraOptions
from runtime.sources.frames import Frame

PLAIN = CameraOptions.model_validate({})


def task(video: Path, output: Path, clip: str = "cam", **fields: Any) -> PoseTask:
    facts = {"begin": 0.0, "end": None, "max_frames": None, "options": PLAIN, **fields}
    return PoseTask(str(video), clip, output, **facts)


def make(one: PoseTask, **options: Any) -> bool:
    """Claim a clip and write its track file; return whether there was anything to do."""
    remaining = claim(one.output, [one], "do something else", **options)
    for each in remaining:
        (each.output / f"{each.clip}{SUFFIX}").write_text("{}")
        record(each, 5)
    return bool(remaining)


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of one name, size and time."""
    both = tmp_path / "monday" / "cam.mp4", tmp_path / "tuesday" / "cam.mp4"
    for content, video in zip((b"one", b"two"), both, strict=True):
        video.parent.mkdir()
        video.write_bytes(content)
        os.utime(video, ns=(10**18, 10**18))
    return both


def test_a_track_file_is_kept_only_for_the_same_origin(videos: tuple[Path, Path], tmp_path: Path) -> None:
    video, folder = videos[0], tmp_path / "out"
    assert make(task(video, folder))
    assert not make(task(video, folder))
    assert read_made_by(folder)["cam"].frames == 5
    changes: list[dict[str, Any]] = [
        {"options": CameraOptions.model_validate({"people": "few"})},
        {"options": CameraOptions.model_validate({"fps": 10})},
        {"max_frames": 7},
        {"end": 3.0},
    ]
    for fields in changes:
        assert make(task(video, folder, **fields)), fields
        assert not make(task(video, folder, **fields)), fields
    assert make(task(video, folder))
    os.utime(video)
    assert make(task(video, folder))
    video.write_bytes(b"longer")
    os.utime(video, ns=(10**18, 10**18))
    assert make(task(video, folder))
    (folder / f"cam{SUFFIX}").unlink()
    assert make(task(video, folder))


def test_another_video_of_the_name_is_refused(videos: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    make(task(videos[0], folder))
    for newer in (False, True):
        if newer:
            os.utime(videos[1])
        with pytest.raises(InputError) as error:
            make(task(videos[1], folder))
        assert all(str(video) in error.value.message for video in videos)
        assert "do something else" in error.value.message
    assert make(task(videos[1], folder), overwrite=True)
    assert read_made_by(folder)["cam"].source == str(videos[1])


def test_a_file_that_somebody_else_wrote_is_not_overwritten(
    videos: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / f"cam{SUFFIX}"
    file.write_text('{"1": {}}')
    with pytest.raises(InputError, match="nothing says what it was made from"):
        make(task(videos[0], folder))
    make(task(videos[0], folder), overwrite=True)
    file.write_text('{"corrected": "by hand"}')
    with pytest.raises(InputError, match="was changed after it was made"):
        make(task(videos[0], folder))
    assert "by hand" in file.read_text()


def test_an_entry_of_an_earlier_version_says_nothing(videos: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MADE_BY).write_text(json.dumps({"cam": ["hash", "other"]}))
    assert read_made_by(folder) == {}
    assert make(task(videos[0], folder))
    (folder / MADE_BY).write_text('{"cam": {}}')
    with pytest.raises(InputError, match=r"made_by\.json is invalid"):
        make(task(videos[0], folder))


def test_an_interrupted_run_continues_and_a_failed_one_gives_up_its_claim(
    videos: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    one = task(videos[0], folder)
    assert claim(folder, [one], "") == [one]
    (folder / f"cam{SUFFIX}").write_text("{")  # killed here
    with pytest.raises(InputError, match="would be the same clip"):
        claim(folder, [task(videos[1], folder)], "")
    assert claim(folder, [one], "") == [one]
    (folder / f"cam{SUFFIX}").unlink()
    release(one)
    assert claim(folder, [task(videos[1], folder)], "")


def test_a_source_that_was_cut_otherwise_is_told(videos: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    parts = [task(videos[0], folder, f"cam_{n:04d}", begin=10.0 * n, end=10.0 * n + 10) for n in range(3)]
    for part in parts:
        make(part, all_parts=False)
    whole = task(videos[0], folder)
    with pytest.raises(InputError, match=r"has 3 clips of .* cut or named otherwise, such as cam_0000"):
        claim(folder, [whole], "")
    assert claim(folder, parts, "") == []
    assert claim(folder, [whole], "", overwrite=True) == [whole]
    assert not list(folder.glob(f"cam_*{SUFFIX}"))


class Walker:
    """A source of a person who stands at the same share of pictures whose size changes."""

    fps, frames = 10.0, None

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        self._sizes = sizes

    def __iter__(self) -> Any:
        for index, size in enumerate(self._sizes):
            pose = np.full((17, 3), 0.5, dtype=np.float32)
            pose[:, 0] *= size[0]
            pose[:, 1] *= size[1]
            yield Frame(index, index / 10, size, people={3: pose})

    def __enter__(self) -> Walker:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_another_frame_size_is_brought_to_the_first_and_people_get_new_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Walker([(320, 240)] * 30 + [(640, 320)] * 30 + [(320, 240)] * 30)
    monkeypatch.setattr("runtime.batch.find_poses.open_source", lambda *_, **__: source)
    one = task(Path("synthetic:"), tmp_path, "clip")
    found = find_poses(one)
    record_outcome(one, found)
    assert found.frame_size == (320, 240)
    (clip,) = read_clips(tmp_path)
    assert clip.frame_size == (320, 240)
    assert len({track.person for track in clip.tracks}) == 3
    assert [track.frames.tolist() for track in clip.tracks] == [
        list(range(30 * n, 30 * n + 30)) for n in range(3)
    ]
    for track in clip.tracks:
        assert np.allclose(track.keypoints[..., :2], (160, 120))
    assert read_frame_sizes(tmp_path) == {"clip": (320, 240)}
    assert read_frame_rates(tmp_path)["clip"].fps == pytest.approx(10)


@pytest.mark.parametrize(("first", "second"), [("json", "parquet"), ("parquet", "json")])
def test_a_clip_is_kept_in_whichever_form_it_is(
    tmp_path: Path, first: TrackFormat, second: TrackFormat
) -> None:
    one = task(Path("synthetic:frames=40,people=1,event=none,seed=1"), tmp_path, "clip", form=first)
    other = replace(one, form=second)
    for step, work in enumerate((one, other)):
        for each in claim(tmp_path, [work], "", overwrite=step == 1):
            record_outcome(each, find_poses(each))
        assert claim(tmp_path, [one], "") == claim(tmp_path, [other], "") == []
        (file,) = find_tracks(tmp_path)
        assert file.path == track_path(tmp_path, "clip", work.form)
        assert file.rate is not None
        assert (file.frame_size, file.rate.fps) == ((1280, 720), pytest.approx(25))
    with file.path.open("ab") as changed:
        changed.write(b" ")
    with pytest.raises(InputError, match=f"{file.path.name} was changed after it was made"):
        claim(tmp_path, [one], "")


def test_parts_in_parquet_are_recognised_when_a_source_is_cut_otherwise(tmp_path: Path) -> None:
    uri = Path("synthetic:frames=40,people=1,event=none,seed=1")
    for part in range(2):
        each = task(uri, tmp_path, f"cam_{part:04d}", begin=10.0 * part, end=10.0 * part + 10, form="parquet")
        claim(tmp_path, [each], "", all_parts=False)
        record_outcome(each, find_poses(each))
    whole = task(uri, tmp_path, "cam", form="parquet")
    with pytest.raises(InputError, match="has 2 clips of"):
        claim(tmp_path, [whole], "")
    assert claim(tmp_path, [whole], "", overwrite=True) == [whole]
    assert not list(tmp_path.glob("*.parquet"))


def run(*words: object) -> Result:
    return CliRunner().invoke(poses, [str(word) for word in words])


def test_the_command_tells_two_videos_of_one_name_apart(
    record_video: Callable[..., Path], pose_model: Path, tmp_path: Path
) -> None:
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        record_video(tmp_path / folder / "cam.mp4", frames=6, fps=10)
    shutil.copy(tmp_path / "monday/cam.mp4", tmp_path / "16:38:41.mp4")
    words = ["-o", tmp_path / "out", "--pose-model", pose_model, "--workers", 1]
    assert "Nobody was found" in run("--source", tmp_path / "monday", *words).output
    second = run("--source", tmp_path / "tuesday", *words)
    assert second.exit_code == 2
    assert str(tmp_path / "monday/cam.mp4") in second.output
    assert str(tmp_path / "tuesday/cam.mp4") in second.output
    assert "--clip" in second.output
    named = run("--source", tmp_path / "tuesday/cam.mp4", "--clip", "tuesday", *words)
    assert "Nobody was found" in named.output
    assert "Nobody was found" in run("--source", tmp_path / "16:38:41.mp4", *words).output
    assert sorted(read_made_by(tmp_path / "out")) == ["16-38-41", "cam", "tuesday"]
    rates = read_frame_rates(tmp_path / "out")
    assert {clip: rate.fps for clip, rate in rates.items()} == pytest.approx(dict.fromkeys(rates, 10.0))
    assert len(rates) == 3
    again = run("--source", tmp_path / "monday", *words)
    assert again.exit_code == 0
    assert "1 of 1 clips are there already" in again.output
    faster = run("--source", tmp_path / "monday", "--fps", 20, *words)
    assert "are there already" not in faster.output
    assert read_frame_rates(tmp_path / "out")["cam"].fps == pytest.approx(20)
    assert run("--source", tmp_path, "--clip", "x", *words).exit_code == 2
