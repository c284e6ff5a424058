"""Free space where files are written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def full_disk(files: Iterable[Path], least_mb: float) -> str | None:
    """Return which disk is nearly full, in words, and how much is free there; None when none is.

    Args:
        files: files or folders that are written; those whose folder does not exist are left out.
        least_mb: below so many megabytes of free space a disk is full.
    """
    for file in files:
        folder = file if file.is_dir() else file.absolute().parent
        try:
            free = shutil.disk_usage(folder).free / 1e6
        except OSError:
            continue
        if free < least_mb:
            return f"{free:.0f} MB are free at {folder}"
    return None
