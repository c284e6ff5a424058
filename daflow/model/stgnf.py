"""STG-NF's public checkpoints (arXiv 2211.10946, github.com/orhir/STG-NF) as models of this toolkit.

Their flow is ours with the `tcn` block; parameters only carry other names.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from daflow.core.errors import InputError
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import DAFlow, ModelConfig

_NAMES = {
    "flow.layers.": "steps.",
    "actnorm.logs": "actnorm.log_scale",
    "block.0.gcn.conv": "coupling.graph_conv.conv",
    "block.0.tcn": "coupling.block",
    "block.0.residual": "coupling.residual",
}
_RECORDED = ("seed", "epochs", "batch_size", "lr", "lr_decay", "weight_decay", "seg_stride", "num_transform")


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
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
        state = dict(content["state_dict"])
        options = dict(vars(content["args"]))
        prior_mean = float(state["prior_h_normal"].flatten()[0])
    except Exception:  # noqa: BLE001  damage shows itself in torch as an error of almost any class
        raise InputError(
            f"{path} is not a checkpoint of STG-NF, or it is damaged or holds code, which is never run."
        ) from None
    if options.get("L", 1) != 1:
        raise InputError(f"{path} holds a flow of several scales (L), which this toolkit does not have.")
    try:
        config = TypeAdapter(ModelConfig).validate_python(
            {
                "window": options.get("seg_len", 24),
                "steps": options.get("K", 8),
                "block": "tcn",
                "partition": options.get("strategy", "uniform"),
                "hops": options.get("max_hop", 8),
                "prior_mean": prior_mean,
            }
        )
        model = DAFlow(config, torch.Generator())  # not from torch's global generator
        model.load_state_dict(_renamed(state))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"{path} holds a flow that this toolkit does not have: {wrong['loc'][0]}: {wrong['msg']}."
        ) from None
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise InputError(f"{path} holds a flow that this toolkit does not have: {reason}") from None
    recorded = {name: options[name] for name in _RECORDED if isinstance(options.get(name), int | float)}
    return Checkpoint(model.eval(), {"data": f"STG-NF checkpoint {path.name}", **recorded})


def _renamed(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Give the flow's parameters our names; the prior is in the configuration, and the adjacency is computed again."""
    renamed = {}
    for name, values in state.items():
        if name.startswith("prior_h") or re.fullmatch(r"flow\.layers\.\d+\.A", name):
            continue
        for theirs, ours in _NAMES.items():
            name = name.replace(theirs, ours)  # noqa: PLW2901
        renamed[name] = values
    return renamed
