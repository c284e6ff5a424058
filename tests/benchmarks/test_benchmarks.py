"""`python -m benchmarks` measures everything, with and without data that were given."""

from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import NAMES, main
from benchmarks.edge import EdgeCost, Skipped, measure
from benchmarks.material import Material, loop_video, prepare
from benchmarks.timing import Effort
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import STGNF_FRAME_SIZE, make_windows
from runtime.sources.video import VideoSource

REPOSITORY = Path(__file__).parents[2]


def _run(output: Path, *options: object) -> str:
    words = [sys.executable, "-m", "benchmarks", *map(str, options), "-o", str(output)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _numbers(value: Any) -> Iterator[float]:
    """Every number in a tree of plain values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield float(value)


@pytest.mark.slow
def test_everything_is_measured_on_generated_people(tmp_path: Path) -> None:
    progress = _run(tmp_path, "--quick")
    assert all(f"[{number}/{len(NAMES)}] {name}" in progress for number, name in enumerate(NAMES, start=1))
    figures = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert set(figures) == {"environment", *NAMES}
    assert all(math.isfinite(number) for number in _numbers(figures))
    assert figures["environment"]["data"] == "generated"
    assert figures["environment"]["command"].startswith("python -m benchmarks --quick")
    assert figures["environment"]["versions"]["numpy"]
    assert len(figures["environment"]["load_after"]) == 3

    rows = {(row["model"], row["form"], row["batch"]): row for row in figures["scorers"]["figures"]}
    assert {batch for _, _, batch in rows} == {1, 8, 64}
    assert {"PyTorch", "plain ONNX export", "folded FP32", "folded FP16"} <= {form for _, form, _ in rows}
    assert figures["scorers"]["parameters"] == {"DA-Flow": 488, "STG-NF block": 616}
    assert all(row["against_pytorch"]["median"] > 0 for row in rows.values())
    assert rows["DA-Flow", "PyTorch", 8]["against_pytorch"]["median"] == 1

    assert len(figures["reference"]["tasks"]) == 3
    assert figures["reference"]["their_auc"] == pytest.approx(figures["reference"]["our_auc"], abs=0.1)
    assert figures["edge"] == {"reason": "--video was not given"}

    curves = {curve["name"]: curve for curve in figures["scaling"]}
    assert len(curves) == 6
    assert len(curves["people before a camera"]["sizes"]) == 7
    assert all(isinstance(curve["fast_growing"], bool) for curve in curves.values())
    assert all(len(curve["sizes"]) == len(curve["seconds"]) >= 2 for curve in curves.values())

    targets = {target["name"]: target for target in figures["targets"]}
    assert len(targets) == 6
    assert 0 < targets["importing the edge"]["measured"]["median"] < 60
    assert 10 < targets["resident memory without pose estimation"]["measured"]["median"] < 2000
    assert abs(targets["memory that stays allocated"]["measured"]["median"]) < 100

    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert pictures == ["benchmarks-targets.png", "benchmarks-scorers.png", "benchmarks-scaling.png"]
    for name in pictures:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "Not measured: --video was not given." in page
    assert "nan" not in page
    assert "was ended before" not in page


@pytest.mark.slow
def test_what_is_given_is_measured_alone(tmp_path: Path, dataset: Path, exported: Path) -> None:
    tracks = ["--poses", dataset / "train", "--test", dataset / "test", "--masks", dataset / "masks"]
    _run(tmp_path, "--quick", "--only", "reference", "--bundle", exported, *tracks)
    figures = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert set(figures) == {"environment", "reference"}
    assert figures["environment"]["data"] == "given"
    windows = make_windows(read_clips(dataset / "train", STGNF_FRAME_SIZE), stride=6)
    assert figures["reference"]["training_windows"] == len(windows)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "## Training and evaluation" in page
    assert "## Scaling" not in page


@pytest.mark.slow
def test_the_edge_is_compared_with_the_pose_only_loop(shared: Path, tmp_path: Path, bundle: Path) -> None:
    video = shared / "data/video/tfjs_pose_squats.mp4"
    model = shared / "models/pose_landmarker_lite.task"
    subprocess.run(
        [sys.executable, "-m", "calibration.cli", "alarm", "--bundle", bundle, "--poses",
         shared / "data/aihub/pose/train", "--quantile", "0.999"], cwd=REPOSITORY, check=True, capture_output=True,
    )  # fmt: skip
    tracks = (
        shared / "data/aihub/pose/train",
        shared / "data/aihub/pose/test",
        shared / "data/aihub/gt/test_frame_mask",
    )
    material = prepare(tmp_path, Effort(quick=True, rounds=1), bundle, tracks, video, model)
    cost = measure(material, Effort(quick=True, rounds=1))
    assert isinstance(cost, EdgeCost)
    assert cost.frames == 65
    assert cost.size == (720, 1280)
    assert cost.pose_only.median > 1
    assert cost.stages["pose"] > cost.stages["score"] > 0
    assert 0 < cost.around_share < 1


def test_a_video_is_looped_without_losing_a_frame(shared: Path, tmp_path: Path) -> None:
    looped = loop_video(shared / "data/video/tfjs_pose_squats.mp4", tmp_path / "loops.mp4", 3)
    with VideoSource(looped) as source:
        times = [frame.time for frame in source]
    assert len(times) == 3 * 65
    assert all(before < after for before, after in itertools.pairwise(times))


def test_without_a_pose_model_the_edge_is_skipped(tmp_path: Path) -> None:
    material = Material(
        tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, True, video=tmp_path, pose_model=None
    )
    assert measure(material, Effort()) == Skipped("--pose-model was not given")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--poses", "."], "--poses, --test and --masks go together"),
        (["--bundle", "nowhere"], "There is no nowhere."),
        (["--only", "weather"], "'weather' is not one of"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, [*options, "-o", str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output
    assert not list(tmp_path.iterdir())
