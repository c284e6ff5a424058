"""Write a folder of files as a whole: it replaces an older one at the very end, or nothing changes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from daflow.core.errors import InputError
from daflow.core.files import locked, require_short_name


@contextlib.contextmanager
def replace_when_done(folder: Path, noun: str, is_older: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, which replaces it when the block ends without an error.

    Args:
        folder: what to write.
        noun: what it is for people, such as `bundle`.
        is_older: whether what is there is an older one, which may be replaced.

    Raises:
        InputError: something else is there.
        OSError: the folder cannot be written.
    """
    if folder.exists() and not is_older(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not a {noun}, so it is not replaced. Give another name.")
    require_short_name(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name[:40]}.") as temporary:
        work = Path(temporary) / "new"
        work.mkdir()
        yield work
        with locked(folder.parent):  # two exports to one folder: the last one stays
            if folder.exists():
                folder.rename(Path(temporary) / "old")
            work.rename(folder)
        shutil.rmtree(Path(temporary) / "old", ignore_errors=True)
