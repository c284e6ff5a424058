"""What several test modules share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model.flow import DAFlow
from daflow.model.stgnf import read_stgnf


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


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated data set: train, test and masks."""
    folder = tmp_path_factory.mktemp("dataset")
    generate_dataset(folder, seed=1, train_clips=3, test_clips=3, scene=Scene(frames=200))
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """A checkpoint whose scale fits the generated data, with random weights."""
    torch.manual_seed(0)
    model = DAFlow().eval()
    model.initialise(torch.from_numpy(make_windows(read_clips(dataset / "train")).poses))
    path = tmp_path_factory.mktemp("checkpoint") / "model.pt"
    save_checkpoint(path, Checkpoint(model, {"data": "generated"}))
    return path


@pytest.fixture(scope="session")
def checkpoint(checkpoint_file: Path) -> Checkpoint:
    """The same, loaded."""
    return load_checkpoint(checkpoint_file)


@pytest.fixture(scope="session")
def stgnf(shared: Path) -> DAFlow:
    """STG-NF's public ShanghaiTech checkpoint in our flow."""
    return read_stgnf(shared / "data/stgnf/ShanghaiTech_85_9.tar").model


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> dict[str, Path]:
    """Its FP32 and FP16 graphs."""
    from export.folded_flow import FoldedFlow
    from export.onnx_graph import export_onnx

    folder = tmp_path_factory.mktemp("graphs")
    paths = {}
    for name, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        paths[name] = folder / f"scorer.{name}.onnx"
        export_onnx(FoldedFlow(checkpoint.model, dtype), checkpoint.model.config.window, paths[name])
    return paths


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint_file: Path) -> Path:
    """A bundle of that checkpoint, exported by the command; never written to."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    from export.cli import main

    result = CliRunner().invoke(main, [str(checkpoint_file), "-o", str(folder), "--fp16", "--target", "sm86"])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def exported_int8(tmp_path_factory: pytest.TempPathFactory, checkpoint_file: Path, dataset: Path) -> Path:
    """A bundle with all three precisions and no engine; never written to."""
    folder = tmp_path_factory.mktemp("exported-int8") / "bundle"
    from export.cli import main

    words = [checkpoint_file, "-o", folder, "--int8", "--calibrate-on", dataset / "train", "--no-engine"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    """A copy of that bundle to work on."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))
