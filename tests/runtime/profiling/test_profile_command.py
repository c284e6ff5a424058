from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daflow.core.bundle import Bundle
from runtime.profiling import main
from runtime.profiling.overhead import compare_with_pose_only
from runtime.profiling.page import profile_page
from runtime.profiling.profile import Profile, read_profile
from runtime.profiling.tables import delays
from runtime.profiling.text import profile_text


def profile(bundle: Bundle, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["--bundle", str(bundle.folder), *map(str, arguments)])


@pytest.fixture
def measured(profile_file: Path) -> Profile:
    return read_profile(profile_file)


def test_every_part_is_measured(measured: Profile) -> None:
    assert measured.baseline == "onnxruntime fp32"
    assert measured.skipped == ["tensorrt needs an NVIDIA GPU, and none was found."]
    (scorer,) = measured.scorer_alone.scorers.values()
    assert list(scorer.batches) == [1, 4]
    assert all(len(batch.call.rounds_ms) == 4 and not batch.phases for batch in scorer.batches.values())
    assert list(measured.stages) == ["capture", "window", "score", "alarm", "sinks", "whole frame"]
    assert all(len(timing.rounds_ms) == 4 for timing in measured.stages.values())
    assert measured.edge.overhead is None  # no poses are estimated
    assert set(measured.environment["packages"]) >= {"daflow", "numpy", "onnxruntime"}


def test_shares_rates_and_steps_agree_with_each_other(measured: Profile) -> None:
    edge, pace = measured.edge, measured.pace
    assert sum(edge.share.values()) == pytest.approx(1)
    assert edge.person_frames_per_second == pytest.approx(2 * edge.frames_per_second, rel=0.1)
    # The stages of each frame, added up; only a batch's score is shared by its frames.
    assert measured.stages["whole frame"].min_ms >= measured.stages["window"].min_ms
    assert pace.frames_per_second == pytest.approx((pace.frames - 1) / pace.seconds)
    start = measured.cold_start.without_poses
    assert start
    steps = [step.p50_ms for step in start.steps.values() if step]
    assert len(steps) == 5
    assert steps == sorted(steps)
    assert start.imported
    assert start.python
    assert start.imported.p50_ms > 2 * start.python.p50_ms  # nothing is imported before the clock starts
    assert measured.cold_start.with_poses is None


def test_the_table_fits_its_terminal(profile_file: Path, measured: Profile) -> None:
    lines = profile_file.with_name("profile.txt").read_text().splitlines()
    assert max(map(len, lines)) <= 80
    for heading in ("The scorer alone", "The whole edge", "Cold start", "Cost", "Environment"):
        assert heading in lines
    server = {
        **measured.environment,
        "processor": "Intel(R) Xeon(R) Processor (x86_64)",
        "gpu": "NVIDIA H100 80GB, sm90",
    }
    narrow = list(profile_text(measured.model_copy(update={"environment": server}), 80))
    assert max(map(len, narrow)) <= 80
    wide = list(profile_text(measured, 120))
    assert max(map(len, wide)) <= 120
    assert any("mean" in line for line in wide)
    assert not any("None" in line for line in (*lines, *wide))


def test_the_page_shows_distributions_and_runs_nothing(
    profile_file: Path, measured: Profile, read_page: Callable[[str], Any]
) -> None:
    text = profile_file.with_name("profile.html").read_text()
    page = read_page(text)
    assert page.images == []
    assert text.count('<svg class="plot"') == 6  # two sizes with calls and rounds, stages, delays
    assert text.count('<path class="line') == 2 + len(measured.stages) + len(delays(measured))
    assert "prefers-color-scheme:dark" in text
    assert "nan" not in text.lower().replace("nano", "")
    assert "None" not in text


def test_the_overhead_over_pose_estimation_is_said(old_profile: Profile) -> None:
    alone = [[0.010, 0.010], [0.020, 0.020]]
    whole = [[0.011, 0.011], [0.024, 0.024]]
    totals = {"capture": 1.0, "pose": 9.0, "track": 0.1, "window": 0.2, "score": 0.5}
    overhead = compare_with_pose_only(alone, alone, whole, whole, totals, handed_over=0.1)
    assert overhead.by_camera == pytest.approx(0.04)
    assert overhead.by_stages == pytest.approx(0.08)
    assert overhead.rounds_by_clock == pytest.approx([0.1, 0.2])
    edge = old_profile.edge.model_copy(update={"overhead": overhead, "pose_only": old_profile.edge.frame})
    profile = old_profile.model_copy(update={"edge": edge})
    for text in ("\n".join(profile_text(profile, 10_000)), profile_page(profile)):
        assert "the camera's thread does 4.0 % more" in html.unescape(text)
        assert "a frame takes +15.0 % (+12.5 to +17.5) more time" in text
        assert "pose only" in text


def test_names_cannot_break_the_page(old_profile: Profile, read_page: Callable[[str], Any]) -> None:
    script = "<script>alert(1)</script>"
    text = profile_page(old_profile.model_copy(update={"source": script, "bundle": script}))
    assert "<script" not in text
    read_page(text)


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
def test_what_cannot_be_measured_is_said(
    bundle: Bundle, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.profiling.run._COLD_STARTS", 1)
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    ran = profile(bundle, "--batch", "1", "--seconds", "0.2", *words)
    assert ran.exit_code == 2, ran.output
    assert message in ran.output


@pytest.mark.everything
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
    found = Profile.model_validate_json(ran.stdout)  # and nothing else is printed
    assert {"capture", "pose", "track"} <= set(found.stages)
    assert found.edge.pose_only
    assert found.edge.overhead
    assert len(found.edge.overhead.rounds_by_clock) == 4
    assert found.cold_start.with_poses
    assert found.cold_start.with_poses.score


def test_the_headline_says_whether_poses_are_included(measured: Profile) -> None:
    with_poses = measured.edge.model_copy(update={"share": {**measured.edge.share, "pose": 0.9}})
    for edge, words in ((measured.edge, "without pose estimation"), (with_poses, "with pose estimation")):
        profile = measured.model_copy(update={"edge": edge})
        cards = re.findall(r"<small>(.*?)</small>", profile_page(profile))
        assert [words in card for card in cards[1:3]] == [True, True]
        assert f"At full speed, {words}:" in "\n".join(profile_text(profile, 10_000))


def test_a_pose_estimator_that_is_not_there_is_refused_before_the_scorers_are_measured(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_video: Callable[..., Path]
) -> None:
    monkeypatch.setattr("runtime.profiling.run.open_candidates", lambda *_: pytest.fail("measured"))
    video = record_video(tmp_path / "video.mp4")
    result = profile(bundle, "--source", video, "--pose-model", tmp_path / "none.task")
    assert result.exit_code == 2
    assert "none.task" in result.output
