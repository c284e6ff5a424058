"""What operates the service agrees with the code: the example configuration, the unit of systemd, the images."""

from __future__ import annotations

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
from fnmatch import fnmatch
from pathlib import Path

import pytest

from runtime.cli import main as daflow_edge
from runtime.config.file import make_config, to_toml
from runtime.config.schema import Config
from runtime.doctor.config_checks import config_errors
from runtime.machine.board import Machine

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "daflow-edge.service"
IMAGES = [DEPLOY / "Dockerfile.x86", DEPLOY / "Dockerfile.jetpack6"]
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
    assert config.camera("door").people == "few"
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
    assert config.camera("hall").people == "many"
    assert config.camera("hall").alarm.threshold == 4.2
    assert config.camera("hall").alarm.update_seconds == 5
    assert config.mqtt.host
    assert config.webhook.url
    assert config.serve.token_file
    assert config.events


def test_what_the_check_finds_in_the_example_is_only_what_this_machine_lacks() -> None:
    found = config_errors(example(), Machine())
    for line in found:
        assert re.search("bundle|DOOR_PASSWORD|pose model", line), line
    assert any("There is no" in line or "bundle" in line for line in found)


# systemd


def directives(section: str) -> dict[str, list[str]]:
    """The settings of a section of the unit; one may be there several times."""
    found: dict[str, list[str]] = {}
    inside = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            inside = line.strip("[]")
        elif line and not line.startswith("#") and inside == section:
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_agrees_with_the_service() -> None:
    service = directives("Service")
    program, *words = shlex.split(service["ExecStart"][0])
    assert Path(program).name == "daflow-edge"
    known = {option for parameter in daflow_edge.params for option in parameter.opts}
    assert [word for word in words if word.startswith("-")] == ["--config"]
    assert "--config" in known
    assert Path(words[-1]).name == EXAMPLE.name
    assert service["Type"] == ["notify"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert service["UMask"] == ["0077"]
    assert service["User"] != ["root"]
    config = example()
    state = Path("/var/lib") / service["StateDirectory"][0]
    for path in (config.bundle, config.store.path, config.events or state / "events"):
        assert state in Path(str(path)).parents
    # A camera that stands still is the business of the service and not of systemd.
    assert float(service["WatchdogSec"][0]) > config.stall_seconds


def test_the_unit_names_no_secret_and_refers_to_the_file_that_has_them() -> None:
    text = UNIT.read_text()
    assert "EnvironmentFile=-/etc/daflow/secrets.env" in text
    assert not re.search(r"(?im)^Environment=.*(password|token|secret)", text)


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
        pytest.skip("systemd-analyze cannot judge units offline here")
    assert float(level[1]) <= 2.5


# Docker


def instructions(image: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order, each on one line."""
    text = re.sub(r"(?m)^#.*\n", "", image.read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def let_through(path: Path) -> bool:
    """Whether .dockerignore lets a path of the repository into the build; the last pattern that fits decides."""
    kept = True
    parts = path.relative_to(ROOT).parts
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.lstrip("!")
        if not pattern or line.startswith("#"):
            continue
        prefixes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        anywhere = pattern.startswith("**/") and pattern[3:] in parts
        if anywhere or any("/" not in prefix and fnmatch(prefix, pattern) for prefix in prefixes):
            kept = line.startswith("!")
    return kept


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_what_an_image_copies_is_there_and_let_through(image: Path) -> None:
    copies = [words for name, words in instructions(image) if name == "COPY" and "--from" not in words]
    assert copies
    for words in copies:
        *sources, _ = words.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert let_through(ROOT / source), source


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_gets_all_that_the_package_is_made_of(image: Path) -> None:
    copied = " ".join(words for name, words in instructions(image) if name == "COPY")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {package.split(".")[0] for package in project["tool"]["setuptools"]["packages"]}
    for name in (*packages, "pyproject.toml", project["project"]["readme"], "LICENSE", "constraints.txt"):
        assert re.search(rf"(?<!\S){re.escape(name)}(?!\S)", copied), name
    extras = re.findall(r"'?\"?\.\[([a-z,]+)\]", image.read_text())
    assert extras
    for extra in ",".join(extras).split(","):
        assert extra in project["project"]["optional-dependencies"]


def test_nothing_private_gets_into_a_build(tmp_path: Path) -> None:
    for name in (
        ".git/config",
        "tests/conftest.py",
        "edge.toml",
        "deploy/edge.toml",
        "secrets.env",
        "bundle/x",
    ):
        assert not let_through(ROOT / name), name
    assert not let_through(ROOT / "runtime" / "__pycache__" / "cli.cpython-311.pyc")
    assert let_through(ROOT / "runtime" / "web" / "static" / "index.html")


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_runs_the_service_without_rights_and_asks_for_its_health(image: Path) -> None:
    steps = instructions(image)
    names = [name for name, _ in steps]
    user = next(words for name, words in reversed(steps) if name == "USER")
    assert user not in ("root", "0")
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")
    assert json.loads(dict(steps)["ENTRYPOINT"]) == ["daflow-edge"]
    assert json.loads(dict(steps)["CMD"])[-1] == "/etc/daflow/edge.toml"
    port = str(example().serve.address).rpartition(":")[2]
    assert f"http://127.0.0.1:{port}/health" in dict(steps)["HEALTHCHECK"]
    assert not re.search(r"(?im)^(ENV|ARG)\s.*(password|token|secret)", image.read_text())


def test_the_packages_of_debian_are_there() -> None:
    """Those of the image for x86; those of L4T come from a registry that only Jetsons use."""
    apt_cache = shutil.which("apt-cache")
    if apt_cache is None or "bookworm" not in Path("/etc/os-release").read_text():
        pytest.skip("this is not Debian bookworm")
    line = next(
        words for name, words in instructions(IMAGES[0]) if name == "RUN" and "apt-get install" in words
    )
    wanted = re.search(r"--no-install-recommends\s+([^&]+)&&", line)
    assert wanted
    packages = wanted[1].split()
    done = subprocess.run([apt_cache, "policy", *packages], capture_output=True, text=True, check=True)
    if not done.stdout:
        pytest.skip("no lists of packages are here")
    for package in packages:
        assert re.search(rf"^{package}:\n.*\n  Candidate: \d", done.stdout, re.MULTILINE), package


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
