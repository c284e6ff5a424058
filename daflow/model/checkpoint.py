"""Checkpoints: a trained model with its configuration, what it was trained on, and by which versions."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from daflow.core.errors import InputError
from daflow.core.files import written_whole
from daflow.core.version import __version__
from daflow.model.flow import DAFlow, ModelConfig

_FORMAT = "daflow-checkpoint"
_VERSION = 1
_FPS: TypeAdapter[float | None] = TypeAdapter(Annotated[FiniteFloat, Field(gt=0)] | None)


@dataclass(frozen=True)
class Checkpoint:
    """A model in evaluation mode and a summary of its training, plain values only.

    Attributes:
        model: the flow.
        training: the summary.
        fps: frames per second of the clips that it was trained on; None when that is not known.
    """

    model: DAFlow
    training: dict[str, Any] = field(default_factory=dict)
    fps: float | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "config": checkpoint.model.config.as_dict(),
        "state": checkpoint.model.state_dict(),
        "training": checkpoint.training,
        "fps": checkpoint.fps,
        "versions": {"daflow": __version__, "torch": str(torch.__version__)},
    }
    buffer = io.BytesIO()  # torch's own file writer turns a full disk into a RuntimeError
    torch.save(content, buffer)
    with written_whole(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_checkpoint(path: Path, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint without running any code that it may hold.

    Raises:
        InputError: the file is missing, is not a checkpoint of this toolkit, or holds more than tensors and values.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    file = io.BytesIO(path.read_bytes())
    try:
        content = torch.load(file, map_location=device, weights_only=True)
    except Exception:  # noqa: BLE001  damage shows itself in torch as an error of almost any class
        raise InputError(
            f"{path} is not a checkpoint of daflow, or it is damaged or holds code, which is never run."
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path} is not a checkpoint of daflow; 'daflow train' writes one.")
    if content.get("version") != _VERSION:
        raise InputError(
            f"{path} has checkpoint version {content.get('version')!r}; this daflow reads {_VERSION}."
        )
    try:
        config = TypeAdapter(ModelConfig).validate_python(content.get("config"))
        model = DAFlow(config, torch.Generator()).to(device)  # not from torch's global generator
        model.load_state_dict(content["state"])
        fps = _FPS.validate_python(content.get("fps"))
    except (ValidationError, RuntimeError, TypeError, AttributeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} does not fit its own configuration: {reason}") from None
    return Checkpoint(model.eval(), dict(content.get("training") or {}), fps)
