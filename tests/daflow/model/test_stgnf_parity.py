"""The flow with STG-NF's block is STG-NF: its public checkpoint gives the numbers that its own code gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from daflow.cli import main
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import DAFlow
from daflow.model.torch_scorer import score
from export.folded_flow import FoldedScorer


def test_the_public_checkpoint_scores_as_its_own_code_does(shared: Path, stgnf: DAFlow) -> None:
    reference = np.load(shared / "data/stgnf/reference_windows.npz")
    windows = next(reference[k] for k in reference if reference[k].ndim == 4).astype(np.float32)
    nll = next(reference[k] for k in reference if reference[k].ndim == 1)
    assert len(nll) == 128
    assert np.abs(score(stgnf, windows).numpy() - nll).max() < 1e-5
    assert np.abs(FoldedScorer(Checkpoint(stgnf)).eval().judge(windows).score - nll).max() < 1e-5


@pytest.mark.slow
def test_evaluation_gives_the_auc_of_its_own_code(shared: Path, tmp_path: Path) -> None:
    model, figures = tmp_path / "model.pt", tmp_path / "figures.json"
    checkpoint, data = shared / "data/stgnf/ShanghaiTech_85_9.tar", shared / "data/aihub"
    for words in (
        ["import-stgnf", checkpoint, "-o", model],
        ["evaluate", "--poses", data / "pose/test", "--masks", data / "gt/test_frame_mask", "--model", model,
         "--protocol", "stgnf", "--json", figures],
    ):  # fmt: skip
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output
    assert 100 * json.loads(figures.read_text())["auc"] == pytest.approx(72.39, abs=0.01)
