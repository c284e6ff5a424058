"""Folders of images are recordings for `daflow poses` and `daflow evaluate --videos`, as videos are."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.clip_tables import read_frame_rates, read_frame_sizes
from daflow.core.data.tracks import SUFFIX, Clip, read_clips
from daflow.core.errors import InputError
from runtime.batch.made_by import read_made_by
from runtime.batch.video_tracks import track_videos
from runtime.poses import people
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.images import ImagesSource

NEW = 2  # frames in which the tracker has not yet confirmed a person


class Walker:
    """Finds one person, who is where the picture is bright: x is its brightness."""

    def estimate(self, frame: Frame) -> Keypoints:
        assert frame.image is not None
        height, width = frame.image.shape[:2]
        joints = np.linspace(0.2, 0.8, 17)
        x = width * (0.3 + 0.2 * joints) + float(frame.image[0, 0, 0]) / 20
        return np.stack([x, height * joints, np.ones(17)], axis=1)[None].astype(np.float32)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def walker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "open_estimator", lambda *_: Walker())


def write_images(folder: Path, count: int, size: tuple[int, int] = (96, 64), first: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        picture = np.full((size[1], size[0], 3), 2 * number, dtype=np.uint8)
        encoder = av.CodecContext.create("bmp", "w")
        encoder.width, encoder.height, encoder.pix_fmt = *size, "bgr24"
        encoder.time_base = Fraction(1, 25)
        packets = encoder.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr24"))
        (folder / f"{number:03d}.bmp").write_bytes(b"".join(map(bytes, packets)))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def poses(source: Path, output: Path, *options: object) -> Result:
    return run("poses", "--source", source, "-o", output, "--workers", 1, *options)


def by_name(folder: Path) -> dict[str, Clip]:
    return {clip.name: clip for clip in read_clips(folder)}


def test_a_data_set_of_images_and_videos_becomes_tracks(
    tmp_path: Path, record_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_images(data / "01", 30)
    write_images(data / "02", 12, (64, 96))
    record_video(data / "cam.mp4", frames=8, fps=5)
    ran = poses(data, out, "--fps", 10)
    assert ran.exit_code == 0, ran.output
    assert "assumed" not in caplog.text
    clips = by_name(out)
    assert sorted(clips) == ["01", "02", "cam"]
    assert read_frame_sizes(out) == {"01": (96, 64), "02": (64, 96), "cam": (64, 48)}
    assert {name: rate.fps for name, rate in read_frame_rates(out).items()} == {"01": 10, "02": 10, "cam": 10}
    (track,) = clips["01"].tracks
    assert track.frames.tolist() == list(range(NEW, 30))
    made = read_made_by(out)["01"]
    assert (made.source, made.frames) == (str(data / "01"), 30)
    assert made.size == sum(file.stat().st_size for file in (data / "01").iterdir())


def test_without_a_rate_one_line_says_which_is_assumed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("01", "02"):
        write_images(tmp_path / "data" / name, 5)
    assert poses(tmp_path / "data", tmp_path / "out", "--max-frames", 4).exit_code == 0
    (line,) = [record.getMessage() for record in caplog.records if "assumed" in record.getMessage()]
    assert line.startswith("2 folders of images: 25 frames per second are assumed")
    assert read_frame_rates(tmp_path / "out")["01"].fps == 25
    assert read_made_by(tmp_path / "out")["01"].frames == 4


def test_parts_of_a_folder_hold_each_image_once_and_are_resumed(tmp_path: Path) -> None:
    data, out = write_images(tmp_path / "data" / "hall", 26), tmp_path / "out"
    options = ("--fps", 3, "--part-minutes", 0.055)  # 3.3 s, 9.9 frames
    first = poses(data, out, *options)
    assert first.exit_code == 0, first.output
    counts = {name: made.frames for name, made in read_made_by(out).items()}
    assert counts == {"hall_0000": 10, "hall_0001": 10, "hall_0002": 6}
    assert by_name(out)["hall_0001"].tracks[0].frames.tolist() == list(range(NEW, 10))
    (out / f"hall_0001{SUFFIX}").unlink()
    assert "2 of 3 clips are there already" in poses(data, out, *options).output
    os.utime(data / "005.bmp", ns=(1, 1))
    (data / "notes.txt").write_text("no image")
    assert "3 of 3 clips are there already" in poses(data, out, *options).output
    os.utime(data / "005.bmp")
    assert "already" not in poses(data, out, *options).output
    assert "cut or named otherwise" in poses(data, out, "--fps", 3).output


def test_images_of_two_sizes_are_brought_to_the_first(tmp_path: Path) -> None:
    data = write_images(tmp_path / "data" / "hall", 6, (96, 64))
    write_images(data, 6, (192, 128), first=7)
    assert poses(data, tmp_path / "out", "--fps", 10).exit_code == 0
    (clip,) = read_clips(tmp_path / "out")
    assert clip.frame_size == (96, 64)
    assert [track.frames.tolist() for track in clip.tracks] == [
        list(range(NEW, 6)),
        list(range(6 + NEW, 12)),
    ]
    assert max(track.keypoints[..., 1].max() for track in clip.tracks) == pytest.approx(0.8 * 64, abs=0.5)


def test_a_folder_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    write_images(tmp_path / "data" / "01", 4)
    (tmp_path / "data" / "02").mkdir()
    (tmp_path / "data" / "02" / "1.jpg").write_bytes(b"no image")
    ran = poses(tmp_path / "data", tmp_path / "out", "--fps", 10)
    assert ran.exit_code == 0, ran.output
    assert "1 clips, 1 sources failed" in ran.output
    assert sorted(read_made_by(tmp_path / "out")) == ["01"]


@pytest.mark.parametrize(("fps", "seconds"), [(25.0, 0.28), (10.0, 0.1), (29.97, 1 / 29.97), (3.0, 0.5)])
def test_parts_of_images_join_without_a_gap(tmp_path: Path, fps: float, seconds: float) -> None:
    folder = write_images(tmp_path / "hall", 11)
    seen = []
    part = 0
    while seconds * part < 11 / fps:
        with ImagesSource(folder, fps, seconds * part, seconds * (part + 1)) as source:
            frames = list(source)
        assert [frame.index for frame in frames] == list(range(len(frames)))
        seen += [int(frame.image[0, 0, 0]) for frame in frames if frame.image is not None]
        part += 1
    assert seen == [2 * number for number in range(1, 12)]


def test_labelled_folders_of_images_are_evaluated_from_the_picture_to_the_alarm(
    tmp_path: Path, checkpoint_file: Path
) -> None:
    write_images(tmp_path / "data" / "01", 40)
    write_images(tmp_path / "data" / "other", 3)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = [("01", frame, int(frame >= 20)) for frame in range(40)]
        csv.writer(file).writerows([("clip", "frame", "abnormal"), *rows])
    ran = run(
        "evaluate", "--videos", tmp_path / "data", "--labels", tmp_path / "labels.csv", "--fps", 10,
        "--tracks", tmp_path / "tracks", "--workers", 1, "--model", checkpoint_file, "--threshold", -1000,
        "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["frames"], figures["abnormal"]) == (40, 20)
    assert list(figures["causal"]["alarms"]["clips"]) == ["01"]
    assert read_frame_rates(tmp_path / "tracks")["01"].fps == 10


def test_a_single_folder_of_images_can_be_evaluated_too(tmp_path: Path) -> None:
    data = write_images(tmp_path / "hall", 7)
    found = track_videos(data, tmp_path / "tracks", {"hall"}.__contains__, {"fps": 10}, workers=1)
    assert (found.fps, found.frames, found.kept) == ({"hall": 10}, {"hall": 7}, 0)
    assert track_videos(data, tmp_path / "tracks", {"hall"}.__contains__, {"fps": 10}, workers=1).kept == 1
    with pytest.raises(InputError, match="has no video"):
        track_videos(tmp_path / "tracks", tmp_path / "more", lambda _: True, {})


def test_ped2_as_it_is_published_goes_from_frames_to_its_auc(tmp_path: Path, checkpoint_file: Path) -> None:
    root = tmp_path / "UCSDped2"
    write_images(root / "Test" / "Test001", 40)
    masks = write_images(root / "Test" / "Test001_gt", 40)
    black = (write_images(tmp_path / "black", 1, first=0) / "000.bmp").read_bytes()
    for number in range(1, 36):
        (masks / f"{number:03d}.bmp").write_bytes(black)
    (root / "Test" / "Test001" / "._001.tif").write_bytes(b"of macOS")
    ran = poses(root / "Test", root / "pose" / "test", "--fps", 10)
    assert ran.exit_code == 0, ran.output
    target = tmp_path / "figures.json"
    words = ("--benchmark", "ped2", "--root", root, "--model", checkpoint_file, "--json", target)
    evaluated = run("evaluate", *words)
    assert evaluated.exit_code == 0, evaluated.output
    figures = json.loads(target.read_text())
    assert (list(figures["clips"]), figures["frames"], figures["abnormal"]) == (["Test001"], 40, 5)
