"""Whatever a file holds, a reader returns poses or raises an error of one sentence."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.formats.assemble import assemble
from daflow.formats.bounded import MAX_VALUES
from daflow.formats.layouts import LAYOUTS, Keypoints
from daflow.formats.recognise import read_source
from daflow.formats.recording import Options, Poses, frame_of, person_of
from daflow.formats.sources import find_sources
from daflow.formats.write import TARGETS, write_clip


class OneAfterTheOther:
    """A tracker that gives everybody a new number."""

    def __init__(self, fps: float) -> None:
        self.last = 0

    def update(self, found: Keypoints, time: float | None = None) -> np.ndarray:
        assert np.isfinite(found).all()
        self.last += len(found)
        return np.arange(self.last - len(found), self.last)


POSE = [float(value) for value in range(10, 61)]
MARK = {"x": 0.4, "y": 0.5, "z": 0.1, "visibility": 0.9}
EXAMPLES: list[Any] = [
    [{"image_id": "0.jpg", "category_id": 1, "keypoints": POSE, "score": 2.9, "idx": [1.0]}],
    {"1": {"0000": {"keypoints": POSE, "scores": 0.5}, "0001": {"keypoints": [None, *[[1, 2]] * 16], "scores": None}}},
    {"1": [{"0": {"keypoints": POSE, "scores": None}}]},
    {"0.jpg": {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": POSE}]}},
    {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": POSE[:27] * 2}]},
    {
        "images": [{"id": 1, "file_name": "a/000001.jpg", "width": 640, "height": 480, "frame_id": 1}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "keypoints": POSE, "track_id": 1, "keypoint_scores": [0.5] * 17}
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": [f"joint{n}" for n in range(17)]}],
    },
    {
        "meta_info": {"keypoint_id2name": {str(n): f"joint{n}" for n in range(17)}},
        "instance_info": [
            {
                "frame_id": 1,
                "instances": [{"keypoints": [[1.0, 5.0]] * 17, "keypoint_scores": [0.5] * 17, "bbox_score": 1}],
            }
        ],
    },
    [{"frame_id": 1, "instances": [{"keypoints": [[1.0, 5.0]] * 17, "track_id": 3}]}],
    [None, [MARK] * 33, [[MARK] * 33], [[0.1, 0.2, 0.3, 0.4]] * 33],
    {"frames": [{"frame": 3, "pose_landmarks": [[MARK] * 33]}]},
]  # fmt: skip

junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}), st.just("1"),
    st.lists(st.integers(-2, 2), max_size=3), st.sampled_from([10**400, 2**63, -1, 1e308, [[1]], {"a": 1}, ["0.jpg"]]),
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def use(path: Path, options: Options) -> None:
    """Read, assemble and write whatever is there; errors are our own, of one line."""
    errors: list[str] = []
    for source in find_sources([path]):
        try:
            for recording in read_source(source, options):
                converted = assemble(source.name, recording, options, OneAfterTheOther, (640, 480))
                for form in TARGETS:
                    write_clip(path / "out", converted.clip, form)
        except InputError as error:
            errors = [*errors, error.message]
    for error in errors:
        assert "\n" not in error
        assert error.endswith(".")


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_are_read(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hall_1.json").write_text(json.dumps(EXAMPLES[number]))
        (source,) = find_sources([Path(folder)])
        assert len(read_source(source, Options())[0].frames)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_value_is_read_or_refused(number: int, data: st.DataObject) -> None:
    content = json.loads(json.dumps(EXAMPLES[number]))  # in which no two joints are one object
    for _ in range(data.draw(st.integers(1, 3))):
        if found := places(content):
            where, key = data.draw(st.sampled_from(found))
            if data.draw(st.booleans()) and isinstance(where, dict):
                where.pop(key)
            else:
                where[key] = copy.deepcopy(data.draw(junk))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hall_1.json").write_text(json.dumps(content))
        layout = data.draw(st.sampled_from([None, "mpii", "coco"]))
        use(Path(folder), Options(layout=LAYOUTS[layout] if layout else None))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_table_is_read_or_refused(data: st.DataObject) -> None:
    names = ["frame", "person", "joint", "x", "y", "c", "x0", "y0", "x16", "y16", "nose_x", "nose_y", "", '"']
    cells = st.one_of(
        st.sampled_from(["0", "16", "nose", "NaN", "1e999", "", '"', "1.5", "-3", "9" * 30]),
        st.text(max_size=4),
    )
    head = data.draw(st.lists(st.sampled_from(names), min_size=2, max_size=7))
    rows = data.draw(st.lists(st.lists(cells, min_size=1, max_size=7), max_size=4))
    text = "\n".join(",".join(row) for row in [head, *rows])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hall.csv").write_bytes(text.encode(errors="surrogatepass"))
        use(Path(folder), Options(form=data.draw(st.sampled_from([None, "csv"]))))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_lines_are_read_or_refused(data: st.DataObject) -> None:
    number = st.one_of(st.floats(0, 1).map(str), st.sampled_from(["nan", "inf", "1e400", "-1", "7", "x"]))
    count = data.draw(st.sampled_from([39, 40, 41, 56, 57, 58, 59]))
    words = data.draw(st.lists(number, min_size=3, max_size=8))
    rows = [" ".join((words * 20)[:count]) for _ in range(data.draw(st.integers(1, 3)))]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hall_1.txt").write_text("\n".join(rows))
        use(Path(folder), Options(form=data.draw(st.sampled_from([None, "yolo"]))))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["hall.json", "hall.npy", "hall.npz", "hall.csv", "hall_1.txt", "hall.json.gz"])
    )
    head = data.draw(
        st.sampled_from(
            [b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x1f\x8b\x08", b"[", b"{", b"\xef\xbb\xbf"]
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(head + data.draw(st.binary(max_size=60)))
        use(Path(folder), Options(axes="ntvc"))


@pytest.mark.parametrize("kind", ["npy", "npz"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_arrays_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"hall.{kind}"
        array = np.arange(2 * 3 * 17 * 3, dtype=data.draw(st.sampled_from(["f4", "f8", "i2", "f2"]))) + 1
        (np.save if kind == "npy" else np.savez)(path, array.reshape(2, 3, 17, 3))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(
            content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content
        )
        use(Path(folder), Options(axes="ntvc"))


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    collected = Poses(Path("x.json"))
    with pytest.raises(InputError, match=f"from 0 to {MAX_FRAMES - 1}"):
        collected.add(MAX_FRAMES, np.ones((17, 3)))
    monkeypatch.setattr("daflow.formats.recording.MAX_VALUES", 100)
    collected.add(MAX_FRAMES - 1, np.ones((17, 3)))
    with pytest.raises(InputError, match="more than 100 values"):
        collected.add(0, np.ones((17, 3)))
    assert MAX_VALUES == 50_000_000


def test_numbers_in_their_usual_spellings() -> None:
    assert [person_of(value, "") for value in (3, 3.0, "3", "3.0", [3], [[3.0]], None, -1)] == [3] * 6 + [
        -1,
        -1,
    ]
    names = {"12.jpg": 12, "a/000012.png": 12, "clip_01_0012.jpg": 12, "c\\7.jpg": 7, "12": 12}
    assert {name: frame_of(name, "") for name in names} == names
    for value in (True, 0.5, "x", "", [1, 2], {}, float("nan"), 2**70):
        with pytest.raises(InputError, match="not the number of a person"):
            person_of(value, "")
        if value != [1, 2]:
            with pytest.raises(InputError, match="does not say the number of a frame"):
                frame_of(value, "")
