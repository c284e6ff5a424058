from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import SUFFIX, write_clips
from daflow.core.errors import InputError
from runtime.sources.frames import Frame
from runtime.sources.uri import open_source

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
INDEX_FIRST = {"movflags": "faststart"}


def frames_of(uri: object) -> list[Frame]:
    with open_source(str(uri)) as source:
        return list(source)


def test_a_synthetic_source_is_the_generated_clip() -> None:
    clip, _ = generate_clip("synthetic", 3, Scene(frames=80, people=3, event="run", fps=10))
    frames = frames_of("synthetic:seed=3,frames=80,people=3,event=run,fps=10")
    assert {frame.size for frame in frames} == {clip.frame_size}
    assert [frame.time for frame in frames[:3]] == [0, 0.1, 0.2]
    for track in clip.tracks:
        there = [f.index for f in frames if f.people and track.person in f.people]
        assert there == track.frames.tolist()


def test_a_synthetic_source_needs_no_options_and_repeats() -> None:
    first, second = frames_of("synthetic:frames=40"), frames_of("synthetic:frames=40,seed=0,event=fall")
    assert first[10].people is not None
    assert second[10].people is not None
    assert all(np.array_equal(first[10].people[p], second[10].people[p]) for p in first[10].people)
    with open_source("synthetic:") as source:
        assert source.frames is not None
        assert source.frames > 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("colour=red", "has no option 'colour'; its options are event, fps, frames"),
        ("frame_size=5", "has no option 'frame_size'"),
        ("people=many", "people=many is not a number"),
        ("frames=1.5", "frames=1.5 is not a number"),
        ("seed=", "seed= is not a number"),
        ("event=dance", "event is one of fall, run, fight and none, not 'dance'"),
        ("people=0", "people=0 must be positive"),
        ("frames=-3", "frames=-3 must be positive"),
        ("fps=0", "fps=0 must be positive"),
        ("jitter=-0.1", "jitter=-0.1 must be positive"),
    ],
)
def test_wrong_synthetic_options_are_named(options: str, message: str) -> None:
    with pytest.raises(InputError, match="synthetic: ") as error:
        open_source(f"synthetic:seed=1,{options}")
    assert message in error.value.message


@pytest.mark.parametrize("options", ["fps=nan", "fps=inf", "jitter=nan"])
def test_synthetic_options_must_be_finite(options: str) -> None:
    with pytest.raises(InputError):
        open_source(f"synthetic:frames=30,{options}")


def test_a_synthetic_source_may_have_no_event() -> None:
    clip, _ = generate_clip("synthetic", 2, Scene(frames=60))
    there = [frame.index for frame in frames_of("synthetic:seed=2,frames=60,event=none") if frame.people]
    assert there == sorted({int(frame) for track in clip.tracks for frame in track.frames})


def test_recorded_tracks_are_replayed_with_their_frame_size(tmp_path: Path) -> None:
    clip, _ = generate_clip("01_0001", 3, Scene(frames=60, missed_poses=0.3))
    write_clips(tmp_path, [clip])
    frames = frames_of(f"tracks:{tmp_path / f'01_0001{SUFFIX}'}")
    assert [frame.index for frame in frames] == list(range(1 + max(t.frames[-1] for t in clip.tracks)))
    assert {frame.size for frame in frames} == {clip.frame_size}
    for track in clip.tracks:
        replayed = [f.people[track.person] for f in frames if f.people and track.person in f.people]
        np.testing.assert_allclose(np.stack(replayed), track.keypoints, atol=1e-3)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_video_is_decoded_with_its_count_size_and_times(
    tmp_path: Path, record_video: Callable[..., Path], codec: str
) -> None:
    video = record_video(tmp_path / "video.mp4", frames=50, codec=codec)
    with open_source(str(video)) as source:
        assert (source.fps, source.frames) == (25, 50)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(50))
    assert [frame.time for frame in frames] == pytest.approx([index / 25 for index in range(50)])
    for frame in frames:
        assert frame.size == (64, 48)
        assert frame.people is None
        assert frame.image is not None
        assert (frame.image.shape, frame.image.dtype) == ((48, 64, 3), np.uint8)


def test_the_colours_of_a_video_are_rgb(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    red = np.zeros((48, 64, 3), dtype=np.uint8)
    red[..., 0] = 255
    with av.open(str(tmp_path / "red.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")), *stream.encode()]:
            container.mux(packet)
    (frame,) = frames_of(tmp_path / "red.mp4")
    assert frame.image is not None
    assert frame.image.mean(axis=(0, 1)) == pytest.approx([255, 0, 0], abs=12)


def test_times_begin_at_zero(tmp_path: Path, record_video: Callable[..., Path]) -> None:
    # A fragmented file with reordered frames begins two frames late by its own clock.
    frames = frames_of(record_video(tmp_path / "late.mp4", options=FRAGMENTED))
    assert frames[0].time == 0


def cut(video: Path, fraction: float) -> Path:
    content = video.read_bytes()
    video.write_bytes(content[: int(len(content) * fraction)])
    return video


@pytest.mark.parametrize("fraction", [0.9, 0.5, 0.05])
def test_a_plain_mp4_that_is_cut_off_is_refused(
    tmp_path: Path, record_video: Callable[..., Path], fraction: float
) -> None:
    video = cut(record_video(tmp_path / "video.mp4"), fraction)
    with pytest.raises(InputError, match="is not a video that can be read, or it is cut off"):
        open_source(str(video))


@pytest.mark.parametrize("options", [FRAGMENTED, INDEX_FIRST])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_streamable_mp4_that_is_cut_off_gives_the_frames_that_are_there(
    tmp_path: Path, record_video: Callable[..., Path], codec: str, options: dict[str, str]
) -> None:
    video = cut(record_video(tmp_path / "video.mp4", codec=codec, options=options), 0.6)
    frames = frames_of(video)
    assert 15 <= len(frames) <= 35
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_a_video_that_breaks_off_is_logged(
    tmp_path: Path, record_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    video = cut(record_video(tmp_path / "video.mp4", options=INDEX_FIRST), 0.6)
    with caplog.at_level(logging.WARNING):
        frames = frames_of(video)
    assert len(frames) > 20
    assert f"breaks off: {len(frames)} of its 50 frames are there" in caplog.text


def test_a_video_whose_first_frame_is_cut_is_refused(
    tmp_path: Path, record_video: Callable[..., Path]
) -> None:
    video = cut(record_video(tmp_path / "video.mp4", options=INDEX_FIRST), 0.04)
    with open_source(str(video)) as source, pytest.raises(InputError, match=r"No frame of .* can be decoded"):
        list(source)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    with pytest.raises(InputError, match=r"text\.mp4 is not a video that can be read"):
        open_source(str(text))


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate = 44100
        for packet in [*stream.encode(silence), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(InputError, match=r"sound\.mp4 cannot be watched: it has sound, but no video"):
        open_source(str(tmp_path / "sound.mp4"))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("missing.mp4", "There is no video missing.mp4."),
        ("tracks:missing.json", "There is no pose track file missing.json."),
        ("file:///missing.mp4", "There is no video /missing.mp4."),
    ],
)
def test_a_source_that_is_not_there_is_named(uri: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        open_source(uri)
    assert error.value.message == message
