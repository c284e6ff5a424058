"""Every command of the pages in docs/ runs, in the order of the page, on generated data, and the README's in pairs.

Each page has a folder of its own, in which there is what the page takes for granted (`Material`). A block is run by
bash as it stands there. So that it is quick, the commands that bash finds are small programs which call the real ones
and append the options of `QUICK`; click takes the last of two values. Videos show a bright shape, and what finds people
in them is the pose estimator that docs/pose-estimators.md explains, installed beside the commands.

A block that cannot run here has a comment directly above it, `<!-- not run: the reason -->`.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from calibration.cli import main as calibrate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
QUICK = {
    "daflow generate": "--train-clips 4 --test-clips 3 --frames 240",
    "daflow train": "--epochs 2",
    "daflow poses": "--estimator bright --workers 1",
    "daflow-export model.pt": "--verify-on {dataset}/test --masks {dataset}/masks",
    "daflow evaluate --videos": "--workers 1",
    "daflow score": "--workers 1",
    "daflow-edge --config": "--estimator bright",
    "daflow-profile": "--seconds 0.2 --rounds 4",
}
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^>]*) -->\n)?^```(?P<language>bash|python)\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of a page that could run; `reason` says why it does not."""

    language: str
    code: str
    reason: str | None

    @property
    def runs(self) -> bool:
        return self.reason is None and (self.language == "bash" or self.code.startswith("# runnable\n"))


def blocks(page: Path) -> list[Block]:
    found = BLOCK.finditer(page.read_text())
    return [Block(match["language"], match["code"], match["reason"]) for match in found]


PAGES = [
    page
    for page in sorted(DOCS.glob("**/*.md"))
    if page.stem != "library"
    and any(block.runs for block in blocks(page))  # tests/daflow/test_library.py runs that
]


WALKS = ("jetson", "precision", "quick-start", "train-your-own-camera")
"""Pages that walk the whole path, which the test of the demo does in every run; these are for --everything."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> dict[str, str]:
    """An environment in which bash finds our commands, quick ones, and the estimator of the docs."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "bin").mkdir()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, place in scripts.items():
        module, _, attribute = place.partition(":")
        quick = {
            tuple(words.split()[1:]): more.format(dataset=dataset).split()
            for words, more in QUICK.items()
            if words.split()[0] == name
        }
        (folder / "bin" / name).write_text(
            f"#!{sys.executable}\nimport sys\nfrom {module} import {attribute} as command\n"
            f"for words, more in {quick!r}.items():\n"
            "    if sys.argv[1:len(words) + 1] == list(words):\n        sys.argv += more\n"
            f"command(prog_name={name!r})\n"
        )
        (folder / "bin" / name).chmod(0o755)
    (folder / "bin" / "python").symlink_to(sys.executable)
    estimator, _ = re.findall(r"```python\n(.*?)```", (DOCS / "pose-estimators.md").read_text(), re.DOTALL)
    (folder / "bright.py").write_text(estimator)
    (folder / "bright-1.0.dist-info").mkdir()
    (folder / "bright-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: bright\nVersion: 1.0\n"
    )
    (folder / "bright-1.0.dist-info" / "entry_points.txt").write_text(
        "[daflow.pose_estimators]\nbright = bright:ThermalPoses\n"
    )
    return {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{folder}:{ROOT}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }


@dataclass(frozen=True)
class Material:
    """What was made once for all pages."""

    dataset: Path
    checkpoint: Path
    bundle: Path
    calibrated: Path

    def readme(self, folder: Path) -> None:
        """All that any command of the README reads."""
        (folder / "recordings").mkdir()
        for number in range(2):
            write_video(folder / "recordings" / f"morning-{number}.mp4", number)
        shutil.copytree(self.dataset / "train", folder / "tracks")
        shutil.copy(self.checkpoint, folder / "model.pt")
        shutil.copytree(self.calibrated, folder / "bundle")

    def quick_start(self, folder: Path) -> None:
        """It begins with nothing."""

    def train_your_own_camera(self, folder: Path) -> None:
        (folder / "recordings").mkdir()
        for number in range(2):
            write_video(folder / "recordings" / f"morning-{number}.mp4", number)
        (folder / "recordings-labelled").mkdir()
        lines = ["clip,frame,label"]
        for number in range(1, 5):
            write_video(folder / "recordings-labelled" / f"fall-{number:02d}.mp4", number, falls=True)
            lines += [f"fall-{number:02d},{frame},{int(frame >= FALL)}" for frame in range(FRAMES)]
        (folder / "labels.csv").write_text("\n".join(lines) + "\n")

    def alarms(self, folder: Path) -> None:
        shutil.copytree(self.bundle, folder / "bundle")  # it will be calibrated
        for name in ("normal", "held-out", "normal-stairs"):
            (folder / name).symlink_to(self.dataset / "train")

    def jetson(self, folder: Path) -> None:
        (folder / "model.pt").symlink_to(self.checkpoint)
        (folder / "normal").symlink_to(self.dataset / "train")

    def precision(self, folder: Path) -> None:
        self.jetson(folder)
        (folder / "test").symlink_to(self.dataset / "test")
        (folder / "masks").symlink_to(self.dataset / "masks")

    def model(self, folder: Path) -> None:
        """It needs nothing."""

    def models(self, folder: Path) -> None:
        """It needs nothing."""

    def operating(self, folder: Path) -> None:
        (folder / "bundle").symlink_to(self.calibrated)

    def file_formats(self, folder: Path) -> None:
        pytest.importorskip("tensorrt_rtx")
        (folder / "bundle").symlink_to(self.bundle)


FRAMES, FALL = 120, 70


def write_video(path: Path, seed: int, falls: bool = False) -> None:
    """Write a video of a bright shape that walks through a dark picture, and in the end perhaps lies."""
    av = pytest.importorskip("av")
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(FRAMES):
            picture = np.full((240, 320, 3), 30, dtype=np.uint8)
            lying = falls and index >= FALL
            width = 80 if lying else int(30 + 8 * np.sin(index / 3 + seed) + rng.integers(0, 3))
            height = 28 if lying else int(100 + 4 * np.cos(index / 2) + rng.integers(0, 3))
            left, bottom = 30 + index, 220
            picture[bottom - height : bottom, left : left + width] = 230
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def run_block(block: Block, folder: Path, programs: dict[str, str]) -> None:
    shell = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*shell, block.code],
        cwd=folder,
        env=programs,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr


@pytest.fixture(scope="module")
def material(
    dataset: Path, checkpoint_file: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Material:
    calibrated = Path(shutil.copytree(exported, tmp_path_factory.mktemp("material") / "calibrated"))
    words = ["alarm", "--bundle", calibrated, "--poses", dataset / "train"]
    result = CliRunner().invoke(calibrate, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return Material(dataset, checkpoint_file, exported, calibrated)


def test_every_page_that_runs_has_its_material() -> None:
    assert {page.stem.replace("-", "_") for page in PAGES} <= set(vars(Material))
    assert len(STEPS) == 6


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.stem)
def test_what_does_not_run_says_why(page: Path) -> None:
    reasons = [block.reason for block in blocks(page) if block.reason is not None]
    assert page.read_text().count("<!-- not run") == len(reasons), "a comment is not directly above its block"
    for reason in reasons:
        assert len(reason) >= 10, f"{page.name}: not run: {reason}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.everything] if page.stem in WALKS else [], id=page.stem)
        for page in PAGES
    ],
)
def test_every_command_runs(page: Path, tmp_path: Path, material: Material, programs: dict[str, str]) -> None:
    prepare: Callable[[Path], None] = getattr(material, page.stem.replace("-", "_"))
    prepare(tmp_path)
    for block in blocks(page):
        if block.runs:
            run_block(block, tmp_path, programs)


STEPS = [
    line.partition("  #")[0].strip()
    for line in next(
        block.code for block in blocks(ROOT / "README.md") if "daflow models fetch" in block.code
    ).splitlines()
    if line.startswith("daflow")
]
"""The commands of the README, from the pose model to the live page."""

WRITES = {
    "daflow poses": "tracks",
    "daflow train": "model.pt",
}
"""What a command writes, which must not lie there already when it is tried with its neighbour."""

AFTER_EXPORT = (
    "daflow-edge --bundle bundle/ --source synthetic:seed=3,event=fall",
    "daflow-profile --bundle bundle/",
    "daflow-export inspect bundle/",
    "daflow-calibrate check --bundle bundle/ --poses tracks/",
    "daflow evaluate --model bundle/ --poses {dataset}/test --masks {dataset}/masks",
    "daflow score --model bundle/ --poses tracks/ -o scores/",
    "daflow doctor --bundle bundle/ || test $? = 1",
)
"""What else may be typed after an export: no command needs another one that the README does not name before it."""


def here(command: str, dataset: Path) -> Block:
    """A command with a source that is here and ends in place of a camera."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for there, instead in (
        ("{dataset}", str(dataset)),
        ("rtsp://10.0.0.5/live", "synthetic:seed=3,event=fall"),
        (":8080", f":{port}"),
        ("--fp16", "--fp32 --no-engine"),  # tests/daflow/commands/test_demo.py exports both and an engine
    ):
        command = command.replace(there, instead)
    return Block("bash", command, None)


@pytest.fixture(scope="module")
def just_exported(
    tmp_path_factory: pytest.TempPathFactory, material: Material, programs: dict[str, str]
) -> Path:
    """A folder in which a model was trained and exported, and nothing else was done."""
    folder = tmp_path_factory.mktemp("just-exported")
    shutil.copytree(material.dataset / "train", folder / "tracks")
    for command in STEPS[2:4]:
        run_block(here(command, material.dataset), folder, programs)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, len(STEPS) - 1), ids=lambda first: STEPS[first].split(" -")[0])
def test_neighbours_of_the_readme_run_in_a_new_folder(
    first: int, tmp_path: Path, material: Material, programs: dict[str, str], request: pytest.FixtureRequest
) -> None:
    pair = STEPS[first : first + 2]
    if any(command.startswith("daflow-export") for command in pair):  # an export is slow, and once is enough
        shutil.copytree(request.getfixturevalue("just_exported"), tmp_path, dirs_exist_ok=True)
        pair = [command for command in pair[1:] if not command.startswith("daflow-export")]
    else:
        material.readme(tmp_path)
    for words, written in WRITES.items():
        if any(command.startswith(words) for command in pair):
            path = tmp_path / written
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for command in pair:
        run_block(here(command, material.dataset), tmp_path, programs)


@pytest.mark.slow
@pytest.mark.parametrize("command", AFTER_EXPORT, ids=lambda command: " ".join(command.split()[:2]))
def test_whatever_follows_an_export_runs(
    command: str, tmp_path: Path, just_exported: Path, material: Material, programs: dict[str, str]
) -> None:
    shutil.copytree(just_exported, tmp_path, dirs_exist_ok=True)
    run_block(here(command, material.dataset), tmp_path, programs)
