"""Files that are written whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daflow.core.errors import InputError

_MAX_NAME_BYTES = 255  # of all file systems in use
_PREFIX = 40  # letters of the name that a temporary file shows

StrPath = str | os.PathLike[str]
"""A path as callers of the library may give it."""


def require_short_name(path: Path) -> None:
    """Check that a file system takes the name of a file.

    Raises:
        InputError: it has more bytes than a name may have.
    """
    size = len(os.fsencode(path.name))
    if size > _MAX_NAME_BYTES:
        raise InputError(
            f"The name {path.name[:_PREFIX]}... has {size} bytes, and a file name may have {_MAX_NAME_BYTES}. Give a "
            "shorter one."
        )


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; the file takes the place of `path` when the block ends without an error.

    Whatever happens in between (a full disk, a kill), `path` holds either its old bytes or all of the new ones.

    Raises:
        InputError: the name is too long.
        OSError: the folder cannot be written or is full.
    """
    require_short_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name[:_PREFIX]}.", suffix=path.suffix[:8]
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
