"""Checkpoints: a trained model with its configuration, what it was trained on, and by which versions."""

from __future__ import annotations

import io
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from daflow.core.data.frame_rate import Fps
from daflow.core.errors import InputError
from daflow.core.evidence import FLOW, Channel, Channels
from daflow.core.files import written_whole
from daflow.core.log import shortened
from daflow.core.schema import Count, PlainValues, problem
from daflow.core.version import __version__
from daflow.model.evidence import Evidence, Motion
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.safetensors_file import SUFFIX, load_safetensors, to_safetensors
from daflow.model.torch_file import is_plain_tensor, load_torch_file

_FORMAT = "daflow-checkpoint"
_VERSION = 2
_FLOW_VERSION = 1  # of a flow alone, which earlier versions of this toolkit read too
_MAX_DIMENSIONS = 6


@dataclass(frozen=True)
class Checkpoint:
    """A model in evaluation mode and a summary of its training, plain values only.

    Attributes:
        model: the flow.
        training: the summary.
        fps: frames per second of the clips that it was trained on; None when that is not known.
        evidence: what judges windows beside the flow; None when its nll is the score.
    """

    model: DAFlow
    training: dict[str, Any] = field(default_factory=dict)
    fps: float | None = None
    evidence: Evidence | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What the score is made of."""
        return self.evidence.channels if self.evidence else FLOW


class _EvidenceContent(BaseModel):
    """What a checkpoint holds of its evidence."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    channels: Channels
    windows: Count
    lag: Annotated[int, Field(ge=1, le=255)]
    levels: Annotated[int, Field(ge=1, le=64)]
    state: dict[str, Tensor]


class _Content(BaseModel):
    """What a checkpoint must hold beside its format and version."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    config: ModelConfig
    state: dict[str, Tensor]
    training: PlainValues = Field(default_factory=dict)
    fps: Fps | None = None
    evidence: _EvidenceContent | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all: as safetensors where the name ends in `.safetensors`, else by torch.

    Raises:
        InputError: safetensors is needed and not installed.
        OSError: the folder cannot be written or is full.
    """
    content = {
        "format": _FORMAT,
        "version": _VERSION if checkpoint.evidence else _FLOW_VERSION,
        "config": checkpoint.model.config.as_dict(),
        "state": checkpoint.model.state_dict(),
        "training": checkpoint.training,
        "fps": checkpoint.fps,
        **({"evidence": _content_of(checkpoint.evidence)} if checkpoint.evidence else {}),
        "versions": {"daflow": __version__, "torch": str(torch.__version__)},
    }
    if path.suffix == SUFFIX:
        data = to_safetensors(content)
    else:
        buffer = io.BytesIO()  # torch's own file writer turns a full disk into a RuntimeError
        torch.save(content, buffer)
        data = buffer.getvalue()
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def load_checkpoint(path: Path, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint without running any code that it may hold, as safetensors where its name ends so.

    Raises:
        InputError: the file is missing, is not a checkpoint of this toolkit, holds more than tensors and plain values,
            or its weights do not fit its configuration; or it is safetensors, and that is not installed.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    try:
        content = load_safetensors(path) if path.suffix == SUFFIX else load_torch_file(path)
    except ValueError:
        raise InputError(
            f"{path} is not a checkpoint of daflow, or it is damaged or holds code, which is never run."
        ) from None
    if not isinstance(content, dict) or not _is(content.get("format"), _FORMAT):
        raise InputError(f"{path} is not a checkpoint of daflow; 'daflow train' writes one.")
    version = content.get("version")
    if not (_is(version, _VERSION) or _is(version, _FLOW_VERSION)):
        found = reprlib.repr(version) if isinstance(version, int | str) else "unknown"
        raise InputError(
            f"{path} has checkpoint version {found}; this daflow reads {_FLOW_VERSION} and {_VERSION}."
        )
    try:
        checked = _Content.model_validate(content)
        model = DAFlow(checked.config, torch.Generator())  # not from torch's global generator
        load_weights(model, checked.state)
        evidence = _evidence_of(checked)
    except ValidationError as error:
        raise InputError(f"{path} does not fit its own configuration: {problem(error)}.") from None
    except ValueError as error:
        raise InputError(f"{path} does not fit its own configuration: {error}.") from None
    if evidence is not None:
        evidence = evidence.to(device).eval()
    return Checkpoint(model.to(device).eval(), checked.training, checked.fps, evidence)


def _content_of(evidence: Evidence) -> dict[str, Any]:
    return {
        "channels": list(evidence.channels),
        "windows": evidence.windows,
        "lag": evidence.lag,
        "levels": evidence.surprise.levels.shape[1],
        "state": evidence.state_dict(),
    }


def _evidence_of(content: _Content) -> Evidence | None:
    """Return the evidence of a checkpoint.

    Raises:
        ValueError: its numbers do not fit.
    """
    given = content.evidence
    if given is None:
        return None
    if given.lag >= content.config.window:
        raise ValueError(f"its movement is over {given.lag} poses, which no window holds")
    evidence = Evidence.unfitted(given.channels, given.windows, given.lag, given.levels)
    load_weights(evidence, given.state)
    if not (evidence.surprise.slopes > 0).all() or not (evidence.surprise.levels.diff(dim=1) > 0).all():
        raise ValueError("the levels of its surprise do not rise")
    if any(isinstance(other, Motion) and not other.travel > 0 for other in evidence.others.values()):
        raise ValueError("its normal bodies do not move")
    return evidence


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Set the weights of a model to those that somebody else wrote.

    Args:
        model: on the CPU.
        state: as `model.state_dict()`.

    Raises:
        ValueError: a name, kind or shape is not that of the model, or a weight is NaN or infinite or, where it is a
            variance, negative. The model may be half changed.
    """
    expected = model.state_dict()
    for name in expected:
        if name not in state:
            raise ValueError(f"the weight {name} is missing")
    for name, values in state.items():
        shown = shortened(name)
        if name not in expected:
            raise ValueError(f"it holds the weight {shown}, which the model does not have")
        wanted = expected[name]
        if not is_plain_tensor(values, wanted.dtype):
            raise ValueError(f"the weight {shown} is not a plain tensor of {wanted.dtype}")
        if values.shape != wanted.shape:
            raise ValueError(
                f"the weight {shown} has the shape {_text(values.shape)} instead of {_text(wanted.shape)}"
            )
        if not torch.isfinite(values).all():
            raise ValueError(f"the weight {shown} is NaN or infinite")
        if name.endswith("running_var") and (values < 0).any():
            raise ValueError(f"the weight {shown} is a variance and is negative")
    model.load_state_dict(dict(state))


def _is(value: object, wanted: object) -> bool:
    """Whether a value of any kind, a tensor too, is a plain one."""
    return type(value) is type(wanted) and value == wanted


def _text(shape: torch.Size) -> str:
    return "x".join(str(side) for side in shape[:_MAX_DIMENSIONS]) or "()"
