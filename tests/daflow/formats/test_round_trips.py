"""What is written in a form and read again is the same, within the digits of the form."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.data.skeleton import COCO_JOINTS, OPENPOSE_JOINTS, blazepose_to_coco
from daflow.core.data.tracks import Clip, Track
from daflow.formats.assemble import assemble
from daflow.formats.layouts import LAYOUTS
from daflow.formats.recognise import read_source
from daflow.formats.recording import Options
from daflow.formats.sources import find_sources
from daflow.formats.tracking import Tracker
from daflow.formats.write import write_clip

SIZE = (1280, 720)


@st.composite
def clips(draw: st.DrawFn, joints: int | None = None) -> Clip:
    """A clip with people who come and go, and joints that were not seen."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    joints = joints or draw(st.sampled_from([17, 18]))
    tracks = []
    for person in sorted(draw(st.sets(st.integers(0, 10**6), min_size=1, max_size=3))):
        frames = sorted(draw(st.sets(st.integers(0, 30), min_size=1, max_size=6)))
        xy = rng.integers(3_000, 700_000, (len(frames), joints, 2)) / 1000
        confidence = rng.integers(1, 1001, (len(frames), joints, 1)) / 1000
        keypoints = np.concatenate([xy, confidence], axis=2).astype(np.float32)
        keypoints[rng.random((len(frames), joints)) < draw(st.sampled_from([0, 0.3]))] = 0
        keypoints[:, 0] = (100, 200, 0.9)  # somebody has a joint
        scores = (rng.integers(0, 10_000, len(frames)) / 10_000).astype(np.float32)
        scores[rng.random(len(frames)) < 0.3] = np.nan
        tracks.append(Track(person, np.array(frames), keypoints, scores))
    return Clip("hall", tuple(tracks), SIZE)


def poses(clip: Clip) -> Iterator[tuple[int, int, np.ndarray]]:
    """Frame, person and keypoints of each pose, in a mixed order of people."""
    for track in reversed(clip.tracks):
        for frame, pose in zip(
            track.frames.tolist(), track.keypoints.astype(np.float64).round(3), strict=True
        ):
            yield frame, track.person, pose


def by_frame(clip: Clip) -> dict[int, list[tuple[int, np.ndarray]]]:
    found: dict[int, list[tuple[int, np.ndarray]]] = {}
    for frame, person, pose in poses(clip):
        found.setdefault(frame, []).append((person, pose))
    return found


def write_openpose(folder: Path, clip: Clip) -> None:
    for frame, people in by_frame(clip).items():
        entries = [
            {"person_id": [person], "pose_keypoints_2d": pose.ravel().tolist()} for person, pose in people
        ]
        save(folder / f"hall_{frame:012d}_keypoints.json", {"version": 1.3, "people": entries})


def write_mmpose(folder: Path, clip: Clip) -> None:
    frames = [
        {
            "frame_id": frame,
            "instances": [
                {
                    "keypoints": pose[:, :2].tolist(),
                    "keypoint_scores": pose[:, 2].tolist(),
                    "track_id": person,
                }
                for person, pose in people
            ],
        }
        for frame, people in by_frame(clip).items()
    ]
    save(folder / "hall.json", {"meta_info": {}, "instance_info": frames})


def write_yolo(folder: Path, clip: Clip) -> None:
    for frame, people in by_frame(clip).items():
        lines = []
        for person, pose in people:
            values = [0, 0.5, 0.5, 0.1, 0.1, *(pose / (*SIZE, 1)).ravel(), 0.5, person]
            lines.append(" ".join(f"{value:.9g}" for value in values))
        (folder / f"hall_{frame}.txt").write_text("\n".join(lines))


def write_mediapipe(folder: Path, clip: Clip) -> None:
    frames = []
    for frame, person, pose in poses(clip):
        rows = (pose / (*SIZE, 1)).tolist()
        marks = [{"x": x, "y": y, "z": 0.1, "visibility": c} for x, y, c in rows]
        frames.append({"frame": frame, "person_id": person, "landmarks": marks})
    save(folder / "hall.json", frames)


def write_long(folder: Path, clip: Clip) -> None:
    names = COCO_JOINTS if clip.tracks[0].keypoints.shape[1] == 17 else OPENPOSE_JOINTS
    lines = ["frame,person,joint,x,y,confidence"]
    for frame, person, pose in poses(clip):
        lines += [f"{frame},{person},{name},{x},{y},{c}" for name, (x, y, c) in zip(names, pose, strict=True)]
    (folder / "hall.csv").write_text("\n".join(lines))


def write_wide(folder: Path, clip: Clip) -> None:
    joints = range(clip.tracks[0].keypoints.shape[1])
    lines = [",".join(["frame", "person", *(f"{axis}{joint}" for joint in joints for axis in "xyc")])]
    lines += [",".join(map(str, [frame, person, *pose.ravel()])) for frame, person, pose in poses(clip)]
    (folder / "hall.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


def write_results(folder: Path, clip: Clip) -> None:
    entries = [
        {
            "image_id": frame,
            "category_id": 1,
            "keypoints": pose.ravel().tolist(),
            "score": 0.5,
            "track_id": person,
        }
        for frame, person, pose in poses(clip)
    ]
    save(folder / "hall.json", entries)


def save(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def no_tracker(fps: float) -> Tracker:
    raise AssertionError("the people have numbers")


def read(folder: Path, options: Options | None = None) -> Clip:
    options = options or Options()
    (source,) = find_sources([folder])
    (recording,) = read_source(source, options)
    return assemble(source.name, recording, options, no_tracker, SIZE).clip


def assert_same(clip: Clip, found: Clip, scores: bool = False, layout: str | None = None) -> None:
    assert found.name == clip.name
    assert found.frame_size == clip.frame_size
    assert [track.person for track in found.tracks] == [track.person for track in clip.tracks]
    for track, other in zip(clip.tracks, found.tracks, strict=True):
        assert np.array_equal(track.frames, other.frames)
        expected = LAYOUTS[layout].convert(track.keypoints) if layout else track.keypoints
        assert np.allclose(expected, other.keypoints, rtol=0, atol=1.1e-3)
        assert np.array_equal(expected.any(axis=2), other.keypoints.any(axis=2))
        if scores:
            assert np.allclose(track.scores, other.scores, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("form", ["tracks", "parquet", "alphapose", "coco"])
@settings(max_examples=30, deadline=None)
@given(clip=clips())
def test_forms_that_are_written(form: str, clip: Clip) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_clip(Path(folder), clip, form)
        assert_same(clip, read(Path(folder)), scores=True)


WRITERS: dict[str, tuple[Callable[[Path, Clip], None], int | None]] = {
    "openpose": (write_openpose, 18),
    "mmpose": (write_mmpose, None),
    "yolo": (write_yolo, 17),
    "mediapipe": (write_mediapipe, 33),
    "long": (write_long, None),
    "wide": (write_wide, None),
    "results": (write_results, None),
}


@pytest.mark.parametrize("form", WRITERS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_forms_that_are_read(form: str, data: st.DataObject) -> None:
    writer, joints = WRITERS[form]
    clip = data.draw(clips(joints))
    with tempfile.TemporaryDirectory() as folder:
        writer(Path(folder), clip)
        assert_same(clip, read(Path(folder)), layout="blazepose" if joints == 33 else None)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_every_layout_of_results_and_arrays(name: str, data: st.DataObject) -> None:
    clip = data.draw(clips(LAYOUTS[name].joints))
    for track in clip.tracks:
        track.keypoints[:, :, :] = np.where(
            track.keypoints == 0, np.float32(5), track.keypoints
        )  # so nobody is lost
    options = Options(layout=LAYOUTS[name])
    with tempfile.TemporaryDirectory() as folder:
        write_results(Path(folder), clip)
        assert_same(clip, read(Path(folder), options), layout=name)
    array = np.full((len(clip.tracks), 31, LAYOUTS[name].joints, 3), np.nan)
    for place, track in enumerate(clip.tracks):
        array[place, track.frames] = track.keypoints
    numbered = Clip(
        clip.name, tuple(Track(n, t.frames, t.keypoints, t.scores) for n, t in enumerate(clip.tracks)), SIZE
    )
    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(Path(folder) / "hall.npz", array)
        assert_same(numbered, read(Path(folder), Options(layout=LAYOUTS[name], axes="ntvc")), layout=name)


def test_the_layout_of_mediapipe_is_that_of_the_edge() -> None:
    pose = np.random.default_rng(0).uniform(1, 9, (4, 33, 3)).astype(np.float32)
    assert np.array_equal(LAYOUTS["blazepose"].convert(pose), blazepose_to_coco(pose))
