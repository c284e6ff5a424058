from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daflow.core.data.tracks import (
    Clip,
    Track,
    read_clip,
    read_clips,
    read_tracks,
    track_file,
    write_clips,
)
from daflow.core.data.windows import make_windows
from daflow.core.errors import InputError

SUFFIX = "_alphapose_tracked_person.json"
KEYPOINTS = [float(value) for value in range(51)]
POSE = {"keypoints": KEYPOINTS, "scores": 0.5}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a track file may be written."""
    return tmp_path / f"01_0001{SUFFIX}"


def read(path: Path, content: object) -> Clip:
    path.write_text(json.dumps(content))
    return read_clip(path)


def save(folder: Path, name: str, content: object) -> None:
    (folder / f"{name}{SUFFIX}").write_text(json.dumps(content))


numbers = st.lists(st.integers(0, 99_999), unique=True, min_size=1, max_size=8).map(sorted)
values = (
    st.floats(-1e6, -3, width=32) | st.floats(3, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf])
)


@st.composite
def written_tracks(draw: st.DrawFn, person: int) -> Track:
    frames, joints = draw(numbers), draw(st.sampled_from([17, 18]))
    keypoints = draw(arrays(np.float32, (len(frames), joints, 3), elements=values))
    scores = draw(arrays(np.float32, len(frames), elements=st.floats(0, 10, width=32) | st.just(np.nan)))
    return Track(person, np.array(frames, dtype=np.int64), keypoints, scores)


@settings(deadline=None, max_examples=30)
@given(numbers.flatmap(lambda people: st.tuples(*map(written_tracks, people))))
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, tracks: tuple[Track, ...]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    write_clips(folder, [Clip("05_0007", tracks, (640, 480))])
    (clip,) = read_clips(folder)
    assert (clip.name, clip.frame_size, len(clip.tracks)) == ("05_0007", (640, 480), len(tracks))
    for before, after in zip(tracks, clip.tracks, strict=True):
        assert after.person == before.person
        assert np.array_equal(after.frames, before.frames)
        assert np.allclose(after.keypoints, before.keypoints, rtol=1e-6, atol=6e-4, equal_nan=True)
        assert np.allclose(after.scores, before.scores, atol=6e-5, equal_nan=True)


def test_a_file_of_the_field_is_read(path: Path) -> None:
    clip = read(path, {"2": {"0010": POSE, "9": {"keypoints": KEYPOINTS, "scores": None}}, "07": {"0": POSE}})
    first, second = clip.tracks
    assert (clip.name, clip.poses) == ("01_0001", 3)
    assert (first.person, second.person) == (2, 7)
    assert first.frames.tolist() == [9, 10], "sorted by number, not as text"
    assert first.keypoints.shape == (2, 17, 3)
    assert first.keypoints[0, 3].tolist() == [9, 10, 11]
    assert np.isnan(first.scores[0])
    assert first.scores[1] == 0.5
    assert first.points().shape == (2, 18, 2)


def test_the_list_form_of_alphapose_is_the_same_track(path: Path) -> None:
    poses = {"3": POSE, "4": {**POSE, "scores": 0.9}}
    listed = read(path, {"1": [{"4": poses["4"]}, {"3": poses["3"]}]}).tracks[0]
    mapped = read(path, {"1": poses}).tracks[0]
    assert listed.frames.tolist() == mapped.frames.tolist() == [3, 4]
    assert np.array_equal(listed.scores, mapped.scores)
    assert np.array_equal(listed.keypoints, mapped.keypoints)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e300"])
def test_coordinates_that_are_not_finite_are_read_as_joints_that_were_not_seen(
    path: Path, literal: str
) -> None:
    good = {
        str(frame): {"keypoints": [float((7 * i + frame) % 50) for i in range(51)]} for frame in range(25)
    }
    text = json.dumps({"1": good}).replace("[0.0,", f"[{literal},", 1)
    path.write_text(text)
    made = make_windows([read_clip(path)])
    assert (made.start.tolist(), made.broken, made.filled) == ([0, 1], 0, 2)


def test_a_score_beyond_float32_is_read(path: Path) -> None:
    assert read(path, {"1": {"0": {**POSE, "scores": 1e300}}}).poses == 1


def pose_with(**changes: object) -> dict[str, object]:
    return {"7": {"3": {**POSE, **changes}}}


BROKEN: dict[str, tuple[object, tuple[str, ...]]] = {
    "not an object": ([1], ("object of persons",)),
    "a person that is no number": ({"seven": {"3": POSE}}, ("person 'seven'",)),
    "a person without poses": ({"7": {}}, ("person 7",)),
    "a person that is text": ({"7": "poses"}, ("person 7",)),
    "a list of other things": ({"7": [{"3": POSE}, 4]}, ("person 7",)),
    "a frame that is no number": ({"7": {"3.5": POSE}}, ("person 7", "'3.5'")),
    "a negative frame": ({"7": {"-3": POSE}}, ("person 7", "'-3'")),
    "a frame of foreign digits": ({"7": {"٣": POSE}}, ("person 7", "'٣'")),
    "a frame number beyond all bounds": ({"7": {"9" * 30: POSE}}, ("person 7", "9" * 30)),
    "two poses in one frame": ({"7": {"3": POSE, "003": POSE}}, ("person 7", "two poses")),
    "two poses in one frame of a list": ({"7": [{"3": POSE}, {"3": POSE}]}, ("person 7", "two poses")),
    "a person twice": ({"7": {"3": POSE}, "07": {"3": POSE}}, ("person 7", "twice")),
    "a pose that is no object": ({"7": {"3": KEYPOINTS}}, ("person 7", "frame 3")),
    "no keypoints": ({"7": {"3": {"scores": 1.0}}}, ("person 7", "frame 3")),
    "16 joints": (pose_with(keypoints=KEYPOINTS[:48]), ("person 7", "frame 3", "48")),
    "a value too few": (pose_with(keypoints=KEYPOINTS[:-1]), ("person 7", "frame 3", "50")),
    "no values": (pose_with(keypoints=[]), ("person 7", "frame 3")),
    "a text among the values": (pose_with(keypoints=[*KEYPOINTS[1:], "4"]), ("person 7", "frame 3")),
    "a bool among the values": (pose_with(keypoints=[*KEYPOINTS[1:], True]), ("person 7", "frame 3")),
    "a null among the values": (pose_with(keypoints=[*KEYPOINTS[1:], None]), ("person 7", "frame 3")),
    "an integer beyond floats": (pose_with(keypoints=[*KEYPOINTS[1:], 10**400]), ("person 7", "frame 3")),
    "a score that is text": (pose_with(scores="high"), ("person 7", "frame 3", "score")),
    "a score that is a bool": (pose_with(scores=True), ("person 7", "frame 3", "score")),
    "layouts that change": (
        {"7": {"2": POSE, "3": {"keypoints": [1.0] * 54}}},
        ("person 7", "frame 3", "same number"),
    ),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_names_itself_the_person_and_the_frame(
    path: Path, content: object, words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        read(path, content)
    assert str(path) in caught.value.message
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize(
    "content",
    [b"", b'{"7": {', b"[" * 100_000, b'{"7": "\xff\xfe"}', b"\x00\x01", b"1" * 5000],
    ids=["empty", "cut off", "deeply nested", "not UTF-8", "binary", "endless number"],
)
def test_a_file_that_is_not_json_names_itself(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_clip(path)
    assert str(path) in caught.value.message


def test_a_missing_file_and_a_folder_in_its_place_are_input_errors(path: Path) -> None:
    with pytest.raises(InputError, match="no pose track file"):
        read_clip(path)
    path.mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_clip(path)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
rows = st.builds(
    lambda row, at, value: [*row[:at], value, *row[at + 1 :]],
    st.sampled_from([KEYPOINTS, KEYPOINTS[:48], [1] * 54]),
    st.integers(0, 60),
    leaves,
)
poses = st.fixed_dictionaries({"keypoints": rows | anything}, optional={"scores": leaves}) | anything
by_frame = st.dictionaries(st.sampled_from(["0", "00", "1", "x"]), poses, max_size=3)
almost_right = st.dictionaries(
    st.sampled_from(["1", "2", "a"]), by_frame | st.lists(by_frame, max_size=3) | anything, max_size=3
)


@settings(deadline=None, max_examples=300)
@given(almost_right)
@example({"1": {"0": {"keypoints": [1e300] * 51}}})
@example(None)
@example([])
def test_arbitrary_json_is_a_clip_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{SUFFIX}"
    try:
        clip = read(path, content)
    except InputError:
        return
    for track in clip.tracks:
        assert track.keypoints.shape == (len(track.frames), track.keypoints.shape[1], 3)
        assert (np.diff(track.frames) > 0).all()
        assert track.points().shape == (len(track.frames), 18, 2)


def test_a_folder_is_read_in_the_order_of_the_names(tmp_path: Path) -> None:
    for name in ("02_0001", "01_0010", "01_0002"):
        save(tmp_path, name, {"1": {"0": POSE}})
    (tmp_path / "notes.json").write_text("not a track file")
    assert [clip.name for clip in read_clips(tmp_path)] == ["01_0002", "01_0010", "02_0001"]


def test_a_broken_file_is_logged_and_the_others_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, "01_0001", {"1": {"0": POSE}})
    save(tmp_path, "01_0002", {"1": {"0": {}}})
    assert [clip.name for clip in read_clips(tmp_path)] == ["01_0001"]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "01_0002" in warning.getMessage()
    assert "person 1, frame 0" in warning.getMessage()


def test_a_folder_of_broken_files_is_an_input_error_that_says_why(tmp_path: Path) -> None:
    save(tmp_path, "01_0001", [])
    with pytest.raises(InputError, match="object of persons"):
        read_clips(tmp_path)


def test_a_missing_and_an_empty_folder_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        read_clips(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no pose tracks"):
        read_clips(tmp_path)


def test_the_frame_size_is_the_one_given_else_of_the_file_else_full_hd(tmp_path: Path) -> None:
    for name in ("01_0001", "01_0002"):
        save(tmp_path, name, {"1": {"0": POSE}})
    assert [clip.frame_size for clip in read_clips(tmp_path)] == [(1920, 1080), (1920, 1080)]
    (tmp_path / "frame_sizes.json").write_text('{"01_0002": [640, 480]}')
    assert [clip.frame_size for clip in read_clips(tmp_path)] == [(1920, 1080), (640, 480)]
    assert track_file(tmp_path / f"01_0001{SUFFIX}").frame_size == (1920, 1080)
    assert track_file(tmp_path / f"01_0002{SUFFIX}").frame_size == (640, 480)
    assert {clip.frame_size for clip in read_clips(tmp_path, (856, 480))} == {(856, 480)}


def test_a_file_and_a_folder_are_read_by_one_function(tmp_path: Path) -> None:
    for name in ("01_0001", "01_0002"):
        save(tmp_path, name, {"1": {"0": POSE}})
    (tmp_path / "frame_sizes.json").write_text('{"01_0002": [640, 480]}')
    assert [(c.name, c.frame_size) for c in read_tracks(tmp_path)] == [
        ("01_0001", (1920, 1080)),
        ("01_0002", (640, 480)),
    ]
    (clip,) = read_tracks(str(tmp_path / f"01_0002{SUFFIX}"))
    assert (clip.name, clip.frame_size) == ("01_0002", (640, 480))
    (clip,) = read_tracks(tmp_path / f"01_0002{SUFFIX}", frame_size=(320, 240))
    assert clip.frame_size == (320, 240)
    with pytest.raises(InputError, match="no folder"):
        read_tracks(tmp_path / "nothing")


def test_clips_of_an_unknown_frame_size_are_counted_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, "01_0001", {"1": {"0": POSE}})
    with caplog.at_level(logging.INFO):
        read_clips(tmp_path, (640, 480))
        assert caplog.text == ""
        read_clips(tmp_path)
    assert "frame size of 1 clips" in caplog.text


def test_writing_more_clips_keeps_the_frame_sizes_of_the_first(tmp_path: Path) -> None:
    track = Track(1, np.array([0]), np.full((1, 17, 3), 9, dtype=np.float32), np.ones(1, dtype=np.float32))
    write_clips(tmp_path, [Clip("a", (track,), (640, 480))])
    write_clips(tmp_path, [Clip("b", (track,), (320, 240))])
    assert {clip.name: clip.frame_size for clip in read_clips(tmp_path)} == {"a": (640, 480), "b": (320, 240)}


@pytest.mark.parametrize(
    "size",
    ["[0, 480]", "[640, -1]", "[640]", "[640, 480, 3]", '"64"', "null", "[NaN, 480]", "[Infinity, 480]",
     "[true, true]", '{"0": 1}'],
)  # fmt: skip
def test_a_frame_size_must_be_a_width_and_a_height(tmp_path: Path, size: str) -> None:
    save(tmp_path, "01_0001", {"1": {"0": POSE}})
    (tmp_path / "frame_sizes.json").write_text(f'{{"01_0001": {size}}}')
    with pytest.raises(InputError, match=r"frame_sizes\.json"):
        read_clips(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"[" * 100_000],
    ids=["empty", "a list", "not UTF-8", "deeply nested"],
)
def test_a_broken_file_of_frame_sizes_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, "01_0001", {"1": {"0": POSE}})
    (tmp_path / "frame_sizes.json").write_bytes(content)
    with pytest.raises(InputError, match=r"frame_sizes\.json"):
        read_clips(tmp_path)


@pytest.mark.parametrize(
    "content", [{"x" * 10_000: {"0": {}}}, {"1": {"y" * 10_000: {}}}, {"2" * 10_000: []}]
)
def test_a_long_name_is_shown_in_short(tmp_path: Path, content: object) -> None:
    path = tmp_path / "a_tracked_person.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="person") as caught:
        read_clip(path)
    assert len(caught.value.message) < 200 + len(str(path))
