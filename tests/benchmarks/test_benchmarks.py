"""`python -m benchmarks` measures everything, and its page says what was found."""

from __future__ import annotations

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
from benchmarks.inputs import Inputs, Settings
from benchmarks.report import write_page
from benchmarks.results import Results
from benchmarks.run import MEASUREMENTS, measure_video
from benchmarks.scaling import Curve, Fit
from benchmarks.stgnf_algorithm import SpeedComparison, Task
from benchmarks.targets import Target
from runtime.machine.board import Machine
from runtime.machine.environment import environment
from runtime.profiling.statistics import Quartiles

REPOSITORY = Path(__file__).parents[2]


def _numbers(value: Any) -> Iterator[float]:
    """Every number in a tree of plain values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, float | int) and not isinstance(value, bool):
        yield float(value)


@pytest.mark.everything
def test_everything_is_measured_on_generated_people_and_a_video(shared: Path, tmp_path: Path) -> None:
    video, model = shared / "data/video/tfjs_pose_squats.mp4", shared / "models/pose_landmarker_lite.task"
    words = [sys.executable, "-m", "benchmarks", "--quick", "--video", video, "--pose-model", model]
    done = subprocess.run(
        [*map(str, words), "-o", str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert set(NAMES) <= set(figures)
    assert all(math.isfinite(number) for number in _numbers(figures))
    assert figures["data"] == "generated"
    assert figures["command"].startswith("python -m benchmarks --quick")

    assert set(figures["forms"]) == {"DA-Flow", "STG-NF block"}
    forms = figures["forms"]["DA-Flow"]["scorers"]
    assert set(forms["folded FP32"]["batches"]) == {"1", "8", "64"}
    ratios = [
        forms[name]["batches"]["1"]["ratio"] for name in ("folded FP32", "plain ONNX export", "PyTorch")
    ]
    assert ratios[1] == 1
    assert ratios == sorted(ratios)

    assert figures["training"]["reference_auc"] == pytest.approx(figures["training"]["our_auc"], abs=0.1)
    assert len(figures["training"]["tasks"]) == 4
    assert {"pose", "track", "score"} <= set(figures["edge"]["stages"])
    assert len(figures["edge"]["edge"]["overhead"]["rounds_by_clock"]) == 1
    assert len(figures["scaling"]) == 6
    assert all(len(curve["sizes"]) == len(curve["seconds"]) >= 2 for curve in figures["scaling"])
    assert len(figures["targets"]) == 7

    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert pictures == ["benchmarks-scaling.png"]
    assert (tmp_path / pictures[0]).read_bytes().startswith(b"\x89PNG")
    assert "nan" not in page
    assert "Not measured" not in page


def test_the_page_says_what_was_met_and_what_was_not_measured(tmp_path: Path) -> None:
    three = Quartiles(3.0, 2.0, 5.0)
    curve = Curve(
        "cameras", "cameras", "a frame", [1, 2, 4], [three] * 3, Fit(1.0, 0.9, 1.1), Fit(1.2, 1, 1.4)
    )
    results = Results(
        targets=[
            Target("overhead", "%", 4.0, False, three, "somehow"), Target("rate", "/s", 9.0, True, three, "somehow"),
        ],
        scaling=[curve],
        training=SpeedComparison([Task("an epoch", "windows/s", three, three, three)], 100, 8, 76.0, 76.0),
    )  # fmt: skip
    about = {
        "environment": environment(Machine()), "quick": False, "rounds": 3, "data": "given", "chosen": list(NAMES),
        "date": "2026-01-01T00:00+00:00", "command": "python -m benchmarks", "load_after": 0.5, "seconds": 9.0,
    }  # fmt: skip
    by_hand = "## Measured by other commands\n\n| what | figure |\n"
    (tmp_path / "benchmarks.md").write_text(f"# Benchmarks\n\nold figures\n\n{by_hand}")
    write_page(tmp_path, results, about)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert page.endswith(f"\n\n{by_hand}")
    assert "old figures" not in page
    assert "| overhead | at most 4 % | 3.00 (2.00 to 5.00) | met, within the noise | somehow |" in page
    assert "| rate | at least 9 /s | 3.00 (2.00 to 5.00) | **missed** | somehow |" in page
    assert "| 1.00 (0.90 to 1.10) | 1.20 (1.00 to 1.40) | **faster than the work** |" in page
    assert "| an epoch | 3 (2 to 5) windows/s | 3 (2 to 5) windows/s | 3.00x (2.00 to 5.00) |" in page
    assert re.findall(r"!\[[^]]+\]\(([^)]+)\)", page) == [path.name for path in tmp_path.glob("*.png")]
    assert "Not measured: edge, forms. The edge needs --video and --pose-model." in page
    plain = results.as_json()
    assert [(row["met"], row["conclusive"]) for row in plain["targets"]] == [(True, False), (False, True)]
    assert plain["scaling"][0]["fast_growing"]
    assert set(plain) == {"targets", "scaling", "training"}


def test_every_measurement_has_its_name_and_its_result() -> None:
    assert tuple(MEASUREMENTS) == NAMES
    assert set(vars(Results())) == set(NAMES)


def test_without_a_pose_model_the_edge_is_skipped(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, True, video=tmp_path, pose_model=None)
    assert measure_video(inputs, Settings()) is None


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
