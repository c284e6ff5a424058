"""Files of `torch.save` that somebody else wrote, read without running their code and without more memory than bytes.

`torch.load(weights_only=True)` runs no code, but a file of a kilobyte may still ask it for gigabytes: by a compressed
entry, or by a constructor such as `bytearray(n)`. Here only what makes tensors out of bytes in the file is let in.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MAX_BYTES = 256 << 20
"""Of a checkpoint, which has 60 kB; the state of a training has 200 kB."""

_ARCHIVE = b"PK\x03\x04"  # how an archive begins
_TENSORS = frozenset({
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in ("Bool", "Byte", "Short", "Int", "Long", "Half", "Float", "Double")),
})  # fmt: skip
"""What tensors, parameters and their dictionaries are made by, as a pickle names it."""


def load_torch_file(path: Path, also: Collection[type] = ()) -> Any:
    """Return what a file of `torch.save` holds, with tensors on the CPU.

    Args:
        path: the file.
        also: classes of plain values that may be in it beside tensors.

    Raises:
        ValueError: it is not such a file, is damaged, or holds code or more than tensors and plain values.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large")
    content = path.read_bytes()
    try:
        checked = _checked(content, _TENSORS | {f"{kind.__module__} {kind.__qualname__}" for kind in also})
        with torch.serialization.safe_globals(list(also)):
            return torch.load(checked, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError("it is damaged, or holds more than tensors and plain values") from error


def is_plain_tensor(values: Tensor, dtype: torch.dtype) -> bool:
    """Whether a tensor is a dense one on the CPU of a kind; no quantised, sparse, nested or own class of tensors."""
    return (
        type(values) in (Tensor, torch.nn.Parameter)
        and not values.is_nested
        and (values.dtype, values.layout, values.device.type) == (dtype, torch.strided, "cpu")
    )


def _checked(content: bytes, allowed: Collection[str]) -> io.BytesIO:
    """Return an archive with the entries of this one.

    What torch gets is written anew: in a file with a second directory, or with something before the archive, it may
    find other entries than those that were checked.

    Raises:
        ValueError: the archive unpacks to more than its own bytes, or its pickle calls what is not allowed.
    """
    if not content.startswith(_ARCHIVE):  # torch reads all else as its older form, which is not checked here
        raise ValueError("torch writes no such archive")
    checked = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(checked, "w") as copy:
        entries = archive.infolist()
        names = [entry.filename.lower() for entry in entries]  # torch looks names up so
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > len(content) or len({*names}) < len(names):
            raise ValueError("torch writes no such archive")
        for name, entry in zip(names, entries, strict=True):
            data = archive.read(entry)
            if name.endswith(".pkl"):
                _check_pickle(data, allowed)
            copy.writestr(entry.filename, data)
    checked.seek(0)
    return checked


def _check_pickle(pickle: bytes, allowed: Collection[str]) -> None:
    for operation, argument, _ in pickletools.genops(pickle):
        if operation.name in ("STACK_GLOBAL", "INST"):  # torch neither writes nor reads them
            raise ValueError("an operation that torch does not know")
        if operation.name == "GLOBAL" and argument not in allowed:
            raise ValueError(f"it calls {argument}")
