"""STG-NF's public checkpoints (arXiv 2211.10946, github.com/orhir/STG-NF) as models of this toolkit.

Their flow is ours with the `tcn` block; parameters only carry other names.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from daflow.core.errors import InputError
from daflow.core.schema import problem, require_plain
from daflow.model.checkpoint import Checkpoint, load_weights
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.torch_file import is_plain_tensor, load_torch_file

_NAMES = {
    "flow.layers.": "steps.",
    "actnorm.logs": "actnorm.log_scale",
    "block.0.gcn.conv": "coupling.graph_conv.conv",
    "block.0.tcn": "coupling.block",
    "block.0.residual": "coupling.residual",
}
_OPTIONS = {"seg_len": "window", "K": "steps", "strategy": "partition", "max_hop": "hops", "L": "scales"}
_MAX_PRIOR = 2 * 256 * 18  # values
_RECORDED = ("seed", "epochs", "batch_size", "lr", "lr_decay", "weight_decay", "seg_stride", "num_transform")


class _Content(BaseModel):
    """What their checkpoints must hold."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    state_dict: dict[str, Tensor]
    args: argparse.Namespace


def read_stgnf(path: Path) -> Checkpoint:
    """Read a checkpoint that STG-NF's `train_eval.py` wrote, without running any code that it may hold.

    Beside tensors and plain values only `argparse.Namespace`, which holds their options, is let in.

    Raises:
        InputError: the file is missing or is not such a checkpoint, or its flow is of a kind that this toolkit does
            not have (other permutations than the reversed channels, 14 joints, hidden layers, weighted edges).
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    try:
        content = _Content.model_validate(load_torch_file(path, (argparse.Namespace,)))
        prior = content.state_dict["prior_h_normal"]
        if not (is_plain_tensor(prior, torch.float32) and 0 < prior.numel() <= _MAX_PRIOR):
            raise ValueError("the prior is no tensor of a window")
    except (ValueError, KeyError):
        raise InputError(
            f"{path} is not a checkpoint of STG-NF, or it is damaged or holds code, which is never run."
        ) from None
    options = vars(content.args)
    try:
        used = {ours: options[theirs] for theirs, ours in _OPTIONS.items() if theirs in options}
        require_plain([used, {name: options[name] for name in _RECORDED if name in options}])
        if used.pop("scales", 1) != 1:
            raise ValueError("it has several scales (L)")
        prior_mean = float(prior.flatten()[0])
        config = TypeAdapter(ModelConfig).validate_python({"block": "tcn", "prior_mean": prior_mean, **used})
        model = DAFlow(config, torch.Generator())  # not from torch's global generator
        load_weights(model, _renamed(content.state_dict))
    except ValidationError as error:
        raise InputError(f"{path} holds a flow that this toolkit does not have: {problem(error)}.") from None
    except ValueError as error:
        raise InputError(f"{path} holds a flow that this toolkit does not have: {error}.") from None
    recorded = {name: options[name] for name in _RECORDED if type(options.get(name)) in (int, float)}
    return Checkpoint(model.eval(), {"data": f"STG-NF checkpoint {path.name}", **recorded})


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the flow's parameters our names; the prior is in the configuration, and the adjacency is computed again."""
    renamed = {}
    for name, values in state.items():
        if name.startswith("prior_h") or re.fullmatch(r"flow\.layers\.\d+\.A", name):
            continue
        for theirs, ours in _NAMES.items():
            name = name.replace(theirs, ours)  # noqa: PLW2901
        renamed[name] = values
    return renamed
