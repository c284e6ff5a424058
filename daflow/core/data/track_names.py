"""The names of pose track files: which form a file has, of which clip it is, and where that of a clip is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from daflow.core.files import StrPath

TrackFormat = Literal["json", "parquet"]
TRACK_FORMATS: tuple[TrackFormat, ...] = get_args(TrackFormat)
SUFFIX = "_alphapose_tracked_person.json"
_SUFFIXES: dict[TrackFormat, str] = {"json": SUFFIX, "parquet": ".tracks.parquet"}
TRACK_NAMES = " or ".join(f"<clip>{suffix}" for suffix in _SUFFIXES.values())
"""What a message calls the names of pose track files."""

_ENDINGS = ("tracked_person.json", _SUFFIXES["parquet"])


def is_track_file(name: str) -> bool:
    """Say whether a file in a folder is one of pose tracks, by its name.

    >>> [is_track_file(name) for name in ("a_tracked_person.json", "a.tracks.parquet", "a.frames.parquet")]
    [True, True, False]
    """
    return name.endswith(_ENDINGS)


def format_of(path: Path) -> TrackFormat:
    """Return the form of a pose track file, by its name."""
    return "parquet" if path.suffix == ".parquet" else "json"


def clip_name(path: Path) -> str:
    """Return the name of the clip of a pose track file.

    >>> clip_name(Path("a/01_0001_alphapose_tracked_person.json")), clip_name(Path("hall.tracks.parquet"))
    ('01_0001', 'hall')
    """
    if format_of(path) == "parquet":
        return path.name.removesuffix(".parquet").removesuffix(".tracks")
    return path.name.removesuffix(".json").removesuffix("_tracked_person").removesuffix("_alphapose")


def track_path(folder: StrPath, clip: str, form: TrackFormat = "json") -> Path:
    """Return where the track file of a clip is written."""
    return Path(folder) / f"{clip}{_SUFFIXES[form]}"


def written_track_path(folder: StrPath, clip: str) -> Path:
    """Return where the track file of a clip is, in whichever form; as JSON where there is none."""
    paths = [track_path(folder, clip, form) for form in TRACK_FORMATS]
    return next((path for path in paths if path.is_file()), paths[0])
