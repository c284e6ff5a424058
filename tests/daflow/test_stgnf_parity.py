"""The flow with STG-NF's block is STG-NF: its public checkpoint gives the numbers that its own code gives."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from daflow.model import DAFlow, ModelConfig
from daflow.training import score

RENAMED = (
    ("flow.layers.", "steps."),
    ("actnorm.logs", "actnorm.log_scale"),
    ("block.0.gcn.conv", "coupling.graph_conv.conv"),
    ("block.0.tcn", "coupling.block"),
    ("block.0.residual", "coupling.residual"),
)


def test_the_public_checkpoint_scores_as_its_own_code_does(shared: Path) -> None:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(
            shared / "data/stgnf/ShanghaiTech_85_9.tar", map_location="cpu", weights_only=True
        )
    state = {}
    for name, values in content["state_dict"].items():
        if name.startswith("flow.layers."):
            for old, new in RENAMED:
                name = name.replace(old, new)  # noqa: PLW2901
            state[name] = values
    model = DAFlow(ModelConfig(block="tcn"))
    model.load_state_dict(state)
    reference = np.load(shared / "data/stgnf/reference_windows.npz")
    windows = next(reference[k] for k in reference if reference[k].ndim == 4)
    nll = next(reference[k] for k in reference if reference[k].ndim == 1)
    scored = score(model.eval(), windows.astype(np.float32)).numpy()
    assert np.abs(scored - nll).max() < 1e-5
