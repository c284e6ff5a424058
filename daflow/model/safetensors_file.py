"""The content of a checkpoint as safetensors, a file of plain tensors that many tools read and that can hold no code.

The weights are in one flat dictionary, those of the flow behind `flow.` and those of the evidence behind `evidence.`.
All else is JSON in the metadata, under one key: safetensors writes several keys in no fixed order, and the same model
is to be the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from daflow.core.errors import unusable_package
from daflow.core.files import parse_json
from daflow.model.torch_file import MAX_BYTES

SUFFIX = ".safetensors"
_KEY = "daflow"
_FLOW, _EVIDENCE = "flow.", "evidence."
_LENGTH = 8  # bytes in front of the header


def to_safetensors(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a safetensors file.

    Args:
        content: of a checkpoint. `state`, and `state` of its `evidence`, are dictionaries of tensors; all else is plain
            values.

    Raises:
        InputError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise unusable_package(error, "safetensors", "train") from error
    facts = {name: value for name, value in content.items() if name != "state"}
    tensors = _prefixed(_FLOW, content["state"])
    if evidence := content.get("evidence"):
        facts["evidence"] = {name: value for name, value in evidence.items() if name != "state"}
        tensors |= _prefixed(_EVIDENCE, evidence["state"])
    return save(tensors, {_KEY: json.dumps(facts)})


def load_safetensors(path: Path) -> Any:
    """Return what `to_safetensors` was given, with tensors on the CPU.

    Args:
        path: the file.

    Raises:
        InputError: safetensors is not installed.
        ValueError: it is no such file, is damaged or too large, or was not written by this toolkit.
        OSError: it cannot be read.
    """
    try:
        from safetensors.torch import load
    except ImportError as error:
        raise unusable_package(error, "safetensors", "train") from error
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large")
    data = path.read_bytes()
    try:
        tensors = load(data)
    except Exception as error:  # the library raises several classes, also AssertionError and KeyError
        raise ValueError("it is no safetensors file, or it is damaged") from error
    header = parse_json(data[_LENGTH : _LENGTH + int.from_bytes(data[:_LENGTH], "little")])
    text = (header.get("__metadata__") or {}).get(_KEY)
    content = None if text is None else parse_json(text)
    if not isinstance(content, dict) or "state" in content:
        raise ValueError("it holds nothing of daflow")
    content["state"] = _behind(_FLOW, tensors)
    evidence = content.get("evidence")
    if isinstance(evidence, dict):
        evidence["state"] = _behind(_EVIDENCE, tensors)
    expected = len(content["state"]) + (len(evidence["state"]) if isinstance(evidence, dict) else 0)
    if expected != len(tensors):
        raise ValueError("it holds tensors that belong to no part of a model")
    return content


def _prefixed(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Copies, because safetensors refuses tensors that share memory or are not dense.
    return {
        prefix + name: values.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, values in state.items()
    }


def _behind(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}
