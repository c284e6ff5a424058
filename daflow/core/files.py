"""Files: written whole or not at all, read as people save them, changed by one process at a time; and their hashes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError
from daflow.core.log import shortened

logger = logging.getLogger(__name__)

_MAX_NAME_BYTES = 255  # of all file systems in use
_PREFIX = 40  # letters of a name that a temporary file and a message show

StrPath = str | os.PathLike[str]
"""A path as callers of the library may give it."""


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A key that sorts paths by their names, and numbers in them by their value.

    >>> sorted(map(Path, ("10.jpg", "2.jpg")), key=natural_order)
    [PosixPath('2.jpg'), PosixPath('10.jpg')]
    """
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def require_short_name(path: Path) -> None:
    """Check that a file system takes the name of a file.

    Raises:
        InputError: it has more bytes than a name may have.
    """
    size = len(os.fsencode(path.name))
    if size > _MAX_NAME_BYTES:
        raise InputError(
            f"The name {shortened(path.name, _PREFIX)} has {size} bytes, and a file name may have {_MAX_NAME_BYTES}. "
            "Give a shorter one."
        )


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; the file takes the place of `path` when the block ends without an error.

    Whatever happens in between (a full disk, a kill), `path` holds either its old bytes or all of the new ones. Its
    mode is 0666 without the umask's bits, as that of any new file.

    Raises:
        InputError: the name is too long.
        OSError: the folder cannot be written or is full.
    """
    require_short_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:_PREFIX]}.{secrets.token_hex(8)}{path.suffix[:8]}")
    # The kernel takes the umask from the mode: to read the umask one must change it, also for all other threads.
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file without the byte order mark that some editors write first.

    Every end of a line becomes a line feed.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8.
    """
    return decode_text(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")


def decode_text(content: bytes) -> str:
    """Return the text of UTF-8 bytes without a byte order mark.

    Raises:
        ValueError: they are not UTF-8. The message does not show them.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text that somebody else wrote, with or without a byte order mark.

    Raises:
        ValueError: the text is not UTF-8, not JSON or nested too deep, or an object names something twice, of which
            `json.loads` would silently keep the last.

    >>> parse_json('{"1": {"0001": [], "0001": []}}')
    Traceback (most recent call last):
    ValueError: the name "0001" appears twice in one object
    """
    if isinstance(text, bytes):
        text = decode_text(text)
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_without_twins)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        twin = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {json.dumps(twin)} appears twice in one object")
    return content


def user_data() -> Path:
    """Return the folder for what the user keeps: `$XDG_DATA_HOME/daflow`, `~/.local/share/daflow` without it."""
    return _user_folder("XDG_DATA_HOME", ".local/share")


def user_cache() -> Path:
    """Return the folder for what can be made again: `$XDG_CACHE_HOME/daflow`, `~/.cache/daflow` without it."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def _user_folder(variable: str, below_home: str) -> Path:
    chosen = os.environ.get(variable)
    return (Path(chosen) if chosen else Path.home() / below_home) / "daflow"


@contextlib.contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder, so that one process at a time reads, changes and writes a file in it.

    The lock belongs to the open folder: it leaves no file, and it ends with the process. Where the file system has no
    locks, a warning says so.

    Args:
        folder: which is made if it is not there.
        wait: whether to wait while another process holds the lock.

    Raises:
        BlockingIOError: another process holds the lock, and nobody waits for it.
        OSError: the folder cannot be made or opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError as error:
            logger.warning(
                "%s cannot be locked (%s): do not change it from two processes at once",
                folder,
                error.strerror,
            )
        yield
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
