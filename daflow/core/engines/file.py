"""Engine files: a line of JSON that says what the engine was built for and from what, then TensorRT's own bytes.

TensorRT answers an engine of another GPU, version or model with a cryptic error, or with wrong scores. Therefore the
header holds everything that an engine depends on, and it is compared before TensorRT gets the bytes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from daflow.core.errors import InputError
from daflow.core.files import written_whole
from daflow.core.schema import problem
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.limits import Verdict

MAGIC = b"daflow-engine 1\n"
_MAX_HEADER = 1 << 20  # bytes; a header has about 1,000
_REMOVED_OPTIONS = {"version_compatible", "hardware_compatible"}
_Batch = Annotated[int, Field(ge=1, le=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BuildOptions(_Part):
    """What a user chooses about an engine.

    Bundles and engines written by earlier versions hold two more options, which are read and dropped.

    Attributes:
        batch: minimum, optimum and maximum of the windows, or of the pictures, in a call.
        workspace: maximum scratch memory of the builder in MiB; the scorer needs less than one, pose networks hundreds.
    """

    batch: tuple[_Batch, _Batch, _Batch] = (1, 4, 32)
    workspace: Annotated[int, Field(ge=1, le=1 << 20)] = 256

    @model_validator(mode="before")
    @classmethod
    def _drop_removed_options(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {name: value for name, value in content.items() if name not in _REMOVED_OPTIONS}

    @field_validator("batch")
    @classmethod
    def _ascending(cls, batch: tuple[int, int, int]) -> tuple[int, int, int]:
        if list(batch) != sorted(batch):
            raise ValueError("the batch sizes must be in ascending order")
        return batch


class EngineKey(_Part):
    """Everything that an engine depends on; another key is another engine.

    Attributes:
        graph: SHA-256 of the ONNX file.
        precision: of that file.
        flavour: the module that builds it, `tensorrt` or `tensorrt_rtx`.
        version: of that module.
        target: compute capability, such as `sm87`.
        device: name of the GPU; None when built ahead of time, for every GPU of the target.
        options: chosen by the user.
    """

    graph: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    precision: Precision
    flavour: Literal["tensorrt", "tensorrt_rtx"]
    version: str
    target: Annotated[str, Field(pattern=r"^sm\d{2,3}$")]
    device: str | None
    options: BuildOptions

    @property
    def file_name(self) -> str:
        """The name of its file. A new version or new options replace the file of the same name."""
        return f"{self.precision}.{self.target}.{self.flavour}.engine"

    def differences(self, found: EngineKey) -> list[str]:
        """Return, a phrase each, why an engine of the key `found` is not the one of this key.

        An engine built ahead of time has no device and fits every GPU of its target.
        """
        reasons = []
        if found.graph != self.graph:
            reasons.append("it was built from another graph")
        for name in ("precision", "flavour", "version", "target", "device"):
            theirs, ours = getattr(found, name), getattr(self, name)
            if theirs != ours and not (name == "device" and theirs is None):
                reasons.append(f"it is for {name} {theirs}, not {ours}")
        for name in BuildOptions.model_fields:
            theirs, ours = getattr(found.options, name), getattr(self.options, name)
            if theirs != ours:
                reasons.append(f"it was built with {name} {_text(theirs)}, not {_text(ours)}")
        return reasons


def engine_key(
    graph: str, options: BuildOptions, precision: Precision, flavour: str, version: str, target: str, device: str | None
) -> EngineKey:  # fmt: skip
    """Return the key of an engine whose flavour and target are texts that are still to be checked; see `EngineKey`.

    Raises:
        ValidationError: the flavour or the target is of no engine.
    """
    return EngineKey.model_validate({
        "graph": graph, "precision": precision, "flavour": flavour, "version": version, "target": target,
        "device": device, "options": options,
    })  # fmt: skip


class EngineHeader(_Part):
    """What an engine file says about its engine.

    Attributes:
        key: what the engine depends on.
        plan: SHA-256 of TensorRT's bytes.
        size: how many there are.
        created: UTC time, ISO 8601.
        seconds: how long the build took.
        verdict: how its scores compare with those of the FP32 graph; None when it was built without its GPU.
    """

    key: EngineKey
    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=1)]
    created: str
    seconds: Annotated[FiniteFloat, Field(ge=0)]
    verdict: Verdict | None = None


def write_engine(path: Path, header: EngineHeader, plan: bytes) -> None:
    """Write an engine file, whole or not at all.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(MAGIC)
        file.write(header.model_dump_json().encode() + b"\n")
        file.write(plan)


def read_engine(path: Path) -> tuple[EngineHeader, bytes]:
    """Read an engine file and check that its bytes are those that were written.

    Returns:
        The header, and TensorRT's bytes.

    Raises:
        InputError: there is no such file, it is not an engine file of this toolkit, or it is damaged.
    """
    if not path.is_file():
        raise InputError(f"There is no engine file {path}.")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path} is not an engine file of this version of daflow.")
        line = file.readline(_MAX_HEADER)
        try:
            header = EngineHeader.model_validate_json(line)
        except ValidationError as error:
            raise InputError(f"The header of {path} is damaged: {problem(error)}.") from None
        there = os.fstat(file.fileno()).st_size - file.tell()
        plan = file.read(header.size) if there == header.size else b""
    if len(plan) != header.size or hashlib.sha256(plan).hexdigest() != header.plan:
        raise InputError(
            f"{path} is damaged: its contents have changed since it was written. Delete it; it is rebuilt."
        )
    return header, plan


def _text(value: object) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
