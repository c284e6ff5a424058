"""The main stream of a container is watched, and damaged packets are passed over and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.core.errors import InputError
from runtime.sources.packets import Damage, NoVideoError, decode_packets, read_packets, video_stream
from runtime.sources.uri import open_source

av = pytest.importorskip("av")


def join_streams(path: Path, videos: list[Path], covers: tuple[int, ...] = (), sound: bool = False) -> Path:
    """Write a container with the video streams of several files; `covers` are marked as attached pictures."""
    with av.open(str(path), "w") as output:
        opened = [av.open(str(video)) for video in videos]
        pairs = [(one, output.add_stream_from_template(one.streams.video[0])) for one in opened]
        for number in covers:
            pairs[number][1].disposition = av.stream.Disposition.attached_pic
        voice = output.add_stream("aac", rate=44100) if sound else None
        for container, stream in pairs:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
            container.close()
        if voice is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 44100
            for packet in [*voice.encode(silence), *voice.encode()]:
                output.mux(packet)
    return path


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_largest_stream_is_watched(
    tmp_path: Path, make_video: Callable[..., Path], suffix: str, first: bool
) -> None:
    main = make_video(tmp_path / "main.mp4", 30, size=(160, 120))
    preview = make_video(tmp_path / "preview.mp4", 4, size=(80, 60), codec="mjpeg", rate=2)
    both = join_streams(
        tmp_path / f"both.{suffix}", [main, preview] if first else [preview, main], sound=True
    )
    with open_source(str(both)) as source:
        frames = list(source)
    assert [frame.size for frame in frames] == [(160, 120)] * 30
    assert source.fps == pytest.approx(25)


def test_a_cover_picture_is_not_watched_though_it_is_larger(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    main = make_video(tmp_path / "main.mp4", 30, size=(64, 48))
    cover = make_video(tmp_path / "cover.mp4", 1, size=(320, 240), codec="mjpeg")
    both = join_streams(tmp_path / "both.mp4", [cover, main], covers=(0,))
    with open_source(str(both)) as source:
        assert [frame.size for frame in source] == [(64, 48)] * 30
    alone = join_streams(tmp_path / "alone.mp4", [cover], covers=(0,), sound=True)
    with pytest.raises(
        InputError, match=r"alone\.mp4 cannot be watched: it has sound, but no video \(only a co"
    ):
        open_source(str(alone))


def test_a_single_large_picture_is_no_video(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    main = make_video(tmp_path / "main.mp4", 30, size=(64, 48))
    still = make_video(tmp_path / "still.mp4", 1, size=(320, 240), codec="mjpeg")
    with av.open(str(join_streams(tmp_path / "both.mp4", [still, main]))) as container:
        assert video_stream(container).width == 64


def packets_of(path: Path) -> tuple[Any, list[Any]]:
    container = av.open(str(path))
    stream = video_stream(container)
    stream.thread_type = "SLICE"
    return stream.codec_context, list(read_packets(container, stream, Damage()))


CODECS = {
    "h264.mp4": "libx264", "hevc.mp4": "libx265", "vp9.webm": "libvpx-vp9", "mpeg4.avi": "mpeg4",
    "mjpeg.avi": "mjpeg", "h264.mkv": "libx264",
}  # fmt: skip


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("place", [0.5, 0.98])
def test_a_damaged_packet_is_left_out_and_counted(
    tmp_path: Path, make_video: Callable[..., Path], name: str, place: float
) -> None:
    decoder, packets = packets_of(make_video(tmp_path / name, 50, codec=CODECS[name]))
    broken = round(place * (len(packets) - 1))
    rubbish = av.Packet(np.random.default_rng(1).bytes(packets[broken].size))
    rubbish.pts, rubbish.dts = packets[broken].pts, packets[broken].dts
    packets[broken] = rubbish
    damage = Damage()
    pictures = list(decode_packets(decoder, packets, damage))
    assert damage.packets >= 1
    assert damage.error
    # What depends on the lost picture may be left out too, up to the next key frame.
    assert 39 <= len(pictures) <= 49
    assert place < 0.9 or len(pictures) >= 48


def test_a_file_goes_on_after_a_damaged_packet_and_says_so(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = make_video(tmp_path / "video.mp4", 40)
    with av.open(str(path)) as container:
        packet = [one for one in container.demux(video=0) if one.size][20]
        begin, size = packet.pos, packet.size
    content = bytearray(path.read_bytes())
    content[begin : begin + size] = b"\xff" * size
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING), open_source(str(path)) as source:
        frames = list(source)
    assert 30 <= len(frames) <= 39
    assert frames[-1].time == pytest.approx(39 / 25, abs=0.05)
    assert source.status.damaged == 1
    assert "1 damaged packet left out" in str(source.status.error)
    assert "1 damaged packet left out" in caplog.text
    assert f"{len(frames)} frames were decoded" in caplog.text


class Stubborn:
    """A container that can never be read, as on a disk that fails."""

    def __init__(self) -> None:
        self.asked = 0

    def demux(self, _: object) -> Iterator[Any]:
        self.asked += 1
        raise av.error.OSError(5, "Input/output error")
        yield


def test_errors_without_end_end() -> None:
    container, damage = Stubborn(), Damage()
    assert list(read_packets(container, None, damage)) == []
    assert 1 < container.asked < 1000
    assert damage.packets == 1


def test_a_live_stream_that_cannot_be_decoded_is_given_up() -> None:
    decoder = av.CodecContext.create("h264", "r")
    rubbish = (av.Packet(np.random.default_rng(seed).bytes(500)) for seed in range(100_000))
    with pytest.raises(NoVideoError, match="cannot be decoded"):
        list(decode_packets(decoder, rubbish, Damage(), max_seconds=0.05))


def test_a_decoder_that_does_not_open_says_why_once() -> None:
    class Closed:
        """As PyAV 19 has it: FFmpeg's reason at the first packet, its own complaint at all others."""

        opened = False

        def decode(self, _: object) -> list[Any]:
            if self.opened:
                raise ValueError("cannot decode unknown codec")
            self.opened = True
            raise av.error.ArgumentError(22, "Invalid argument")

    damage = Damage()
    assert list(decode_packets(Closed(), [object(), object()], damage)) == []
    assert (damage.packets, damage.error) == (3, "Invalid argument")
