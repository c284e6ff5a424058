"""What several test modules share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock
from hypothesis import settings
from torch import nn

from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.resampling import sample
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import Clip, Track, read_clips
from daflow.core.data.windows import make_windows
from daflow.core.evidence import CHANNELS
from daflow.core.gpu import load_tensorrt
from daflow.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model.flow import DAFlow
from daflow.model.stgnf import read_stgnf

# A slow machine must not fail a test, and the same change must not pass once and fail once.
settings.register_profile("the same every time", deadline=None, derandomize=True)
settings.register_profile("others every time", deadline=None)
settings.load_profile("the same every time")

SLOWEST_FIRST = (
    "test_docs_run.py",
    "test_commission.py",
    "test_demo.py",
    "test_edge_service.py",
    "test_page.py",
    "test_trainer.py",
    "test_service.py",
    "test_cli.py",
    "test_aihub.py",
    "test_studies.py",
    "test_wheels.py",
)
"""Files that take longest begin first, so that at the end no worker waits for another."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--everything` also runs what takes minutes, among it the fuzzers."""
    parser.addoption("--everything", action="store_true", help="Also run the tests that take minutes.")
    parser.addoption("--fuzz-seconds", type=float, default=5.0, help="How long each fuzzer runs.")
    parser.addoption("--fuzz-seed", type=int, default=0, help="The inputs that each fuzzer begins with.")


def pytest_configure(config: pytest.Config) -> None:
    """With `--everything` properties are tried on other inputs every time."""
    if config.getoption("--everything"):
        settings.load_profile("others every time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes minutes unless it is asked for, and begin with the slowest files."""
    if not config.getoption("--everything"):
        for item in items:
            if item.get_closest_marker("everything"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: ./test --everything"))
    order = {name: place for place, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


class Page(HTMLParser):
    """A page that nests rightly and runs nothing, and its parts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.images += [values["src"] or ""] if tag == "img" else []
        self.ids += [values["id"] or ""] if "id" in values else []
        self.links += [values["href"] or ""] if tag == "a" else []
        assert tag not in {"script", "link", "iframe"}
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, exploded: Path) -> None:
        self.exploded = exploded

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.exploded}",)


@pytest.fixture
def read_page() -> Callable[[str], Page]:
    """Parses an HTML page and checks that it nests and holds no script."""
    return Page


@pytest.fixture
def bomb() -> Callable[[Path], object]:
    """Makes an object that touches a file when it is unpickled."""
    return Bomb


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests' windows out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout, which outsiders do not have."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real test data is not here")
    return folder


class BuildOnce(Protocol):
    """Builds something slow once for all workers."""

    def __call__(self, name: str, build: Callable[[Path], None]) -> Path:
        """Return the folder of this name, which `build` filled, here or in another worker."""
        ...


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> BuildOnce:
    """Builds a folder once for all workers; tests only read what it holds, or copy it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def build_once(name: str, build: Callable[[Path], None]) -> Path:
        folder, unfinished = root / name, root / f"{name}.unfinished"
        with FileLock(root / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(folder)
        return folder

    return build_once


@pytest.fixture(scope="session")
def dataset(build_once: BuildOnce) -> Path:
    """A small generated data set: train, test and masks."""
    scene = Scene(frames=200)
    return build_once("dataset", lambda folder: generate_dataset(folder, 1, 3, 3, scene))


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def checkpoint_file(build_once: BuildOnce, dataset: Path) -> Path:
    """A checkpoint whose scale fits the generated data, with random weights."""

    def build(folder: Path) -> None:
        torch.manual_seed(0)
        model = DAFlow().eval()
        model.initialise(torch.from_numpy(make_windows(read_clips(dataset / "train")).poses))
        save_checkpoint(folder / "model.pt", Checkpoint(model, {"data": "generated"}))

    return build_once("checkpoint", build) / "model.pt"


@pytest.fixture(scope="session")
def checkpoint(checkpoint_file: Path) -> Checkpoint:
    """The same, loaded."""
    return load_checkpoint(checkpoint_file)


@pytest.fixture(scope="session")
def evidence_file(build_once: BuildOnce, dataset: Path, checkpoint: Checkpoint) -> Path:
    """A checkpoint of the same flow with evidence beside it, fitted on the generated data."""

    def build(folder: Path) -> None:
        from daflow.training.evidence import fit_evidence

        poses = make_windows(read_clips(dataset / "train")).poses
        evidence = fit_evidence(CHANNELS, checkpoint.model, poses, 25.0)
        save_checkpoint(folder / "model.pt", replace(checkpoint, fps=25.0, evidence=evidence))

    return build_once("evidence", build) / "model.pt"


@pytest.fixture(scope="session")
def evidence_bundle(build_once: BuildOnce, evidence_file: Path, dataset: Path) -> Path:
    """A bundle of it with FP32 and FP16 graphs and a threshold; never written to."""

    def build(folder: Path) -> None:
        from calibration.cli import main

        bundle = folder / "bundle"
        with pytest.MonkeyPatch.context() as patch:
            draw_nothing(patch)
            run_export(evidence_file, "-o", bundle, "--no-engine", "--verify-on", dataset / "test")
        words = [
            "alarm",
            "--bundle",
            bundle,
            "--poses",
            dataset / "train",
            "--quantile",
            0.999,
            "--begin-seconds",
            0,
        ]
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output

    return build_once("evidence-bundle", build) / "bundle"


@pytest.fixture(scope="session")
def stgnf(shared: Path) -> DAFlow:
    """STG-NF's public ShanghaiTech checkpoint in our flow."""
    return read_stgnf(shared / "data/stgnf/ShanghaiTech_85_9.tar").model


def run_export(*words: object) -> None:
    """Run `daflow-export` in this process."""
    from export.cli import main

    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="session")
def exported(build_once: BuildOnce, checkpoint_file: Path) -> Path:
    """A bundle of that checkpoint, exported by the command; never written to."""

    def build(folder: Path) -> None:
        engines = ("--target", "sm86") if load_tensorrt() else ("--no-engine",)
        run_export(checkpoint_file, "-o", folder / "bundle", "--fp16", *engines)

    return build_once("exported", build) / "bundle"


@pytest.fixture(scope="session")
def pose_bundle(build_once: BuildOnce, shared: Path) -> Path:
    """A pose bundle of MediaPipe's lite landmarks and NanoDet, exported by the command."""
    pytest.importorskip("tflite")
    pytest.importorskip("ai_edge_litert")

    def build(folder: Path) -> None:
        from export.cli import main

        words = [
            "pose", shared / "models" / "pose_landmarker_lite.task", "--detector", shared / "models" / "nanodet.json",
            "-o", folder / "pose.bundle", "--verify-on", shared / "data" / "video" / "opencv_vtest.avi", "--fp32",
            "--no-engine",
        ]  # fmt: skip
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output

    return build_once("pose-bundle", build) / "pose.bundle"


@pytest.fixture(scope="session")
def graphs(exported: Path) -> dict[str, Path]:
    """The FP32 and FP16 graphs of that bundle."""
    return {name: exported / f"scorer.{name}.onnx" for name in ("fp32", "fp16")}


@pytest.fixture(scope="session")
def copy_graph(graphs: dict[str, Path]) -> Callable[..., int]:
    """Takes the place of `export.bundle.export_onnx` for `checkpoint_file`: tracing it again takes seconds."""

    def copy_graph(
        _: nn.Module, window: int, path: Path, outputs: tuple[str, ...], metadata: dict[str, str]
    ) -> int:
        import onnx

        assert (window, outputs) == (24, ("nll",))
        assert metadata["kind"] == "daflow-scorer"
        shutil.copy(graphs[path.name.split(".")[1]], path)
        return len(onnx.load(path).graph.node)

    return copy_graph


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Give verification pages empty pictures: drawing them takes seconds, and tests/export looks at them once."""
    for drawing in ("_scatter", "_worst"):
        patch.setattr(f"export.verification_report.{drawing}", lambda *_: "data:image/png;base64,")


@pytest.fixture
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification pages have empty pictures."""
    draw_nothing(monkeypatch)


@pytest.fixture(scope="session")
def exported_int8(
    build_once: BuildOnce, checkpoint_file: Path, dataset: Path, copy_graph: Callable[..., int]
) -> Path:
    """A bundle of it with all three precisions and no engine, calibrated on few windows; never written to."""
    from calibration.int8_ranges import calibration_windows

    def build(folder: Path) -> None:
        words = ("--int8", "--calibrate-on", dataset / "train", "--no-engine")
        with pytest.MonkeyPatch.context() as patch:
            draw_nothing(patch)
            patch.setattr("export.bundle.export_onnx", copy_graph)
            patch.setattr(
                "export.mixed_precision.calibration_windows", lambda normal: calibration_windows(normal)[::4]
            )
            run_export(checkpoint_file, "-o", folder / "bundle", *words)

    return build_once("exported-int8", build) / "bundle"


@pytest.fixture
def bundle_copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of that bundle to work on."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def at_rate() -> Callable[[Clip, float], Clip]:
    """Returns what a camera of another frame rate would have seen of a clip."""
    return _at_rate


def _at_rate(clip: Clip, fps: float) -> Clip:
    assert clip.rate is not None
    tracks = []
    for track in clip.tracks:
        time = track.frames / clip.rate.fps
        frames = np.arange(np.ceil(time[0] * fps), np.floor(time[-1] * fps) + 1).astype(np.int64)
        keypoints = sample(time, track.keypoints, np.clip(frames / fps, time[0], time[-1]))
        tracks.append(Track(track.person, frames, keypoints, np.ones(len(frames), np.float32)))
    return Clip(clip.name, tuple(tracks), clip.frame_size, FrameRate.constant(fps))
