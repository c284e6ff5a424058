"""What operates the service agrees with the code: the example configuration, the unit of systemd, the images."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.cli import main as daflow_edge
from runtime.config.file import make_config, to_toml
from runtime.config.schema import Config
from runtime.doctor.config_checks import config_errors
from runtime.machine.board import Machine

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "daflow-edge.service"
IMAGES = [DEPLOY / f"Dockerfile.{name}" for name in ("x86", "jetpack6", "jetpack7")]
EXAMPLE = DEPLOY / "edge.toml"

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def example() -> Config:
    return make_config(EXAMPLE, {}, {})


# The configuration


def test_the_example_is_a_configuration() -> None:
    config = example()
    assert config.camera("door").people == "auto"
    assert config.privacy == "skeletons"
    assert config.store.path is not None
    again = tomllib.loads(to_toml(config))
    assert again["serve"]["address"] == config.serve.address


def test_the_example_is_one_with_all_its_comments_switched_on(tmp_path: Path) -> None:
    """What is commented out is a setting too, and not an old name."""
    text = re.sub(r"^#(?=[a-z_]+ = |\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path / "edge.toml"
    path.write_text(text)
    config = make_config(path, {}, {})
    assert config.camera("hall").people == "few"
    assert config.camera("hall").alarm.threshold == 4.2
    assert config.camera("hall").alarm.update_seconds == 5
    assert config.mqtt.host
    assert config.webhook.url
    assert config.serve.token_file
    assert config.events


def test_the_only_errors_in_the_example_are_what_is_missing_on_this_machine() -> None:
    found = config_errors(example(), Machine())
    for line in found:
        assert re.search("bundle|DOOR_PASSWORD|pose model", line), line
    assert any("There is no" in line or "bundle" in line for line in found)


# systemd


def setting(name: str) -> str:
    """A setting of the unit that is there once."""
    (value,) = re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())
    return str(value)


def test_the_service_can_write_what_the_example_names_and_outlives_a_stalled_camera() -> None:
    config = example()
    state = Path("/var/lib") / setting("StateDirectory")  # the only folder, by ProtectSystem=strict
    for path in (config.bundle_folder, config.store.path):
        assert state in Path(str(path)).parents
    assert float(setting("WatchdogSec")) > config.stall_seconds


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_the_health_check_of_an_image_asks_the_port_of_the_example(image: Path) -> None:
    assert f"http://{example().serve.address}/health" in dict(instructions(image))["HEALTHCHECK"]


def unit_that_can_be_checked(folder: Path) -> Path:
    """The unit with a program that is there, whatever is installed on this machine."""
    copy = folder / UNIT.name
    copy.write_text(re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", UNIT.read_text()))
    return copy


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    command = ["systemd-analyze", "verify", str(unit_that_can_be_checked(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Failed to initialize manager" in done.stderr:
        pytest.skip("systemd-analyze cannot work here")
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr, done.stderr


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    done = subprocess.run(
        [*command, str(unit_that_can_be_checked(tmp_path))], capture_output=True, text=True, check=False
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if level is None:
        pytest.skip("systemd-analyze cannot rate units offline here")
    assert float(level[1]) <= 2.5


# Docker


def instructions(image: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order, each on one line."""
    text = re.sub(r"(?m)^#.*\n", "", image.read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_installs_extras_and_starts_a_command_that_exist(image: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"'?\"?\.\[([a-z,]+)\]", image.read_text())
    assert extras
    assert set(",".join(extras).split(",")) <= set(project["optional-dependencies"])
    entry = json.loads(dict(instructions(image))["ENTRYPOINT"])[0]
    module, _, function = project["scripts"][entry].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_is_made_in_two_stages_and_says_what_it_is(image: Path) -> None:
    lines = instructions(image)
    stages = [words for name, words in lines if name == "FROM"]
    assert len(stages) == 2
    assert all(re.search(r":[\w.-]*\d", words) for words in stages), "the bases are pinned"
    last = lines[max(at for at, (name, _) in enumerate(lines) if name == "FROM") :]
    assert not any(
        "build-essential" in words or "pip install" in words for name, words in last if name == "RUN"
    )
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', dict(last)["LABEL"]))
    assert {"title", "description", "licenses", "version", "revision"} == set(labels)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["licenses"] == project["license"]


def test_the_command_line_of_the_images_and_of_the_unit_is_accepted() -> None:
    """With the shipped configuration in place of /etc/daflow/edge.toml."""
    started = [json.loads(dict(instructions(image))["CMD"]) for image in IMAGES]
    (program, *words) = shlex.split(re.findall(r"(?m)^ExecStart=(.*)$", UNIT.read_text())[0])
    assert Path(program).name == "daflow-edge"
    for options in (*started, words):
        here = [str(EXAMPLE) if word == "/etc/daflow/edge.toml" else word for word in options]
        ran = CliRunner().invoke(daflow_edge, [*here, "--print-config"])
        assert ran.exit_code == 0, ran.output
        assert tomllib.loads(ran.output)["people"] == "auto"


PACKAGES = ("daflow", "export", "calibration", "runtime")
NOT_OF_THE_EDGE = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxslim",
    "sklearn",
    "pyarrow",
    "ray",
    "tensorrt_rtx",
    "pytest",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package is what its wheel holds, made of what a build of the image sees.

    What the extra `edge` does not bring cannot be imported in it. A whole environment of its own takes minutes.
    """
    folder = tmp_path_factory.mktemp("image")
    source, target = folder / "source", folder / "target"
    source.mkdir()
    copies = (words for name, words in instructions(IMAGES[0]) if name == "COPY" and "--from" not in words)
    for name in (name for words in copies for name in words.split()[:-1]):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
    done = subprocess.run(
        [*pip, "--target", target, "."], cwd=source, capture_output=True, text=True, check=False
    )
    if re.search("Could not find a version|No matching distribution", done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    (target / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({NOT_OF_THE_EDGE}))\n"
    )
    return {**os.environ, "PYTHONPATH": str(target)}


def python(environment: dict[str, str], folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_wheel_has_what_the_edge_needs_and_no_tests(installed: dict[str, str]) -> None:
    target = Path(installed["PYTHONPATH"])

    def files_of(folder: Path) -> set[str]:
        found = (path for top in PACKAGES for path in (folder / top).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts}

    assert files_of(target) == files_of(ROOT)
    assert "runtime/web/static/index.html" in files_of(target)
    others = {path.name for path in target.iterdir() if path.is_dir() and not path.name.endswith("-info")}
    assert others - {"bin", "__pycache__"} == set(PACKAGES)


@pytest.mark.slow
def test_what_the_image_installs_runs_and_serves_its_page(
    installed: dict[str, str], exported: Path, tmp_path: Path
) -> None:
    where = python(installed, tmp_path, "-c", "import runtime; print(runtime.__file__)")
    assert installed["PYTHONPATH"] in where.stdout
    assert python(installed, tmp_path, "-c", "import torch").returncode != 0
    doctor = python(
        installed, tmp_path, "-m", "daflow.cli", "doctor", "--bundle", exported, "--source", "synthetic:"
    )
    assert "Traceback" not in doctor.stdout + doctor.stderr
    assert re.findall(r"(?m)^(?:FAIL|warn) +(\S+) +not installed", doctor.stdout) == []
    assert re.search(r"(?m)^ok +camera camera +synthetic:", doctor.stdout), doctor.stdout + doctor.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        sys.executable, "-m", "runtime.cli", "--bundle", exported, "--source", "synthetic:frames=0", "--realtime",
        "--threshold", "4", "--serve", address, "--store", tmp_path / "events.db",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=installed, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for path in ("", "static/app.js", "static/style.css", "health", "metrics"):
                assert ask(f"http://{address}/{path}", process)
        finally:
            process.terminate()
            said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def ask(url: str, process: subprocess.Popen[str], seconds: float = 30.0) -> bytes:
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, "daflow-edge ended"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() < deadline, url
            time.sleep(0.1)
