"""Reading STG-NF's checkpoints: what is let in, what is refused."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from daflow.cli import main
from daflow.core.errors import InputError
from daflow.model.checkpoint import load_checkpoint
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.stgnf import read_stgnf

THEIR_NAMES = {
    "steps.": "flow.layers.",
    "actnorm.log_scale": "actnorm.logs",
    "coupling.graph_conv.conv": "block.0.gcn.conv",
    "coupling.block": "block.0.tcn",
    "coupling.residual": "block.0.residual",
}
OPTIONS = {"seg_len": 24, "K": 8, "L": 1, "strategy": "uniform", "max_hop": 8, "seed": 29, "lr": 5e-4}


def write(path: Path, model: DAFlow, **changed: Any) -> Path:
    """A checkpoint as STG-NF's code writes it."""
    state = OrderedDict()
    for name, values in model.state_dict().items():
        for ours, theirs in THEIR_NAMES.items():
            name = name.replace(ours, theirs)  # noqa: PLW2901
        state[name] = values
    prior = torch.full((2, model.config.window, 18), model.config.prior_mean)
    state |= {"prior_h": torch.zeros(1, 4, 24, 18), "prior_h_normal": prior, "prior_h_abnormal": -prior}
    args = argparse.Namespace(**{**OPTIONS, "seg_len": model.config.window, **changed})
    torch.save({"epoch": 8, "state_dict": state, "optimizer": {}, "args": args}, path)
    return path


@pytest.mark.parametrize("config", [
    ModelConfig(block="tcn"),
    ModelConfig(block="tcn", window=16, prior_mean=10.0, partition="distance", hops=2),
])  # fmt: skip
def test_a_checkpoint_of_stgnf_becomes_a_model(tmp_path: Path, config: ModelConfig) -> None:
    model = DAFlow(config).eval()
    source = write(tmp_path / "theirs.tar", model, strategy=config.partition, max_hop=config.hops)
    result = CliRunner().invoke(main, ["import-stgnf", str(source), "-o", str(tmp_path / "ours.pt")])
    assert result.exit_code == 0, result.output
    imported = load_checkpoint(tmp_path / "ours.pt")
    assert imported.model.config == config
    assert imported.training == {"data": "STG-NF checkpoint theirs.tar", "seed": 29, "lr": 5e-4}
    x = torch.randn(3, 2, config.window, 18)
    assert torch.equal(imported.model.nll(x), model.nll(x))


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, bomb: Callable[[Path], object]) -> None:
    exploded = tmp_path / "exploded"
    path = write(tmp_path / "bomb.tar", DAFlow(ModelConfig(block="tcn")), fn=bomb(exploded))
    with pytest.raises(InputError, match="holds code, which is never run"):
        read_stgnf(path)
    assert not exploded.exists()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [({"K": 4}, "a flow that this toolkit does not have: .*which the model does not have"),
     ({"K": 10**6}, "less than or equal"), ({"L": 2, "K": 4}, "several scales"), ({"L": [1]}, "several scales"),
     ({"strategy": "else"}, "'uniform', 'distance' or 'spatial'"), ({"K": "x"}, "valid integer"),
     ({"K": torch.ones(2)}, "of the kind Tensor"), ({"seed": 10**400}, "of the kind int"),
     ({"seg_len": 100}, "has the shape")],
)  # fmt: skip
def test_another_flow_is_refused(tmp_path: Path, changed: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path / "theirs.tar", DAFlow(ModelConfig(block="tcn")), **changed)
    with pytest.raises(InputError, match=complaint):
        read_stgnf(path)


def test_other_files_are_named(tmp_path: Path, checkpoint_file: Path) -> None:
    (tmp_path / "noise.tar").write_bytes(b"\x80\x02noise")
    for path in (tmp_path / "noise.tar", checkpoint_file):
        with pytest.raises(InputError, match="is not a checkpoint of STG-NF"):
            read_stgnf(path)
    with pytest.raises(InputError, match="There is no checkpoint"):
        read_stgnf(tmp_path / "missing.tar")


@pytest.mark.parametrize(
    "changed",
    [
        {"args": 5}, {"args": {"K": 8}}, {"state_dict": 5}, {"state_dict": {"prior_h_normal": 3.0}},
        {"state_dict": {"prior_h_normal": torch.zeros(1).expand(1 << 40)}},
        {"state_dict": {"prior_h_normal": torch.zeros(0)}}, {"state_dict": {1: torch.zeros(1)}},
    ],
)  # fmt: skip
def test_other_contents_are_no_checkpoint_of_stgnf(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = write(tmp_path / "theirs.tar", DAFlow(ModelConfig(block="tcn")))
    with torch.serialization.safe_globals([argparse.Namespace]):
        torch.save({**torch.load(path, weights_only=True), **changed}, path)
    with pytest.raises(InputError, match="is not a checkpoint of STG-NF"):
        read_stgnf(path)


def test_a_weight_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    model = DAFlow(ModelConfig(block="tcn"))
    torch.nn.init.constant_(model.steps[0].actnorm.bias, torch.nan)
    with pytest.raises(InputError, match="is NaN or infinite"):
        read_stgnf(write(tmp_path / "theirs.tar", model))
