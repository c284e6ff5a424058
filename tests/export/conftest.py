"""One exported model for all tests of a worker: exporting takes some ten seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from daflow.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model import DAFlow
from daflow.tracks import read_clips
from daflow.windows import make_windows


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
def graphs(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint) -> dict[str, Path]:
    """Its FP32 and FP16 graphs."""
    from export.graph import derive_fp16, export_fp32

    folder = tmp_path_factory.mktemp("graphs")
    paths = {name: folder / f"scorer.{name}.onnx" for name in ("fp32", "fp16")}
    export_fp32(checkpoint.model, paths["fp32"])
    derive_fp16(paths["fp32"], paths["fp16"])
    return paths
