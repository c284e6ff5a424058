"""What the tests of export share: windows to verify on, and exports that trace no graph."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from torch import nn

from export.verification import VerificationSet, generated_set, recorded_set


@pytest.fixture(scope="session")
def generated() -> VerificationSet:
    """The generated recordings that every export without recordings is verified on."""
    return generated_set(24)


@pytest.fixture(scope="session")
def small_set(dataset: Path) -> VerificationSet:
    """Fewer windows, with labels."""
    return recorded_set(dataset / "test", dataset / "masks", 24)


@pytest.fixture
def quick_export(
    monkeypatch: pytest.MonkeyPatch, graphs: dict[str, Path], small_set: VerificationSet
) -> None:
    """Exports of `checkpoint_file` use its graphs of this session, and verify them on few windows."""

    def copy_graph(_: nn.Module, window: int, path: Path) -> int:
        assert window == 24
        shutil.copy(graphs[path.name.split(".")[1]], path)
        return len(onnx.load(path).graph.node)

    monkeypatch.setattr("export.bundle.export_onnx", copy_graph)
    monkeypatch.setattr("export.bundle.generated_set", lambda _: small_set)
