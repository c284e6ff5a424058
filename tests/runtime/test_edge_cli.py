from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.command_line import OTHER_OPTIONS, option_groups
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import SUFFIX, write_clips
from runtime.cli import main, private_files
from runtime.service.service import Service

StartEdge = Callable[..., "subprocess.Popen[str]"]
ReadVideo = Callable[[Path], list[npt.NDArray[np.uint8]]]


def edge(bundle: Bundle | Path, *arguments: object) -> Result:
    """Run `daflow-edge` in this process; an unexpected exception fails the test."""
    folder = bundle if isinstance(bundle, Path) else bundle.folder
    ran = CliRunner().invoke(main, ["--bundle", str(folder), *map(str, arguments)])
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran


def events_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "copied"))


def test_a_whole_run_writes_events_scores_and_video(
    bundle: Bundle, tmp_path: Path, read_video: ReadVideo
) -> None:
    ran = edge(
        bundle, "--source", "synthetic:frames=150,seed=3",
        "--events", tmp_path / "e.jsonl", "--scores", tmp_path / "s.csv", "--video", tmp_path / "v.mp4",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    events = events_in(tmp_path / "e.jsonl")
    with (tmp_path / "s.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    assert bundle.manifest.alarm is not None
    threshold = bundle.manifest.alarm.threshold
    assert [row["frame"] for row in scores] == [str(index) for index in range(150)]
    assert len(read_video(tmp_path / "v.mp4")) == 150
    # The three tell the same story.
    begins = [event for event in events if event["event"] == "begin"]
    assert len(begins) >= 1
    assert re.search(rf": 150 frames in .* {len(begins)} alarms at threshold {threshold:.3f}", ran.output)
    for begin in begins:
        row = scores[begin["frame"]]
        assert (row["alarm"], row["person"]) == ("1", str(begin["person"]))
        assert float(row["score"]) == pytest.approx(begin["score"])
        assert begin["score"] > threshold
        assert scores[begin["frame"] - 1]["alarm"] == "0"


def test_the_umask_of_a_run_is_077_whatever_it_was() -> None:
    before = os.umask(0o277)
    try:
        with private_files():
            assert os.umask(0o077) == 0o077
        assert os.umask(before) == 0o277
    finally:
        os.umask(before)


def test_only_the_own_user_may_read_what_a_run_writes(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new"
    there = tmp_path / "there.csv"
    there.touch(mode=0o644)
    before = os.umask(0o022)
    seen: dict[str, int] = {}

    def look() -> None:
        seen.update({path.name: path.stat().st_mode for path in folder.rglob("*")})

    def run_and_look(service: Service) -> None:  # while the store is open, SQLite has files beside it
        run(service)
        look()

    run = Service.run
    monkeypatch.setattr(Service, "run", run_and_look)
    try:
        ran = edge(
            bundle, "--source", "synthetic:frames=80", "--threshold", -100, "--store", folder / "store" / "e.db",
            "--events", folder / "e.jsonl", "--scores", there, "--record", folder / "record",
            "--video", folder / "v.mp4",
        )  # fmt: skip
        look()
        assert os.umask(0o022) == 0o022, "as it was"
    finally:
        os.umask(before)
    assert ran.exit_code == 0, ran.output
    assert {"store", "record", "e.db", "e.db-wal", "e.db-shm", "e.db.lock", "e.jsonl", "v.mp4"} <= set(seen)
    assert any(name.endswith(SUFFIX) for name in seen)
    for name, mode in seen.items():
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), name
    assert stat.S_IMODE(there.stat().st_mode) == 0o644, "what is there keeps its mode"


def test_the_options_decide_when_an_alarm_begins_and_ends(bundle: Bundle, tmp_path: Path) -> None:
    options = ("--source", "synthetic:frames=80", "--threshold", -100, "--begin-seconds", 0.36)
    assert edge(bundle, *options, "--events", tmp_path / "e").exit_code == 0
    begin, end = events_in(tmp_path / "e")
    assert (begin["threshold"], begin["frame"], end["frame"]) == (-100, 23 + 9, 79)
    assert "0 alarms" in edge(bundle, "--source", "synthetic:frames=80", "--threshold", 1000).output


def test_max_frames_ends_the_run(bundle: Bundle, tmp_path: Path) -> None:
    ran = edge(bundle, "--source", "synthetic:", "--max-frames", 7, "--scores", tmp_path / "s.csv")
    assert "camera camera (synthetic:): 7 frames" in ran.output
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 8


def test_windows_that_cannot_be_scored_are_reported(bundle: Bundle, tmp_path: Path) -> None:
    clip, _ = generate_clip("01_0001", 3, Scene(frames=60, people=1, missed_poses=0))
    clip.tracks[0].keypoints[30:46] = np.nan
    write_clips(tmp_path, [clip])
    ran = edge(bundle, "--source", f"tracks:{tmp_path / f'01_0001{SUFFIX}'}")
    assert re.search(r"\b\d+ windows do not show the shoulders and hips", ran.output)
    clip.tracks[0].keypoints[:] = 100.0
    write_clips(tmp_path, [clip])
    ran = edge(bundle, "--source", f"tracks:{tmp_path / f'01_0001{SUFFIX}'}")
    assert "37 windows could not be scored (NaN or zero variance)" in ran.output


def assert_fails(ran: Result, *words: str) -> None:
    """The command failed with exit code 2 and one line that holds the words."""
    assert ran.exit_code == 2
    lines = ran.output.strip().splitlines()
    assert len(lines) == 1, ran.output
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]


SYNTHETIC = ("--source", "synthetic:frames=30")


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    assert_fails(edge(tmp_path / "none", *SYNTHETIC), "none is not a bundle", "'daflow-export' writes one")


def test_a_changed_byte_in_the_graph_is_refused(copied: Path) -> None:
    graph = copied / "scorer.fp32.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    assert_fails(edge(copied, *SYNTHETIC), "scorer.fp32.onnx was changed since the bundle was written")


def test_a_bundle_without_a_threshold_says_how_to_calibrate(copied: Path) -> None:
    manifest = read_bundle(copied).manifest.model_copy(update={"alarm": None})
    write_manifest(copied, manifest)
    assert_fails(edge(copied, *SYNTHETIC), "has no alarm threshold", "daflow-calibrate alarm", "--threshold")
    assert edge(copied, *SYNTHETIC, "--threshold", 5).exit_code == 0


def test_a_precision_that_the_bundle_lacks_is_named(bundle: Bundle) -> None:
    assert_fails(edge(bundle, *SYNTHETIC, "--precision", "fp16"), "has no fp16 graph; it has fp32")


def test_a_release_above_the_threshold_is_refused(bundle: Bundle) -> None:
    ran = edge(bundle, *SYNTHETIC, "--threshold", 5, "--release", 6)
    assert_fails(ran, "--release 6 must not be above the threshold 5")


@pytest.mark.parametrize("threshold", ["inf", "1e300", "nan"])
def test_a_threshold_must_be_a_number_that_can_be_drawn(
    bundle: Bundle, tmp_path: Path, threshold: str
) -> None:
    ran = edge(bundle, *SYNTHETIC, "--threshold", threshold, "--video", tmp_path / "v.mp4")
    assert ran.exit_code == 2
    assert "hreshold" in ran.output
    assert "--release" not in ran.output
    assert not (tmp_path / "v.mp4").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--scorer", "abacus"], "'abacus' is not one of 'onnxruntime', 'tensorrt'"),
        (["--precision", "int4"], "'int4' is not one of 'auto', 'fp32', 'fp16', 'int8'"),
        (["--precision", "int8"], "has no int8 graph; it has fp32"),
        (["--begin-seconds", "-1"], "--begin-seconds: Input should be greater than or equal to 0"),
        (["--max-frames", "many"], "--max-frames: Input should be a valid integer"),
        (["--max-people", "101"], "--max-people: Input should be less than or equal to 100"),
        (["--colour", "red"], "No such option"),
    ],
)
def test_a_wrong_option_is_named(bundle: Bundle, options: list[str], error: str) -> None:
    ran = edge(bundle, *SYNTHETIC, *options)
    assert ran.exit_code == 2
    assert error in ran.output


def test_a_video_without_a_pose_model_says_how_to_get_one(
    bundle: Bundle, tmp_path: Path, record_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "empty"))
    ran = edge(bundle, "--source", record_video(tmp_path / "video.mp4"))
    assert_fails(
        ran,
        f"{tmp_path / 'empty'} does not have pose-lite",
        "5.8 MB, licence Apache-2.0",
        "--pose-model FILE",
    )
    assert_fails(ran, "'daflow models fetch pose-lite'")
    assert not any((tmp_path / "empty").iterdir())


@pytest.mark.parametrize("option", ["--events", "--scores", "--video"])
def test_an_output_that_cannot_be_written_is_named(bundle: Bundle, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    ran = edge(bundle, *SYNTHETIC, option, tmp_path / "file" / "folder" / "output")
    assert_fails(ran, str(tmp_path / "file"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("option", ["--events", "--scores"])
def test_a_full_disk_is_said_at_the_end(bundle: Bundle, option: str) -> None:
    ran = edge(bundle, "--source", "synthetic:frames=60", "--threshold", -100, option, "/dev/full")
    assert ran.exit_code == 2
    assert "No space left on device" in ran.output.splitlines()[-1]
    assert "60 frames" in ran.output  # it stopped nothing


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_does_not_crash_the_video(start_edge: StartEdge) -> None:
    process = start_edge("--source", "synthetic:frames=60", "--video", "/dev/full")
    _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "No space left on device" in log


@pytest.mark.parametrize("source", ["text.mp4", "missing.mp4", "tracks:missing.json", "synthetic:people=0"])
def test_a_wrong_source_is_one_line(bundle: Bundle, tmp_path: Path, source: str) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    uri = str(tmp_path / source) if source.endswith(".mp4") else source
    assert_fails(edge(bundle, "--source", uri))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--video", "out.avi"], "ends in .mp4"),
        (["--video", "out"], "ends in .mp4"),
        (["--video", "v" * 300 + ".mp4"], "255"),
        (["--video", "."], "."),
        (["--scores", "x", "--events", "x"], "--events and --scores would both write x"),
        (["--scores", "in.mp4", "--source", "second=./in.mp4"], "overwrite in.mp4"),
        (["--store", "folder"], "is a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_opened(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "in.mp4").write_text("a recording")
    monkeypatch.setattr("runtime.cli.Service", lambda *_, **__: pytest.fail("started"))
    assert_fails(edge(bundle, *SYNTHETIC, *options), error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.mp4"]
    assert (tmp_path / "in.mp4").read_text() == "a recording"


def test_a_video_does_not_overwrite_the_recording_that_is_watched(bundle: Bundle, tmp_path: Path) -> None:
    recording = tmp_path / "in.mp4"
    recording.write_text("a recording")
    assert_fails(edge(bundle, "--source", recording, "--video", tmp_path / "." / "in.mp4"), "would overwrite")
    assert recording.read_text() == "a recording"


def test_help_shows_the_options_in_groups() -> None:
    groups = option_groups(main)
    assert list(groups)[:2] == ["Configuration", "Cameras and recordings"]
    assert [parameter.name for parameter in groups[OTHER_OPTIONS]] == ["version"]
    output = CliRunner().invoke(main, ["--help"]).output
    places = [output.index(f"\n{group}:\n") for group in groups]
    assert places == sorted(places)
    assert re.search(r"--bundle PATH", output)
    assert re.search(r"--record PATH", output)
    assert re.search(r"--video FILE", output)


def test_help_names_every_option() -> None:
    ran = CliRunner().invoke(main, ["--help"])
    assert ran.exit_code == 0
    named = {option for parameter in main.params for option in parameter.opts}
    assert {"--bundle", "--source", "--events", "--video", "--pose-model"} <= named
    assert [option for option in named if option not in ran.output] == []
    assert all(getattr(parameter, "help", None) for parameter in main.params)


def test_the_command_as_it_is_installed_starts() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("daflow, version ")


REPORT_HEAVY = "print('imported:', sorted({'torch', 'onnx', 'matplotlib'} & set(sys.modules)))"


def heavy_imports(code: str, *arguments: object) -> str:
    """Run code in a fresh interpreter and return which heavy packages it imported."""
    command = [sys.executable, "-c", f"import sys\n{code}\n{REPORT_HEAVY}", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return ran.stdout.strip().splitlines()[-1]


def test_no_module_of_the_runtime_imports_torch_onnx_or_matplotlib() -> None:
    code = """
import importlib, pkgutil, runtime
for module in pkgutil.walk_packages(runtime.__path__, 'runtime.'):
    importlib.import_module(module.name)
"""
    assert heavy_imports(code) == "imported: []"


def test_a_run_imports_no_torch_onnx_or_matplotlib(bundle: Bundle, tmp_path: Path) -> None:
    clip, _ = generate_clip("01_0001", 3, Scene(frames=60))
    write_clips(tmp_path, [clip])
    code = """
import runpy
try:
    runpy.run_module('runtime.cli', run_name='__main__')
except SystemExit as ended:
    assert not ended.code, ended.code
"""
    tracks = f"tracks:{tmp_path / f'01_0001{SUFFIX}'}"
    outputs = ("--events", tmp_path / "e", "--scores", tmp_path / "s", "--video", tmp_path / "v.mp4")
    assert heavy_imports(code, "--bundle", bundle.folder, "--source", tracks, *outputs) == "imported: []"
    assert len((tmp_path / "s").read_text().splitlines()) > 24


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_everything_written(
    tmp_path: Path, start_edge: StartEdge, read_video: ReadVideo, number: signal.Signals
) -> None:
    events, scores, video = tmp_path / "e.jsonl", tmp_path / "s.csv", tmp_path / "v.mp4"
    process = start_edge(
        "--source", "synthetic:frames=20000,people=1", "--threshold", -100,
        "--events", events, "--scores", scores, "--video", video,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (events.exists() and events.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    said, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    frames = len(scores.read_text().splitlines()) - 1
    assert 24 < frames < 20000
    assert f": {frames} frames in " in said
    kinds = [event["event"] for event in events_in(events)]
    assert kinds == ["begin", *["update"] * (len(kinds) - 2), "end"]
    assert len(read_video(video)) == frames


def run_on_video(bundle: Bundle, video: Path, pose_model: Path, output: Path) -> Result:
    return edge(
        bundle, "--source", video, "--pose-model", pose_model, "--threshold", 0,
        "--events", output / f"{video.stem}.jsonl", "--video", output / f"{video.stem}.mp4",
    )  # fmt: skip


def test_a_recorded_fall_becomes_events_and_a_video(
    bundle: Bundle, shared: Path, pose_model: Path, tmp_path: Path, read_video: ReadVideo
) -> None:
    ran = run_on_video(bundle, shared / "data" / "urfd" / "fall-01.mp4", pose_model, tmp_path)
    assert ran.exit_code == 0, ran.output
    kinds = [event["event"] for event in events_in(tmp_path / "fall-01.jsonl") if event["event"] != "update"]
    assert kinds
    assert kinds == ["begin", "end"] * (len(kinds) // 2)
    pictures = read_video(tmp_path / "fall-01.mp4")
    assert len(pictures) == 160
    assert pictures[0].shape == (360 + 96, 480, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clips", "count"),
    [("fall-0[19]", 2), pytest.param("fall-*", 15, marks=pytest.mark.everything)],
)
def test_recorded_falls_run_without_an_error(
    bundle: Bundle,
    shared: Path,
    pose_model: Path,
    tmp_path: Path,
    read_video: ReadVideo,
    clips: str,
    count: int,
) -> None:
    videos = sorted((shared / "data" / "urfd").glob(f"{clips}.mp4"))
    assert len(videos) == count
    for video in videos:
        ran = run_on_video(bundle, video, pose_model, tmp_path)
        assert ran.exit_code == 0, f"{video.name}: {ran.output}"
        assert len(read_video(tmp_path / video.name)) == len(read_video(video))


def test_a_recording_whose_rate_cannot_be_scored_is_no_quiet_success(bundle: Bundle) -> None:
    ran = edge(bundle, "--source", "hall=synthetic:fps=3,frames=60,event=none")
    assert ran.exit_code == 2
    assert "nobody was scored: 3 frames per second are too few for a model of 25" in ran.output
