"""Pose tracks in Parquet: what is written is read again bit for bit, and a hostile file is an error of one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daflow.core.data import parquet_tracks
from daflow.core.data.clip import Clip, Track
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.parquet_pages import Page, pages
from daflow.core.data.tracks import find_tracks, read_clip, read_clips, read_tracks, track_file, write_clips
from daflow.core.errors import InputError

KEY = b"daflow.tracks"
ABOUT = {"version": 1, "frame_size": [1280, 720], "rate": None, "layout": "coco17"}
RATE = FrameRate(24.9, 20.5, 30.25)

# Floats of every kind but those that a check of the whole clip takes for fractions of the frame.
values = st.floats(3, 2.0**99, width=32) | st.floats(-(2.0**99), -3, width=32) | st.sampled_from(
    [np.nan, np.inf, -np.inf, -0.0]
)  # fmt: skip


@st.composite
def clips(draw: st.DrawFn) -> Clip:
    joints = draw(st.sampled_from([17, 18]))
    tracks = []
    for person in sorted(draw(st.sets(st.integers(0, 10**15 - 1), max_size=4))):
        frames = sorted(draw(st.sets(st.integers(0, 10**15 - 1), min_size=1, max_size=6)))
        keypoints = draw(arrays(np.float32, (len(frames), joints, 3), elements=values))
        scores = draw(
            arrays(np.float32, len(frames), elements=st.floats(width=32, allow_nan=False) | st.just(np.nan))
        )
        tracks.append(Track(person, np.array(frames, dtype=np.int64), keypoints, scores))
    rates = st.floats(0.001, 10_000)
    rate = draw(st.none() | st.builds(FrameRate, rates, rates, rates))
    sides = st.integers(1, 32768)
    return Clip("05_0007", tuple(tracks), draw(st.tuples(sides, sides)), rate)


@settings(deadline=None, max_examples=60)
@given(clips())
def test_what_was_written_is_read_again_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, clip: Clip
) -> None:
    folder = tmp_path_factory.mktemp("round")
    write_clips(folder, [clip], "parquet")
    assert [path.name for path in folder.iterdir()] == ["05_0007.tracks.parquet"], (
        "no table is needed beside it"
    )
    (found,) = read_clips(folder)
    assert (found.name, found.frame_size, found.rate) == (clip.name, clip.frame_size, clip.rate)
    assert len(found.tracks) == len(clip.tracks)
    for before, after in zip(clip.tracks, found.tracks, strict=True):
        assert (after.person, after.keypoints.dtype, after.frames.dtype) == (
            before.person,
            np.float32,
            np.int64,
        )
        assert np.array_equal(after.frames, before.frames)
        assert after.keypoints.view(np.int32).tolist() == before.keypoints.view(np.int32).tolist()
        assert np.array_equal(after.scores, before.scores, equal_nan=True)


def clip_of(frames: int = 3, person: int = 7, joints: int = 17, **facts: Any) -> Clip:
    keypoints = np.random.default_rng(0).uniform(10, 700, (frames, joints, 3)).astype(np.float32)
    track = Track(person, np.arange(frames), keypoints, np.full(frames, 0.5, np.float32))
    return Clip("hall", (track,), **{"frame_size": (1280, 720), "rate": RATE, **facts})


def test_other_programs_find_plain_columns(tmp_path: Path) -> None:
    write_clips(tmp_path, [clip_of()], "parquet")
    table = pq.read_table(tmp_path / "hall.tracks.parquet")
    assert table.column_names == ["person", "frame", "time", "joints", "confidences", "score"]
    row = table.slice(2, 1).to_pylist()[0]
    assert (row["person"], row["frame"], row["time"], row["score"]) == (7, 2, pytest.approx(2 / 24.9), 0.5)
    assert (len(row["joints"]), len(row["confidences"])) == (34, 17)
    assert json.loads(table.schema.metadata[KEY]) == {**ABOUT, "rate": vars(RATE)}


def test_the_time_of_an_unknown_rate_is_null(tmp_path: Path) -> None:
    write_clips(tmp_path, [clip_of(rate=None)], "parquet")
    assert pq.read_table(tmp_path / "hall.tracks.parquet")["time"].null_count == 3
    assert find_tracks(tmp_path)[0].rate is None


def test_size_and_rate_are_those_of_the_file_unless_others_are_given(tmp_path: Path) -> None:
    write_clips(tmp_path, [clip_of()], "parquet")
    (tmp_path / "frame_sizes.json").write_text('{"hall": [640, 480]}')
    (tmp_path / "frame_rates.json").write_text('{"hall": 10}')
    path = tmp_path / "hall.tracks.parquet"
    for file in (*find_tracks(tmp_path), track_file(path)):
        assert (file.clip, file.frame_size, file.rate) == ("hall", (1280, 720), RATE)
    (given_file,) = find_tracks(tmp_path, (320, 240), 12)
    assert (given_file.read().frame_size, given_file.read().rate) == ((320, 240), FrameRate.constant(12))
    assert read_tracks(path)[0].rate == RATE
    assert read_clip(path).frame_size == (1280, 720)


def test_a_clip_is_in_one_file(tmp_path: Path) -> None:
    write_clips(tmp_path, [clip_of()])
    write_clips(tmp_path, [clip_of(person=8)], "parquet")
    assert [track.person for track in read_clips(tmp_path)[0].tracks] == [8]
    write_clips(tmp_path, [clip_of(person=9)])
    assert [track.person for track in read_clips(tmp_path)[0].tracks] == [9]


def test_scores_beside_tracks_are_not_taken_for_tracks(tmp_path: Path) -> None:
    write_clips(tmp_path, [clip_of()], "parquet")
    for kind in ("windows", "frames"):
        (tmp_path / f"hall.{kind}.parquet").write_bytes(b"PAR1")
    assert [clip.name for clip in read_clips(tmp_path)] == ["hall"]


def test_rows_in_another_order_are_the_same_tracks(tmp_path: Path) -> None:
    clip = clip_of(5)
    two = Clip("hall", (*clip.tracks, *clip_of(4, person=9).tracks), clip.frame_size, RATE)
    write_clips(tmp_path, [two], "parquet")
    path = tmp_path / "hall.tracks.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take(np.random.default_rng(3).permutation(len(table))), path)
    for before, after in zip(two.tracks, read_clip(path).tracks, strict=True):
        assert (before.person, before.frames.tolist()) == (after.person, after.frames.tolist())
        assert np.array_equal(before.keypoints, after.keypoints)


def test_people_of_two_layouts_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    clip = Clip("hall", (*clip_of().tracks, *clip_of(person=8, joints=18).tracks), (640, 480))
    with pytest.raises(InputError, match="hall has poses of 17 and 18 joints"):
        write_clips(tmp_path, [clip], "parquet")
    assert not list(tmp_path.iterdir())


def test_without_pyarrow_a_file_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clips(tmp_path, [clip_of()], "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for attempt in (lambda: read_clips(tmp_path), lambda: write_clips(tmp_path, [clip_of()], "parquet")):
        with pytest.raises(InputError, match=r"need.* pyarrow .*pip install pyarrow"):
            attempt()


def columns(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "person": pa.array([7, 7], pa.int64()),
        "frame": pa.array([3, 4], pa.int64()),
        "joints": pa.array([[50.0] * 34] * 2, pa.list_(pa.float32(), 34)),
        "confidences": pa.array([[0.5] * 17] * 2, pa.list_(pa.float32(), 17)),
        "score": pa.array([None, 1.0], pa.float32()),
    }
    return {name: column for name, column in {**plain, **changes}.items() if column is not None}


def save(path: Path, about: object = ABOUT, **changes: Any) -> Path:
    table = pa.table(columns(**changes))
    pq.write_table(
        table.replace_schema_metadata({KEY: about if isinstance(about, bytes) else json.dumps(about)}), path
    )
    return path


def test_what_another_program_writes_is_read(tmp_path: Path) -> None:
    (track,) = read_clip(save(tmp_path / "hall.tracks.parquet")).tracks
    assert (track.person, track.frames.tolist(), np.isnan(track.scores).tolist()) == (
        7,
        [3, 4],
        [True, False],
    )


i64, f32 = pa.int64(), pa.float32()
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "two poses in one frame": ({"frame": pa.array([3, 3], i64)}, "person 7 has two poses in frame 3"),
    "a negative frame": ({"frame": pa.array([3, -4], i64)}, "person 7, frame -4: the frame is not from 0"),
    "a person beyond all bounds": ({"person": pa.array([7, 10**15], i64)}, f"person {10**15}, frame 4: the person"),
    "no joints": ({"joints": None}, "the column joints is there 0 times"),
    "joints of doubles": (
        {"joints": pa.array([[50.0] * 34] * 2, pa.list_(pa.float64(), 34))}, "joints is fixed_size_list<.*double",
    ),
    "a joint too few": ({"joints": pa.array([[50.0] * 32] * 2, pa.list_(f32, 32))}, r"\[34\] is needed"),
    "lists of any length": ({"joints": pa.array([[50.0] * 34] * 2, pa.list_(f32))}, "joints is list<"),
    "frames as text": ({"frame": pa.array(["3", "4"])}, "frame is string, and int64 is needed"),
    "a frame that is null": ({"frame": pa.array([3, None], i64)}, "a value of the column frame is null"),
    "a coordinate that is null": (
        {"joints": pa.array([[None, *[50.0] * 33]] * 2, pa.list_(f32, 34))}, "a value of the column joints is null",
    ),
    "a pose that is null": (
        {"confidences": pa.array([[0.5] * 17, None], pa.list_(f32, 17))}, "confidences",
    ),
    "fractions": ({"joints": pa.array([[0.5] * 34] * 2, pa.list_(f32, 34))}, "fractions of the frame"),
    "no facts": ({"about": b""}, "not valid JSON"),
    "a later version": ({"about": {**ABOUT, "version": 2}}, "is of version 2 of the form"),
    "a frame size of nothing": ({"about": {**ABOUT, "frame_size": [0, 720]}}, "frame size"),
    "a frame size of text": ({"about": {**ABOUT, "frame_size": "ab"}}, "frame size"),
    "a huge frame": ({"about": {**ABOUT, "frame_size": [10**9, 720]}}, "frame size"),
    "a rate of zero": ({"about": {**ABOUT, "rate": {"fps": 0, "low": 0, "high": 0}}}, "frame rate"),
    "a rate of NaN": ({"about": {**ABOUT, "rate": {"fps": float("nan"), "low": 1, "high": 2}}}, "frame rate"),
    "half a rate": ({"about": {**ABOUT, "rate": {"fps": 25}}}, "frame rate"),
    "another layout": ({"about": {**ABOUT, "layout": ["ntu"]}}, "layout"),
    "facts that are a list": ({"about": [1]}, "version"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_named_with_what_is_wrong(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = save(tmp_path / "hall.tracks.parquet", **changes)
    with pytest.raises(InputError, match=words) as caught:
        read_clip(path)
    assert str(path) in caught.value.message


def test_a_parquet_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hall.tracks.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match="but not of pose tracks"):
        read_clip(path)


def test_a_damaged_file_is_skipped_and_the_others_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clips(tmp_path, [clip_of(200)], "parquet")
    whole = (tmp_path / "hall.tracks.parquet").read_bytes()
    flipped = whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:]
    for name, content in {"cut": whole[:-40], "flipped": flipped, "empty": b"", "text": b"{}"}.items():
        (tmp_path / f"{name}.tracks.parquet").write_bytes(content)
    assert [clip.name for clip in read_clips(tmp_path)] == ["hall"]
    assert (
        len([record for record in caplog.records if "is not a valid Parquet file" in record.getMessage()])
        == 4
    )


def many(rows: int) -> dict[str, Any]:
    zeros = pa.array(np.full(rows * 34, 9, np.float32))
    return {
        "person": pa.array(np.zeros(rows, np.int64)),
        "frame": pa.array(np.arange(rows)),
        "joints": pa.FixedSizeListArray.from_arrays(zeros, 34),
        "confidences": pa.FixedSizeListArray.from_arrays(zeros.slice(0, rows * 17), 17),
        "score": pa.nulls(rows, f32),
    }


def test_more_poses_than_the_limit_are_refused_when_written_and_when_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_tracks, "MAX_POSES", 99)
    path = save(tmp_path / "hall.tracks.parquet", **many(100))
    with pytest.raises(InputError, match="has 100 poses, and the limit is 99"):
        read_clip(path)
    with pytest.raises(InputError, match="has 100 poses, and a Parquet file at most 99"):
        write_clips(tmp_path, [clip_of(100)], "parquet")


@pytest.mark.parametrize("limit", ["_MAX_PAGE", "_MAX_UNPACKED"])
def test_pages_that_unpack_to_much_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    path = tmp_path / "hall.tracks.parquet"
    table = pa.table(many(20_000)).replace_schema_metadata({KEY: json.dumps(ABOUT)})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 50_000
    assert read_clip(path).poses == 20_000
    monkeypatch.setattr(parquet_tracks, limit, 1 << 20)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(InputError, match="unpacks to more than the limit"):
        read_clip(path)


def test_lists_that_are_longer_than_the_schema_says_are_refused(tmp_path: Path) -> None:
    """Arrow's own schema in the file says lists of 34, and the pages hold lists of 1000."""
    path = save(tmp_path / "hall.tracks.parquet")
    said = pq.ParquetFile(path).metadata.metadata
    table = pa.table(columns(joints=pa.array([[50.0] * 1000] * 2, pa.list_(f32)))).replace_schema_metadata(
        said
    )
    pq.write_table(table, path, store_schema=False)
    with pytest.raises(InputError):
        read_clip(path)


def varint(value: int) -> bytes:
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def header(*fields: tuple[int, bytes]) -> bytes:
    """Fields of a page header, each after the last one."""
    return b"".join(bytes([step << 4 | 5]) + value for step, value in fields)


def page(unpacked: int, packed: int, values: int) -> bytes:
    data = bytes([2 << 4 | 12]) + header((1, varint(values))) + b"\0"
    return header((1, varint(0)), (1, varint(unpacked)), (1, varint(packed))) + data + b"\0" + b"x" * packed


def test_pages_are_counted_without_being_unpacked() -> None:
    content = memoryview(page(2**31 - 1, 5, 1000) + page(10, 0, 3))
    assert list(pages(content)) == [Page(2**31 - 1, 1000), Page(10, 3)]


BROKEN: dict[str, Callable[[], bytes]] = {
    "cut off": lambda: page(9, 9, 9)[:3],
    "a size that is negative": lambda: page(-1, 0, 1),
    "no size": lambda: b"\0",
    "a field twice": lambda: (
        header((2, varint(5)), (1, varint(5))) + bytes([0x05]) + varint(2) + varint(9) + b"\0"
    ),
    "a field of a number that wraps": lambda: (
        header((2, varint(5)), (1, varint(5))) + bytes([0x05]) + varint(65538)
    ),
    "a list": lambda: bytes([0x19]),
    "structs without end": lambda: bytes([0x1C]) * 9999,
    "a number without end": lambda: bytes([0x15]) + b"\xff" * 99,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_page_header_is_a_value_error(content: Callable[[], bytes]) -> None:
    with pytest.raises(ValueError, match="a page"):
        list(pages(memoryview(content())))
