"""The flow with STG-NF's block is STG-NF: its public checkpoint gives the numbers that its own code gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daflow.model import DAFlow
from daflow.training import score
from export.folded import FoldedFlow


def test_the_public_checkpoint_scores_as_its_own_code_does(shared: Path, stgnf: DAFlow) -> None:
    reference = np.load(shared / "data/stgnf/reference_windows.npz")
    windows = next(reference[k] for k in reference if reference[k].ndim == 4).astype(np.float32)
    nll = next(reference[k] for k in reference if reference[k].ndim == 1)
    assert np.abs(score(stgnf, windows).numpy() - nll).max() < 1e-5
    assert np.abs(FoldedFlow(stgnf).eval().score(windows) - nll).max() < 1e-5
