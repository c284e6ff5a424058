"""Every public function that reads or writes takes a path as text or as any path-like object."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from calibration.calibrate import calibrate_alarm
from calibration.false_alarm_rate import check_alarm
from calibration.recordings import read_signals
from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import read_bundle
from daflow.core.data.clip_tables import add_frame_sizes, read_frame_sizes
from daflow.core.data.datasets import BENCHMARKS, open_benchmark
from daflow.core.data.frame_masks import read_masks
from daflow.core.data.label_table import read_labels
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import (
    SUFFIX,
    Clip,
    find_tracks,
    read_clip,
    read_clips,
    read_tracks,
    track_file,
    write_clips,
    write_tracks,
)
from daflow.core.files import StrPath
from daflow.core.scoring.onnx import OnnxScorer

CLIP = Clip("a", (), (64, 48))


@dataclass(frozen=True)
class PathLike:
    """Knows its path only by the protocol, as `os.DirEntry` does."""

    path: Path

    def __fspath__(self) -> str:
        return os.fspath(self.path)


@pytest.fixture(params=[str, PathLike], ids=["text", "path-like"])
def given(request: pytest.FixtureRequest) -> Callable[[Path], StrPath]:
    """Turns a path into another form of it."""
    form: Callable[[Path], StrPath] = request.param
    return form


READERS: dict[str, tuple[Callable[[StrPath], object], str]] = {
    "read_tracks of a folder": (read_tracks, "train"),
    "read_tracks of a file": (read_tracks, f"train/01_0001{SUFFIX}"),
    "read_clip": (read_clip, f"train/01_0001{SUFFIX}"),
    "read_clips": (read_clips, "train"),
    "find_tracks": (find_tracks, "train"),
    "track_file": (track_file, f"train/01_0001{SUFFIX}"),
    "read_frame_sizes": (read_frame_sizes, "train"),
    "read_masks": (read_masks, "masks"),
    "read_labels of a folder": (read_labels, "masks"),
}


@pytest.mark.parametrize(("read", "name"), READERS.values(), ids=READERS.keys())
def test_readers(
    dataset: Path, given: Callable[[Path], StrPath], read: Callable[[StrPath], object], name: str
) -> None:
    assert repr(read(given(dataset / name))) == repr(read(dataset / name))


def test_labels_of_a_file(tmp_path: Path, given: Callable[[Path], StrPath]) -> None:
    (tmp_path / "labels.csv").write_text("clip,frame,label\na,0,1\n")
    assert read_labels(given(tmp_path / "labels.csv"))["a"].tolist() == [1]


def test_writers(tmp_path: Path, given: Callable[[Path], StrPath]) -> None:
    write_clips(given(tmp_path / "clips"), [CLIP])
    write_tracks(given(tmp_path / "clips"), Clip("b", (), (64, 48)))
    add_frame_sizes(given(tmp_path / "clips"), {"b": (32, 24)})
    assert [(clip.name, clip.frame_size) for clip in read_clips(tmp_path / "clips")] == [
        ("a", (64, 48)),
        ("b", (32, 24)),
    ]
    generate_dataset(given(tmp_path / "data"), train_clips=1, test_clips=1, scene=Scene(frames=30, people=1))
    assert list(read_masks(tmp_path / "data/masks")) == ["01_0001"]


def test_a_benchmark(tmp_path: Path, given: Callable[[Path], StrPath]) -> None:
    write_clips(tmp_path / "Ped2/pose/test", [CLIP])
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own/a.npy", np.zeros(3))
    data = open_benchmark(BENCHMARKS["ped2"], given(tmp_path), given(tmp_path / "own"))
    assert (data.poses, list(data.masks)) == (tmp_path / "Ped2/pose/test", ["a"])


def test_scoring_and_calibration(exported: Path, dataset: Path, given: Callable[[Path], StrPath]) -> None:
    with OnnxScorer(given(exported / "scorer.fp32.onnx")) as scorer:
        assert scorer.score(np.zeros((0, 2, 24, 18), dtype=np.float32)).shape == (0,)
    bundle, poses = read_bundle(exported), given(dataset / "train")
    assert len(read_signals(bundle, poses, 25, AlarmRule(0, 0))) == 3
    alarm = calibrate_alarm(bundle, poses, quantile=0.9).alarm
    assert isinstance(alarm, AlarmCalibration)
    assert len(check_alarm(bundle, poses, alarm).clips) == 3
