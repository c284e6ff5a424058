from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daflow.core.bundle import Bundle
from runtime.profiling import main
from runtime.profiling.page import profile_page
from runtime.profiling.text import profile_text


def profile(bundle: Bundle, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["--bundle", str(bundle.folder), *map(str, arguments)])


@pytest.fixture
def content(profile_file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(profile_file.read_text())
    return found


def test_the_scorers_are_measured_by_size_with_ratio_and_bottleneck(content: dict[str, Any]) -> None:
    assert content["baseline"] == "onnxruntime fp32"
    (scorer,) = content["scorer_alone"]["scorers"].values()
    assert list(scorer["batches"]) == ["1", "4"]
    for size, row in scorer["batches"].items():
        call = row["call"]
        assert 0 < call["min_ms"] <= call["p50_ms"] <= call["p90_ms"] <= call["p99_ms"] <= call["max_ms"]
        assert len(call["rounds_ms"]) == 4
        assert row["ratio"] == 1.0
        assert row["compute"] is None  # ONNX Runtime tells the whole call only
        assert row["windows_per_second"] == pytest.approx(1000 * int(size) / call["p50_ms"])
    assert scorer["bottleneck"]
    assert content["left_out"] == ["tensorrt: no NVIDIA GPU is here"]


def test_every_stage_of_the_edge_is_there_and_the_shares_are_a_whole(content: dict[str, Any]) -> None:
    assert list(content["stages"]) == ["capture", "window", "score", "alarm", "sinks", "whole frame"]
    whole = content["stages"]["whole frame"]
    for name, row in content["stages"].items():
        assert 0 < row["p50_ms"] <= row["p99_ms"], name
        assert len(row["rounds_ms"]) == 4
    # The stages of each frame, added up; only a batch's score is shared by its frames.
    assert whole["p50_ms"] >= content["stages"]["window"]["min_ms"]
    edge = content["edge"]
    assert sum(edge["share"].values()) == pytest.approx(1)
    assert edge["frames_per_second"] > 25
    assert edge["person_frames_per_second"] == pytest.approx(2 * edge["frames_per_second"], rel=0.1)
    assert edge["overhead"] is None  # nothing is estimated
    assert edge["dropped"] == 0


def test_the_delay_is_counted_from_its_frame(content: dict[str, Any]) -> None:
    pace = content["pace"]
    assert 10 < pace["frames_per_second"] < 40
    assert pace["frames"] >= 5
    assert 0 < pace["delay"]["p50_ms"] < 1000


def test_the_cold_start_has_its_steps_in_order(content: dict[str, Any]) -> None:
    start = content["cold_start"]["without_poses"]
    steps = [start[step]["p50_ms"] for step in ("python", "import", "open", "frame", "score")]
    assert steps == sorted(steps)
    assert start["processor"]["p50_ms"] > 0
    assert all(30 < memory < 400 for memory in start["memory_mb"])
    assert content["cold_start"]["with_poses"] is None


def test_the_environment_is_told_in_full(content: dict[str, Any]) -> None:
    facts = content["environment"]
    assert facts["cores"] >= 1
    assert set(facts["packages"]) >= {"daflow", "numpy", "onnxruntime"}
    assert content["cost"]["peak_memory_mb"] > 30


def test_the_table_fits_its_terminal(profile_file: Path, content: dict[str, Any]) -> None:
    lines = profile_file.with_name("profile.txt").read_text().splitlines()
    assert max(map(len, lines)) <= 80
    for heading in ("The scorer alone", "The whole edge", "Cold start", "Cost", "Environment"):
        assert heading in lines
    wide = list(profile_text(content, 120))
    assert max(map(len, wide)) <= 120
    assert any("mean" in line for line in wide)
    assert not any("None" in line for line in (*lines, *wide))


def test_the_page_shows_distributions_and_runs_nothing(
    profile_file: Path, read_page: Callable[[str], Any]
) -> None:
    text = profile_file.with_name("profile.html").read_text()
    page = read_page(text)
    assert page.images == []
    assert text.count('<svg class="plot"') == 6  # two sizes with calls and rounds, stages, delays
    assert text.count('<path class="line') >= 2 + 6
    assert "prefers-color-scheme:dark" in text
    assert "nan" not in text.lower().replace("nano", "")
    assert "None" not in text


def test_names_cannot_break_the_page(content: dict[str, Any], read_page: Callable[[str], Any]) -> None:
    content["source"] = content["bundle"] = "<script>alert(1)</script>"
    assert "<script" not in profile_page(content)
    read_page(profile_page(content))


def test_a_profile_compares_with_itself(profile_file: Path) -> None:
    ran = CliRunner().invoke(main, ["compare", str(profile_file), str(profile_file)])
    assert ran.exit_code == 0, ran.output
    for name in (
        "onnxruntime fp32, 1 window",
        "edge: window",
        "cold start without poses",
        "memory without poses",
    ):
        assert name in ran.output


def test_the_module_is_the_command_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runtime.profiling", "--help"], capture_output=True, text=True, check=True
    )
    assert "--bundle" in done.stdout
    assert "compare" in done.stdout


@pytest.mark.parametrize("batch", ["", "0", "-1", "one", "1,,2", "1.5", "5000"])
def test_a_wrong_batch_is_refused(bundle: Bundle, batch: str) -> None:
    ran = profile(bundle, "--batch", batch)
    assert ran.exit_code == 2
    assert f"{batch!r} is not a list of numbers such as 1,8,32." in ran.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--precision", "int8"), "has no int8; it has fp32"),
        (("--scorer", "tensorrt"), "needs an NVIDIA GPU, and none was found"),
        (
            ("--baseline", "tensorrt fp16"),
            "There is no scorer 'tensorrt fp16' to compare with; measured are onnx",
        ),
        (("--source", "nowhere.mp4"), "nowhere.mp4"),
        (("--source", "synthetic:frames=5"), "is too short to measure"),
        (("--rounds", "3"), "3 is not in the range"),
    ],
)
def test_what_cannot_be_measured_is_said(bundle: Bundle, words: tuple[str, ...], message: str) -> None:
    ran = profile(bundle, "--batch", "1", "--seconds", "0.2", *words)
    assert ran.exit_code == 2, ran.output
    assert message in ran.output


def test_no_bundle_is_asked_for() -> None:
    ran = CliRunner().invoke(main, [])
    assert ran.exit_code == 2
    assert "Missing option '--bundle'" in ran.output


@pytest.mark.slow
def test_a_video_has_poses_and_the_overhead_over_them(bundle: Bundle, squats: Path, pose_model: Path) -> None:
    words = (
        "--batch",
        "1",
        "--source",
        squats,
        "--pose-model",
        pose_model,
        "--seconds",
        "2",
        "--rounds",
        "4",
    )
    ran = profile(bundle, *words, "--json", "-")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)  # and nothing else is printed
    assert {"capture", "pose", "track"} <= set(found["stages"])
    assert found["stages"]["pose"]["p50_ms"] > found["stages"]["track"]["p50_ms"]
    assert found["edge"]["pose_only"]["p50_ms"] > found["stages"]["pose"]["min_ms"]
    assert 0 < found["edge"]["overhead"]["by_camera"] < found["edge"]["overhead"]["by_stages"] < 0.5
    start = found["cold_start"]
    assert start["with_poses"]["score"]["p50_ms"] > start["without_poses"]["score"]["p50_ms"]
