"""Training windows in a memory-mapped file, made once for the same tracks and read as they are needed.

A folder of tracks is read clip after clip, so that no more than one clip is in memory. The name of an entry is a hash
of everything that its windows follow from: the tracks' bytes, their frame sizes, and how they are cut.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import common_rate
from daflow.core.data.label_table import choose_clips
from daflow.core.data.people import join_tracks
from daflow.core.data.track_files import Paths
from daflow.core.data.tracks import DEFAULT_FPS, TrackFile, find_tracks, read_each
from daflow.core.data.windows import COUNTS, Windows, make_windows
from daflow.core.errors import InputError
from daflow.core.files import sha256, user_cache
from daflow.core.progress import track

logger = logging.getLogger(__name__)

_FORMAT = 5
_KEPT_ENTRIES = 8


@dataclass(frozen=True)
class People:
    """Whom the tracks are of, `(N,)` int64 each.

    Attributes:
        clip: the index of the clip of each track.
        track: the number of the track in its file.
        person: the number of the first track of the same person, by `daflow.core.data.people.join_tracks`.
    """

    clip: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]

    def of(self, clip: npt.NDArray[np.int64], track: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return a number for the person of each window, `(W,)`, given its clip and its track."""
        pairs = zip(self.clip.tolist(), self.track.tolist(), self.person.tolist(), strict=True)
        first = {(index, number): (index, person) for index, number, person in pairs}
        wanted = [first[pair] for pair in zip(clip.tolist(), track.tolist(), strict=True)]
        numbers = {pair: number for number, pair in enumerate(dict.fromkeys(wanted))}
        return np.array([numbers[pair] for pair in wanted], dtype=np.int64)


@dataclass(frozen=True)
class TrainingSet:
    """The windows of a folder.

    Attributes:
        windows: whose `poses` are mapped from a file, and read from there when they are looked at.
        clips: the names of the clips that were read.
        broken_files: the messages of the files that were skipped.
        fps: frames per second of the windows; None when the rate of no clip is known.
        clip_fps: frames per second of each clip; where that is not known those of the windows, else 25.
        people: whom the tracks are of.
    """

    windows: Windows
    clips: tuple[str, ...]
    broken_files: tuple[str, ...]
    fps: float | None
    clip_fps: tuple[float, ...]
    people: People


def default_cache() -> Path:
    """Return the folder of the cache: `$XDG_CACHE_HOME/daflow/windows`, `~/.cache/daflow/windows` without it."""
    return user_cache() / "windows"


def read_training_set(
    poses: Paths,
    length: int,
    stride: int,
    frame_size: FrameSize | None = None,
    cache: Path | None = None,
    clips: Sequence[str] = (),
    fps: float | None = None,
) -> TrainingSet:
    """Cut the tracks of a folder into windows, or find the windows of an earlier run.

    Args:
        poses: a folder of pose tracks, or several.
        length: poses in a window.
        stride: poses between the starts of windows.
        frame_size: of all clips; None as `daflow.core.data.tracks.find_tracks`.
        cache: the folder that keeps the windows; None takes `default_cache()`.
        clips: patterns of the names of the clips to read; none reads all.
        fps: frames per second of all clips; None as `daflow.core.data.tracks.find_tracks`.

    Raises:
        InputError: the folder is missing or none of its files can be read, or the cache is damaged.
        OSError: the cache cannot be read or written, or the disk is full.
    """
    files = list(
        choose_clips(
            {file.clip: file for file in find_tracks(poses, frame_size, fps)}, clips, "track"
        ).values()
    )
    model_fps = common_rate([file.rate for file in files])
    cache = cache or default_cache()
    entry = cache / _key(files, length, stride, model_fps)
    found = entry.is_dir()
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=cache, prefix=".new."))
        try:
            _write(temporary, files, length, stride, model_fps)
            _move(temporary, entry)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _forget_the_oldest(cache, entry)
    rates = {file.clip: file.rate.fps for file in files if file.rate}
    if not found:
        return _read(entry, length, model_fps, rates)
    try:
        _repeat_warnings(entry)
        return _read(entry, length, model_fps, rates)
    except (OSError, MemoryError):  # it may be whole
        raise
    except Exception:  # noqa: BLE001  damage of JSON and archives shows itself as an error of almost any class
        raise InputError(
            f"The cache of windows in {entry} is damaged. Delete this folder and run the command again."
        ) from None


def _repeat_warnings(entry: Path) -> None:
    facts = json.loads((entry / "facts.json").read_text(encoding="utf-8"))
    for message in facts["broken_files"]:
        logger.warning("skipped: %s", message)
    for message in facts["implausible"]:
        logger.warning(message)


def _key(files: Sequence[TrackFile], length: int, stride: int, fps: float | None) -> str:
    facts = [
        (file.path.name, *file.frame_size, file.rate and file.rate.fps, sha256(file.path)) for file in files
    ]
    return hashlib.sha256(json.dumps([_FORMAT, length, stride, fps, facts]).encode()).hexdigest()[:32]


def _write(folder: Path, files: Sequence[TrackFile], length: int, stride: int, fps: float | None) -> None:
    broken: list[str] = []
    implausible: list[str] = []
    names: list[str] = []
    parts: list[Windows] = []
    people: list[tuple[int, int, int]] = []
    with (folder / "poses.f32").open("wb") as poses:
        for clip in read_each(track(files, "reading tracks"), broken, implausible):
            windows = make_windows([clip], length, stride, fps=fps)
            poses.write(windows.poses.tobytes())
            people += [(len(parts), number, person) for number, person in join_tracks(clip).items()]
            parts.append(windows)
            names.append(clip.name)
        poses.flush()
        os.fsync(poses.fileno())
    if not names:
        raise InputError(f"No pose track file in {files[0].path.parent} can be read. {broken[0]}")
    np.savez(
        folder / "index.npz",
        clip=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        person=np.concatenate([part.person for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        middle=np.concatenate([part.middle for part in parts]),
        last=np.concatenate([part.last for part in parts]),
        people=np.array(people, dtype=np.int64).reshape(-1, 3),
    )
    facts = {
        "clips": names, "broken_files": broken, "implausible": implausible,
        "counts": {name: sum(getattr(part, name) for part in parts) for name in COUNTS},
        "rates": list(dict.fromkeys(reason for part in parts for reason in part.rates)),
    }  # fmt: skip
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _move(temporary: Path, entry: Path) -> None:
    try:
        temporary.replace(entry)
    except OSError:
        if not entry.is_dir():  # another process was faster, with the same windows
            raise


def _read(entry: Path, length: int, fps: float | None, rates: Mapping[str, float]) -> TrainingSet:
    facts = json.loads((entry / "facts.json").read_text(encoding="utf-8"))
    with (entry / "index.npz").open("rb") as file:
        index: dict[str, npt.NDArray[np.int64]] = dict(np.load(file, allow_pickle=False))
    shape = (len(index["start"]), 2, length, 18)
    os.utime(entry)  # used last
    # Mode c: torch wants an array that may be written, and what is written stays in memory.
    poses = (
        np.memmap(entry / "poses.f32", np.float32, "c", shape=shape)
        if shape[0]
        else np.zeros(shape, np.float32)
    )
    windows = Windows(
        poses, index["clip"], index["person"], index["start"], index["middle"], index["last"],
        **{name: int(facts["counts"][name]) for name in COUNTS}, rates=tuple(facts["rates"]),
    )  # fmt: skip
    clips = tuple(facts["clips"])
    clip_fps = tuple(rates.get(clip, fps or DEFAULT_FPS) for clip in clips)
    return TrainingSet(
        windows, clips, tuple(facts["broken_files"]), fps, clip_fps, People(*index["people"].T)
    )


def _forget_the_oldest(cache: Path, newest: Path) -> None:
    entries = sorted(
        (path for path in cache.glob("[!.]*") if path != newest), key=lambda path: path.stat().st_mtime
    )
    for path in entries[: max(0, len(entries) + 1 - _KEPT_ENTRIES)]:
        shutil.rmtree(path, ignore_errors=True)
