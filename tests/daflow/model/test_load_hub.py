"""Models of the Hugging Face Hub, with a stand-in for huggingface_hub that copies files of this machine."""

from __future__ import annotations

import hashlib
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

import daflow
from daflow.cli import main
from daflow.core.bundle import read_bundle
from daflow.core.errors import InputError
from daflow.model.checkpoint import load_checkpoint, save_checkpoint
from daflow.model.flow_model import FlowModel
from daflow.model.hub import FILES, fetch
from daflow.model.scoring_model import BundleModel

COMMIT = "c" * 40


class Hub(ModuleType):
    """One repository, a folder of this machine. As the real one, it gives links to files named by their hash."""

    def __init__(self, repository: Path, cache: Path) -> None:
        super().__init__("huggingface_hub")
        self.repository, self.cache = repository, cache
        self.asked: list[tuple[str, str | None]] = []
        self.fetched: list[str] = []

    def HfApi(self) -> Hub:  # noqa: N802
        return self

    def model_info(self, repo_id: str, *, revision: str | None, files_metadata: bool) -> SimpleNamespace:
        assert files_metadata
        self.asked.append((repo_id, revision))
        files = [
            SimpleNamespace(rfilename=str(path.relative_to(self.repository)), size=path.stat().st_size)
            for path in sorted(self.repository.rglob("*"))
            if path.is_file()
        ]
        return SimpleNamespace(sha=COMMIT, siblings=files)

    def snapshot_download(
        self, repo_id: str, *, revision: str | None = None, allow_patterns: list[str]
    ) -> str:
        assert (repo_id, revision) == (self.asked[-1][0], COMMIT)
        snapshot = self.cache / "snapshot"
        for path in sorted(self.repository.rglob("*")):
            name = str(path.relative_to(self.repository))
            if not path.is_file() or not any(fnmatch(name, pattern) for pattern in allow_patterns):
                continue
            self.fetched.append(name)
            blob = self.cache / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
            blob.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blob)
            (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / name).unlink(missing_ok=True)
            (snapshot / name).symlink_to(blob)
        return str(snapshot)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty repository with a file that nobody needs."""
    module = Hub(tmp_path / "repository", tmp_path / "cache")
    module.repository.mkdir()
    (module.repository / "README.md").write_text("a large file")
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


@pytest.fixture
def weights(hub: Hub, checkpoint_file: Path) -> Path:
    path = hub.repository / "model.safetensors"
    save_checkpoint(path, load_checkpoint(checkpoint_file))
    return path


def test_a_bundle_is_opened_and_only_its_files_are_fetched(hub: Hub, exported: Path) -> None:
    shutil.copytree(exported, hub.repository, dirs_exist_ok=True)
    model = daflow.load("hf://owner/some.name", "fp16")
    assert isinstance(model, BundleModel)
    assert model.bundle.manifest == read_bundle(exported).manifest
    assert hub.asked == [("owner/some.name", None)]
    assert set(hub.fetched) == {"manifest.json", *model.bundle.manifest.files}


def test_a_file_that_is_too_large_is_not_fetched(hub: Hub, weights: Path) -> None:
    with weights.open("r+b") as file:
        file.truncate(1 << 40)  # a hole
    with pytest.raises(InputError, match=r"model\.safetensors is larger than 256 MiB"):
        fetch("hf://owner/name")
    assert hub.fetched == []


def test_weights_beside_a_bundle_are_not_fetched(hub: Hub, weights: Path, exported: Path) -> None:
    shutil.copytree(exported, hub.repository, dirs_exist_ok=True)
    assert isinstance(daflow.load("hf://owner/name"), BundleModel)
    assert weights.name not in hub.fetched


def test_every_file_of_a_bundle_is_among_what_is_fetched(exported_int8: Path) -> None:
    assert {*read_bundle(exported_int8).manifest.files, "manifest.json", "model.safetensors"} == {*FILES}


def test_a_folder_and_a_revision(hub: Hub, exported: Path) -> None:
    shutil.copytree(exported, hub.repository / "cameras" / "hall")
    shutil.copytree(exported, hub.repository / "cameras" / "yard")
    assert isinstance(daflow.load("hf://owner/name/cameras/hall@refs/pr/1"), BundleModel)
    assert hub.asked == [("owner/name", "refs/pr/1")]
    assert {name.rsplit("/", 1)[0] for name in hub.fetched} == {"cameras/hall"}


def test_weights_alone_are_opened(hub: Hub, weights: Path, dataset: Path) -> None:
    model = daflow.load("hf://owner/name@v1.0")
    assert isinstance(model, FlowModel)
    assert model.checkpoint.training == {"data": "generated"}
    assert hub.asked == [("owner/name", "v1.0")]
    assert hub.fetched == ["model.safetensors"]


def test_a_changed_file_is_refused(hub: Hub, exported: Path) -> None:
    shutil.copytree(exported, hub.repository, dirs_exist_ok=True)
    with (hub.repository / "scorer.fp16.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"scorer\.fp16\.onnx was changed since the bundle was written"):
        daflow.load("hf://owner/name")


def test_a_repository_without_a_model_is_refused(hub: Hub, checkpoint_file: Path) -> None:
    shutil.copy(checkpoint_file, hub.repository / "model.pt")
    with pytest.raises(InputError, match=r"hf://owner/name holds neither a bundle \(manifest.json\) nor"):
        daflow.load("hf://owner/name")
    assert hub.fetched == []


@pytest.mark.parametrize(
    "name",
    ["hf://", "hf://owner", "hf://owner/", "hf:///name", "hf://owner/name/../x", "hf://owner/name/*", "hf://o/n@",
     "hf://o/n@../x", "hf://o/n//x", "hf://o/n/[a]", "hf://o/n x", "hf://../n", "hf://o/n\n", "hf://o/n@a@b"],
)  # fmt: skip
def test_a_name_of_another_form_fetches_nothing(hub: Hub, name: str) -> None:
    with pytest.raises(InputError, match="is not the name of a model of the Hugging Face Hub"):
        daflow.load(name)
    assert hub.asked == []


@pytest.mark.parametrize(
    "error", [OSError("No route\nto the host"), ValueError(""), RuntimeError("x" * 5000)]
)
def test_what_keeps_it_from_being_fetched_is_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(hub, "snapshot_download", fail)
    with pytest.raises(InputError, match=r"^hf://owner/name cannot be fetched: ") as caught:
        fetch("hf://owner/name")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"huggingface_hub is not installed.*'daflow\[hub\]'"):
        daflow.load("hf://owner/name")


def test_other_names_need_no_package(checkpoint_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert isinstance(daflow.load(checkpoint_file), FlowModel)


def test_evaluate_and_score_take_such_a_name(hub: Hub, weights: Path, dataset: Path, tmp_path: Path) -> None:
    words = ["--poses", str(dataset / "test"), "--model", "hf://owner/name"]
    result = CliRunner().invoke(main, ["evaluate", *words, "--masks", str(dataset / "masks")])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["score", *words, "-o", str(tmp_path / "scores"), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "scores").glob("*.frames.parquet"))) == 3
    assert len(hub.asked) == 2  # once for each command, not once for each clip
