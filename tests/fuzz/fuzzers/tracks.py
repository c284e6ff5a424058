"""Pose tracks as JSON and Parquet, the tables beside them, and tables of labels: read, cut into windows, replayed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from hypothesis import strategies as st

from daflow.core.data.label_table import read_labels
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import read_tracks, write_clips
from daflow.core.data.windows import make_windows
from runtime.sources.recorded_tracks import ClipSource

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, json_trees, mutated, mutated_trees, to_json

_NAMES = {
    "json": "clip_alphapose_tracked_person.json",
    "parquet": "other.tracks.parquet",
    "sizes.json": "frame_sizes.json",
    "rates.json": "frame_rates.json",
    "csv": "labels.csv",
}
_CLIP = {
    "1": {
        f"{frame:04d}": {"keypoints": [100.5 + frame, 200.0, 0.9] * 17, "scores": 2.5} for frame in range(30)
    },
    "2": {str(frame): {"keypoints": [300.0, 90.0 + frame, 1] * 17, "scores": None} for frame in (0, 1, 5)},
}
_TABLES = {
    "sizes.json": {"clip": [1280, 720]},
    "rates.json": {"clip": {"fps": 25.0, "low": 24.5, "high": 25.5}, "other": 30},
}


def _crowd() -> bytes:
    pose = {"keypoints": [100.5, 200.0, 0.9] * 17, "scores": 1.0}
    return json.dumps({str(person): {"0": pose} for person in range(20_000)}).encode()


def _parquet() -> bytes:
    clip, _ = generate_clip("other", 1, Scene(frames=48, people=2))
    with tempfile.TemporaryDirectory() as folder:
        write_clips(folder, [clip], "parquet")
        return (Path(folder) / _NAMES["parquet"]).read_bytes()


def _seeds() -> list[Input]:
    small = {name: dict(islice(poses.items(), 3)) for name, poses in _CLIP.items()}
    return [
        Input("valid.json", json.dumps(_CLIP).encode()),
        Input("valid-small.json", json.dumps(small).encode()),
        Input("crowd.json", _crowd()),
        Input("valid.parquet", _parquet()),
        Input("nested.json", b"[" * 100_000),
        *(Input(f"valid.{kind}", json.dumps(table).encode()) for kind, table in _TABLES.items()),
        Input("valid.csv", b"clip,frame,posture\nclip,0,-1\nclip,1,0\nclip,2,1\n"),
        Input("valid-label.csv", b"clip,frame,label\nclip,0,-1\nclip,1,0\nother,9,1\n"),
    ]


def _structured(kind: str, contents: list[bytes]) -> st.SearchStrategy[bytes] | None:
    return mutated_trees(json_trees(contents)).map(to_json) if kind.endswith("json") else None


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    return mutated([each for each in inputs if len(each.content) < 100_000], _structured)


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    valid = {kind: json.dumps(table).encode() for kind, table in {"json": _CLIP, **_TABLES}.items()}

    def check(given: Input) -> None:
        if given.kind == "csv":
            (folder / _NAMES["csv"]).write_bytes(given.content)
            read_labels(folder / _NAMES["csv"])
            return
        (folder / _NAMES["parquet"]).unlink(missing_ok=True)
        for kind, content in {**valid, given.kind: given.content}.items():
            (folder / _NAMES[kind]).write_bytes(content)
        if given.kind == "parquet":
            read_tracks(folder / _NAMES["parquet"])
        for clip in read_tracks(folder):
            make_windows([clip], fps=12.5)
            make_windows([clip])
            list(islice(ClipSource(clip, 25.0), 100))

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)
