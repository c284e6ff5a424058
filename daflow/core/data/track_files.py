"""Where pose track files are: in folders, in folders of folders, in several places."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from daflow.core.data.other_formats import convert_advice, describe_folder
from daflow.core.data.track_names import TRACK_NAMES, is_track_file
from daflow.core.errors import InputError
from daflow.core.files import StrPath

Paths = StrPath | Sequence[StrPath]
"""A path of pose tracks, or several."""


def name_paths(paths: Paths) -> str:
    """Name one path or several in a message.

    >>> name_paths(["monday", "tuesday"])
    'monday, tuesday'
    """
    return ", ".join(str(path) for path in _as_list(paths))


def are_paths(value: Paths | Sequence[object]) -> TypeGuard[Paths]:
    """Say whether a value is a path or several paths, not several of something else."""
    return isinstance(value, (str, os.PathLike)) or (
        bool(value) and all(isinstance(path, (str, os.PathLike)) for path in value)
    )


def short_names(paths: Paths) -> str:
    """Name one path or several without the folders that they are in.

    >>> short_names("data/train")
    'train'
    """
    return ", ".join(path.name for path in _as_list(paths))


def absolute(paths: Paths) -> list[Path]:
    """Return absolute paths, for another process that has another working folder."""
    return [path.resolve() for path in _as_list(paths)]


def _as_list(paths: Paths) -> list[Path]:
    return [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(path) for path in paths]


def files_by_folder(paths: Paths) -> dict[Path, list[Path]]:
    """Return the track files at some places by their folder; a file that is found twice is there once.

    Args:
        paths: folders, each of which holds track files, itself or in folders in it; or track files.

    Raises:
        InputError: a folder is missing or holds no pose tracks; for recordings of another pose estimator the message
            says how to convert them.
    """
    by_folder: dict[Path, list[Path]] = {}
    seen: set[Path] = set()
    for place in _as_list(paths):
        if not place.exists():
            raise InputError(f"There is no folder {place}.")
        if not place.is_dir() and not is_track_file(place.name):
            raise InputError(f"{place} is not a folder.")
        found = list(_track_files(place)) if place.is_dir() else [place]
        if not found:
            other = describe_folder(place)
            what = f"It holds {other}. " if other else "Does it hold a recording of another pose estimator? "
            raise InputError(f"{place} holds no pose tracks, {TRACK_NAMES}. {what}{convert_advice(place)}")
        for path in found:
            if (real := path.resolve()) not in seen:
                seen.add(real)
                by_folder.setdefault(path.parent, []).append(path)
    return by_folder


def holds_tracks(place: Path) -> bool:
    """Say whether a place is a pose track file, or a folder that holds one, itself or in folders in it."""
    return next(_track_files(place), None) is not None if place.is_dir() else is_track_file(place.name)


def _track_files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the track files of a folder and of the folders in it, but for hidden ones and links to a folder above."""
    above |= {folder.resolve()}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if is_track_file(path.name) and not path.is_dir():
            yield path
        elif path.is_dir() and path.resolve() not in above:
            yield from _track_files(path, above)
