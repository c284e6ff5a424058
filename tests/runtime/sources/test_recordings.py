from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from daflow.core.errors import InputError
from runtime.sources.realtime_playback import RealtimeSource
from runtime.sources.uri import Policy, open_source

av = pytest.importorskip("av")


def write_image(path: Path, value: int, size: tuple[int, int] = (64, 48)) -> None:
    codec = "mjpeg" if path.suffix == ".jpg" else "png"
    format_ = "yuvj420p" if codec == "mjpeg" else "rgb24"
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = *size, format_, 25
    encoder.time_base = Fraction(1, 25)
    picture = av.VideoFrame.from_ndarray(
        np.full((size[1], size[0], 3), value, dtype=np.uint8), format="rgb24"
    )
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode()]))


def test_images_come_in_natural_order_each_with_its_own_size(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write_image(tmp_path / f"frame{number}.png", 20 * number, (64 + 2 * number, 48))
    (tmp_path / "notes.txt").write_text("no picture")
    with open_source(str(tmp_path)) as source:
        assert source.frames == 3
        frames = list(source)
    assert [(frame.index, frame.size) for frame in frames] == [(0, (66, 48)), (1, (68, 48)), (2, (84, 48))]
    assert [int(frame.image[0, 0, 0]) for frame in frames if frame.image is not None] == [20, 40, 200]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08])
    assert source.status.state == "ended"


def test_a_broken_image_is_counted_logged_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "1.jpg", 90)
    (tmp_path / "2.jpg").write_bytes(b"\xff\xd8 no picture")
    (tmp_path / "3.jpg").write_bytes(b"")
    write_image(tmp_path / "4.jpg", 90)
    with caplog.at_level(logging.WARNING), open_source(str(tmp_path), fps=25) as source:
        assert [frame.index for frame in source] == [0, 3]
    assert source.status.dropped == 2
    assert ["2.jpg is skipped" in r.message or "3.jpg is skipped" in r.message for r in caplog.records] == [
        True
    ] * 2


def test_the_rate_that_is_assumed_for_images_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "1.png", 90)
    with open_source(str(tmp_path), fps=10) as source:
        assert source.fps == 10
    assert not caplog.text
    with open_source(str(tmp_path)) as source:
        assert source.fps == 25
    assert (
        ": 25 frames per second are assumed, as images do not say their rate; give it with --fps"
        in caplog.text
    )


def test_a_folder_without_a_usable_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no image"):
        open_source(str(tmp_path))
    (tmp_path / "1.png").write_bytes(b"no picture")
    with open_source(str(tmp_path)) as source, pytest.raises(InputError, match="None of the 1 images"):
        list(source)


class Clock:
    """A clock that goes on only when somebody waits or works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


def test_a_recording_in_real_time_gives_each_frame_at_its_time() -> None:
    clock = Clock()
    with RealtimeSource(open_source("synthetic:frames=11,fps=20"), False, clock, clock.wait) as source:
        arrivals = [clock.now - 100.0 for _ in source]
    assert arrivals == pytest.approx([index / 20 for index in range(11)])


def test_a_recording_in_real_time_waits_by_the_clock_of_the_machine() -> None:
    with open_source("synthetic:frames=3,fps=20", realtime=True) as source:
        frames = list(source)
    assert frames[-1].utc - frames[0].utc >= 0.09


@pytest.mark.parametrize("latest", [True, False])
def test_a_slow_edge_drops_frames_only_with_the_policy_latest(latest: bool) -> None:
    clock = Clock()
    recording = open_source("synthetic:frames=40,fps=100")
    with RealtimeSource(recording, latest, clock, clock.wait) as source:
        frames = []
        for frame in source:
            frames.append(frame.index)
            clock.now += 0.05
            assert not latest or clock.now - 100.0 - frame.time < 0.05 + 0.1 + 1e-9
    assert len(frames) < 15 if latest else frames == list(range(40))
    assert source.status.dropped == 40 - len(frames)
    assert all(one < other for one, other in itertools.pairwise(frames))


@pytest.mark.parametrize(("policy", "latest"), [("latest", True), ("all", False), ("auto", False)])
def test_a_recording_drops_frames_only_if_the_policy_says_so(policy: Policy, latest: bool) -> None:
    source = open_source("synthetic:frames=4,fps=1000", policy, realtime=True)
    with source:
        stream = iter(source)
        next(stream)
        time.sleep(0.2)  # longer than a frame may be late
        rest = [frame.index for frame in stream]
    assert rest == ([] if latest else [1, 2, 3])


def test_closing_ends_a_recording_that_waits() -> None:
    source = open_source("synthetic:frames=0,fps=0.01", realtime=True)
    assert isinstance(source, RealtimeSource)
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(frame.index for frame in source))
    with source:
        reader.start()
    reader.join(5)
    assert not reader.is_alive()
    assert seen in ([], [0])


def test_a_long_synthetic_stream_has_new_people_in_each_piece_and_no_end() -> None:
    people: dict[int, set[int]] = {}
    with open_source("synthetic:seed=2,people=3,frames=0,event=none") as source:
        assert source.frames is None
        for frame in itertools.islice(source, 6500):
            people.setdefault(frame.index // 500, set()).update(frame.people or {})
    assert frame.index == 6499
    assert all(people.values())
    assert all(not one & other for one, other in itertools.combinations(people.values(), 2))


def test_a_long_synthetic_stream_has_the_length_that_was_asked_for() -> None:
    with open_source("synthetic:frames=2600,people=1") as source:
        assert source.frames == 2600
        assert sum(1 for _ in source) == 2600
    assert source.status.state == "ended"


def test_times_grow_in_a_video_whose_stamps_begin_anew(tmp_path: Path) -> None:
    parts = []
    for part in range(2):
        path = tmp_path / f"{part}.ts"
        with av.open(str(path), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            pictures = np.random.default_rng(part).integers(0, 255, (30, 48, 64, 3), dtype=np.uint8)
            packets = [
                p for i in pictures for p in stream.encode(av.VideoFrame.from_ndarray(i, format="rgb24"))
            ]
            for packet in [*packets, *stream.encode()]:
                container.mux(packet)
        parts.append(path.read_bytes())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    with open_source(str(joined)) as source:
        times = [frame.time for frame in source]
    assert len(times) > 40
    assert all(one < other for one, other in itertools.pairwise(times))


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_video_gives_frames_or_one_sentence(
    tmp_path: Path, record_video: Callable[..., Path], seed: int
) -> None:
    video = record_video(tmp_path / "video.mp4", frames=12, options={"movflags": "frag_keyframe+empty_moov"})
    content = np.frombuffer(video.read_bytes(), dtype=np.uint8).copy()
    rng = np.random.default_rng(seed)
    content[rng.integers(0, len(content), 2**seed)] = rng.integers(0, 255)
    video.write_bytes(content.tobytes())
    with contextlib.suppress(InputError), open_source(str(video)) as source:
        times = [frame.time for frame in source]
        assert all(one < other for one, other in itertools.pairwise(times))


@pytest.mark.parametrize(
    "options", ["frames=1", "frames=3,fps=0.001", "frames=3,fps=10000,people=1", "frames=0,jitter=9"]
)
def test_odd_synthetic_options_work(options: str) -> None:
    with open_source(f"synthetic:{options}") as source:
        assert list(itertools.islice(source, 3))
