"""The rate and the length of videos, whatever their containers say or do not say."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.errors import InputError
from runtime.sources.uri import open_source
from runtime.sources.video import VideoSource
from runtime.sources.video_timing import ContinuousStamps, VideoRate, extent, video_rate

av = pytest.importorskip("av")

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
FIRST = {"movflags": "faststart"}


def frames_in_parts(path: Path, seconds: float) -> list[list[float]]:
    """Return the times of the frames of each part of a video."""
    rate = video_rate(path)
    found = extent(path, rate)
    begins = np.arange(0, found.seconds, seconds).tolist()
    parts = []
    for begin in begins:
        end = None if begin == begins[-1] else begin + seconds
        with VideoSource(path, begin, end, rate, found.seekable) as part:
            parts.append([frame.time for frame in part])
    return parts


CONTAINERS = {
    "video.mp4": ("libx264", None, {}), "fragments.mp4": ("libx264", None, FRAGMENTED),
    "video.mkv": ("libx264", None, {}), "video.webm": ("libvpx-vp9", None, {}), "video.ts": ("libx264", "mpegts", {}),
    "video.m2ts": ("mpeg2video", "mpegts", {}), "video.vob": ("mpeg2video", "vob", {}),
    "video.avi": ("mpeg4", None, {}), "video.flv": ("flv1", None, {}), "video.asf": ("mpeg4", None, {}),
    "video.3gp": ("libx264", None, {}), "video.h264": ("libx264", "h264", {}), "video.hevc": ("libx265", "hevc", {}),
    "video.mjpeg": ("mjpeg", "mjpeg", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_split_into_parts_that_hold_each_frame_once(
    tmp_path: Path, make_video: Callable[..., Path], name: str
) -> None:
    codec, form, options = CONTAINERS[name]
    path = make_video(tmp_path / name, 75, codec=codec, form=form, options=options)
    assert extent(path, video_rate(path)).seconds == pytest.approx(3, abs=0.09)
    parts = frames_in_parts(path, 1.0)
    assert [len(part) for part in parts] == pytest.approx([25, 25, 25], abs=2)
    assert sum(map(len, parts)) == 75
    assert all(part[0] == pytest.approx(0, abs=0.05) for part in parts)


@pytest.mark.parametrize("name", ["video.mkv", "video.ts", "fragments.mp4"])
def test_a_joined_recording_is_as_long_as_its_pieces(
    tmp_path: Path, make_video: Callable[..., Path], name: str
) -> None:
    codec, form, options = CONTAINERS[name]
    piece = make_video(tmp_path / name, 75, codec=codec, form=form, options=options).read_bytes()
    joined = tmp_path / f"joined-{name}"
    joined.write_bytes(piece + piece)
    with open_source(str(joined)) as source:
        times = [frame.time for frame in source]
    assert len(times) == pytest.approx(150, abs=10)
    assert all(one < other for one, other in itertools.pairwise(times))
    assert times[-1] == pytest.approx(6, abs=0.2)
    parts = frames_in_parts(joined, 1.0)
    assert sum(map(len, parts)) == len(times)
    assert max(map(len, parts)) <= 27


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("video.mp4", FIRST, r"breaks off: \d+ of its 250 frames are there"),
        ("video.mkv", {}, r"breaks off: \d\.\d s of its 10\.0 s are there"),
    ],
)
def test_a_recording_that_was_cut_off_is_told_with_both_lengths(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture, name: str,
    options: dict[str, str], told: str,
) -> None:  # fmt: skip
    path = make_video(tmp_path / name, 250, options=options)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with caplog.at_level(logging.WARNING), open_source(str(path)) as source:
        frames = list(source)
    assert 50 < len(frames) < 230
    assert re.search(told, caplog.text)
    caplog.clear()
    parts = frames_in_parts(path, 2.0)
    assert sum(map(len, parts)) == len(frames)
    assert re.search(r"breaks off: \d\.\d s of its 10\.0 s are there", caplog.text)


@pytest.mark.parametrize("name", ["tick.avi", "tick.mp4"])
@pytest.mark.parametrize("said", [1000, 480])
def test_an_impossible_rate_is_25_with_a_warning_unless_another_is_given(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture, name: str, said: int
) -> None:
    path = make_video(tmp_path / name, 50, codec="mjpeg" if name.endswith("avi") else "libx264", rate=said)
    with caplog.at_level(logging.WARNING), open_source(str(path)) as source:
        times = [frame.time for frame in source]
        assert source.fps == 25
        assert source.frames == 50
    assert f"{path} says {said} frames per second, which cannot be" in caplog.text
    assert "--fps" in caplog.text
    assert times == pytest.approx([number / 25 for number in range(50)], abs=1e-3)
    caplog.clear()
    with caplog.at_level(logging.WARNING), open_source(str(path), fps=10) as source:
        times = [frame.time for frame in source]
        assert source.fps == 10
    assert times == pytest.approx([number / 10 for number in range(50)], abs=1e-3)
    assert not caplog.text
    rate = video_rate(path, 10)
    assert extent(path, rate).seconds == pytest.approx(5, abs=0.01)
    with VideoSource(path, 2.0, 3.0, rate) as part:
        assert len(list(part)) == 10


def test_an_avi_of_too_few_frames_per_second_is_told(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = make_video(tmp_path / "slow.avi", 20, codec="mjpeg", rate=Fraction(1, 10))
    with caplog.at_level(logging.WARNING):
        assert video_rate(path).fps == 25
    assert "says 0.1 frames per second, which cannot be" in caplog.text


@pytest.mark.parametrize(("step", "said"), [(33, 1000), (100, 100), (50, 25)])
def test_time_stamps_decide_when_the_header_contradicts_them(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture, step: int, said: int
) -> None:
    path = make_video(tmp_path / "video.mkv", rate=said, stamps=[step * number for number in range(60)])
    with caplog.at_level(logging.WARNING):
        rate = video_rate(path)
    assert rate.fps == pytest.approx(1000 / step)
    assert rate.stretch == 1
    assert f"says {said} frames per second, its time stamps say" in caplog.text
    with open_source(str(path)) as source:
        assert [frame.time for frame in source] == pytest.approx([step / 1000 * n for n in range(60)])


def test_a_variable_rate_is_told_and_its_time_stamps_are_kept(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    steps = np.random.default_rng(0).choice([33, 66, 200], 59)
    stamps = [0, *np.cumsum(steps).tolist()]
    path = make_video(tmp_path / "video.mp4", stamps=stamps)
    with caplog.at_level(logging.WARNING), open_source(str(path)) as source:
        times = [frame.time for frame in source]
    assert times == pytest.approx([stamp / 1000 for stamp in stamps], abs=1e-3)
    assert "variable frame rate, from 5 to 30.3 frames per second" in caplog.text


def test_an_ordinary_video_is_not_talked_about(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    for name, rate in (
        ("a.mp4", 30),
        ("b.mkv", 30),
        ("c.mkv", 60),
        ("d.ts", 15),
        ("e.avi", 12),
        ("f.mkv", 5),
    ):
        codec = "mpeg4" if name.endswith("avi") else "libx264"
        form = "mpegts" if name.endswith("ts") else None
        path = make_video(tmp_path / name, 60, codec=codec, rate=rate, form=form)
        with caplog.at_level(logging.INFO), open_source(str(path)) as source:
            assert source.fps == pytest.approx(rate)
            assert len(list(source)) == 60
        assert extent(path, video_rate(path)).seekable
    assert not caplog.records


def test_a_part_without_a_frame_is_empty(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    stamps = [40 * number + (300_000 if number > 40 else 0) for number in range(90)]
    path = make_video(tmp_path / "on motion.mkv", stamps=stamps)
    parts = frames_in_parts(path, 60.0)
    assert [len(part) for part in parts] == [41, 0, 0, 0, 0, 49]


def test_the_rate_is_only_for_recordings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a camera, which has its own rate"):
        open_source("rtsp://127.0.0.1/live", fps=10)
    with pytest.raises(InputError, match=r"synthetic:fps=15"):
        open_source("synthetic:frames=3", fps=10)
    with pytest.raises(InputError, match="There is no video"):
        open_source(str(tmp_path / "nothing.mp4"), fps=10)


class Stamped:
    """A packet that has only time stamps."""

    def __init__(self, stamp: int | None) -> None:
        self.dts = self.pts = stamp


pieces = st.lists(
    st.tuples(st.integers(-(2**40), 2**40), st.integers(1, 30)), min_size=1, max_size=6
)  # where a piece begins, and how many frames it has


@given(pieces, st.booleans())
def test_joined_stamps_never_go_back_by_much(joined: list[tuple[int, int]], jumping: bool) -> None:
    stamps = ContinuousStamps(0.001, 0.04, jumping)
    packets = [Stamped(begin + 40 * number) for begin, count in joined for number in range(count)]
    seen = [packet.dts for packet in stamps(packets)]
    assert all(other - one >= -500 for one, other in itertools.pairwise(seen))
    assert len(seen) == len(packets)
    if jumping:
        assert all(other - one <= 10_000 for one, other in itertools.pairwise(seen))


def test_what_has_no_stamps_is_counted() -> None:
    stamps = ContinuousStamps(0.001, 0.04)
    assert len(list(stamps([Stamped(None)] * 3))) == 3
    assert not stamps.stamped


def test_a_rate_that_is_given_is_taken_as_it_is(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "video.mp4", 30, rate=30)
    assert video_rate(path, 15) == VideoRate(15, pytest.approx(2))
