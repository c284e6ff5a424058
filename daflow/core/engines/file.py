"""Engine files: a line of JSON that says what the engine is for and from what, then TensorRT's own bytes.

TensorRT answers an engine of another GPU, version or model with a cryptic error, or with wrong scores. Here the header
carries everything that an engine is tied to, and nothing is handed to TensorRT before it was compared.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from daflow.core.errors import InputError
from daflow.core.files import written_whole
from daflow.core.scoring.comparison import Precision, Verdict

MAGIC = b"daflow-engine 1\n"
_MAX_HEADER = 1 << 20  # bytes
_Batch = Annotated[int, Field(ge=1, le=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BuildOptions(_Part):
    """What a user chooses about an engine.

    Attributes:
        batch: least, usual and most windows in a call.
        workspace: most scratch memory that the builder may use, MiB; the model needs less than one.
        version_compatible: whether later versions of TensorRT may load the engine.
        hardware_compatible: whether every GPU from Ampere on may load it; not on Jetson.
    """

    batch: tuple[_Batch, _Batch, _Batch] = (1, 4, 32)
    workspace: Annotated[int, Field(ge=1)] = 256
    version_compatible: bool = False
    hardware_compatible: bool = False

    @field_validator("batch")
    @classmethod
    def _ascending(cls, batch: tuple[int, int, int]) -> tuple[int, int, int]:
        if list(batch) != sorted(batch):
            raise ValueError("the batch sizes must not descend")
        return batch


class EngineKey(_Part):
    """Everything that an engine is tied to; another key is another engine.

    Attributes:
        graph: SHA-256 of the ONNX file.
        precision: of that file.
        flavour: the module that builds, `tensorrt` or `tensorrt_rtx`.
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
        """The name of its file: what cannot be told by looking for a file that was there before."""
        return f"{self.precision}.{self.target}.{self.flavour}.engine"

    def differences(self, found: EngineKey) -> list[str]:
        """Say, a phrase each, why an engine of the key `found` is not the one of this key.

        An engine built ahead of time has no device and fits every GPU of its target.
        """
        reasons = []
        if found.graph != self.graph:
            reasons.append("it was built from another graph")
        for name in ("precision", "flavour", "version", "target", "device"):
            theirs, ours = getattr(found, name), getattr(self, name)
            if theirs != ours and not (name == "device" and theirs is None):
                reasons.append(f"it is for {name} {theirs}, here is {ours}")
        for name in BuildOptions.model_fields:
            theirs, ours = getattr(found.options, name), getattr(self.options, name)
            if theirs != ours:
                reasons.append(f"it was built with {name} {_words(theirs)}, {_words(ours)} is wanted")
        return reasons


class EngineHeader(_Part):
    """The first lines of an engine file.

    Attributes:
        key: what the engine is tied to.
        plan: SHA-256 of TensorRT's bytes.
        size: how many there are.
        created: UTC time, ISO 8601.
        seconds: how long the build took.
        verdict: how its scores compare with those of the FP32 graph; None when no GPU was there to run it.
    """

    key: EngineKey
    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=1)]
    created: str
    seconds: float
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

    Raises:
        InputError: there is no such file, it is not an engine file of this toolkit, or it is damaged.
    """
    if not path.is_file():
        raise InputError(f"There is no engine file {path}.")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path} is not an engine file of this daflow.")
        line = file.readline(_MAX_HEADER)
        plan = file.read()
    try:
        header = EngineHeader.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise InputError(f"The header of {path} is damaged: {where}: {first['msg']}.") from None
    if len(plan) != header.size or hashlib.sha256(plan).hexdigest() != header.plan:
        raise InputError(f"{path} is damaged: its bytes are not those that were written.")
    return header, plan


def _words(value: object) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
