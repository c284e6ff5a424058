"""What each track file of a folder was made from, kept in `made_by.json`, so that a result is recognised by its origin.

A name and an age do not tell two videos apart: `monday/cam.mp4` and `tuesday/cam.mp4` are both the clip `cam`. A track
file is current when it was made from the same file (its path, size and time of change), in the same way (the part, the
options, the pose model), and was not changed since. A clip is claimed before its poses are found, so that an
interrupted run continues, and two runs at once do not take the same name.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from daflow.core.data.clip_tables import read_table
from daflow.core.data.track_names import clip_name, written_track_path
from daflow.core.errors import InputError
from daflow.core.files import locked, sha256, write_text
from daflow.core.manifest_file import MANIFEST
from runtime.batch.clip_names import readable
from runtime.batch.pose_task import PoseTask
from runtime.config.schema import CameraOptions
from runtime.poses.estimators import BUNDLE, resolved
from runtime.sources.images import images_in
from runtime.sources.uri import is_live, recording_path, redacted

logger = logging.getLogger(__name__)

MADE_BY = "made_by.json"


class MadeBy(BaseModel):
    """The origin of a track file.

    Attributes:
        source: the absolute path of the video or folder; of a source that is no file its name, without secrets.
        size: of the video, or of all images of the folder, bytes.
        mtime_ns: when the video or an image was changed last, nanoseconds since 1970.
        begin: where the part begins, seconds.
        end: where it ends; None is the end of the video.
        max_frames: at which it was stopped; None is no limit.
        options: a hash of the pose model and of how people are found.
        tracks: the hash of the track file; None while it is not written.
        frames: how many frames of the video were processed; None while they are not.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    size: int
    mtime_ns: int
    begin: float
    end: float | None
    max_frames: int | None
    options: str
    tracks: str | None = None
    frames: int | None = None


# A list is an entry of an earlier version, which does not say what the source was.
_TABLE: TypeAdapter[dict[str, MadeBy | list[str]]] = TypeAdapter(dict[str, MadeBy | list[str]])
_FORM = (
    "what each track file was made from; 'daflow poses --overwrite' finds the poses again if you remove it"
)


def read_made_by(folder: Path) -> dict[str, MadeBy]:
    """Return the origin of each clip of a folder, by name.

    Raises:
        InputError: the file is invalid.
    """
    entries = read_table(folder / MADE_BY, _TABLE, _FORM)
    return {clip: entry for clip, entry in entries.items() if isinstance(entry, MadeBy)}


def origin_of(task: PoseTask) -> MadeBy:
    """Return what the track file of a task is made from."""
    size = changed = 0
    name = redacted(task.uri)
    if not is_live(task.uri) and not task.uri.startswith("synthetic:"):
        path = recording_path(task.uri).resolve()
        name = readable(path)
        for file in images_in(path) if path.is_dir() else [path]:
            facts = file.stat()
            size, changed = size + facts.st_size, max(changed, facts.st_mtime_ns)
    return MadeBy(
        source=name, size=size, mtime_ns=changed, begin=task.begin, end=task.end, max_frames=task.max_frames,
        options=_options_hash(task.options),
    )  # fmt: skip


def claim(
    folder: Path, tasks: Sequence[PoseTask], advice: str, overwrite: bool = False, all_parts: bool = True
) -> list[PoseTask]:
    """Claim the clips of tasks, and return those whose track file has to be made.

    Args:
        folder: of the track files.
        tasks: what is wanted there.
        advice: what to do about a clip that is in the way, for the error.
        overwrite: take the place of what is there, whatever it was made from.
        all_parts: whether the tasks are everything that is to be in the folder of their sources; clips of these that
            are not among the tasks were cut otherwise, and hold the same frames once more. Otherwise such clips do not
            matter, and a track file that somebody else wrote is taken if it is newer than the video.

    Raises:
        InputError: a clip is there that was made from something else, or a source was cut otherwise.
        OSError: the folder cannot be written.
    """
    with locked(folder):
        entries = dict(read_table(folder / MADE_BY, _TABLE, _FORM))
        if all_parts:
            _check_parts(folder, tasks, entries, advice, overwrite)
        remaining = []
        for task in tasks:
            origin, entry = origin_of(task), entries.get(task.clip)
            file = written_track_path(folder, task.clip)
            if not overwrite and not is_live(task.uri) and _is_current(file, entry, origin):
                continue
            if not all_parts and _is_by_hand(file, entry, origin):
                logger.warning("nothing says what %s was made from; it is taken for %s", file, origin.source)
                continue
            if not overwrite:
                _check_source(file, entry, origin, is_live(task.uri), advice)
                if all_parts:
                    _check_unchanged(file, entry, origin, advice)
            entries[task.clip] = origin
            remaining.append(task)
        if remaining:
            write_text(folder / MADE_BY, _as_json(entries))
    return remaining


def all_by_hand(folder: Path, tasks: Sequence[PoseTask]) -> bool:
    """Whether somebody else wrote every track file, after its video, so that no people have to be found.

    Args:
        folder: of the track files.
        tasks: what is wanted there.

    Raises:
        InputError: what the files were made from cannot be read.
    """
    entries = read_table(folder / MADE_BY, _TABLE, _FORM)
    return all(
        _is_by_hand(written_track_path(folder, task.clip), entries.get(task.clip), origin_of(task))
        for task in tasks
    )


def record(task: PoseTask, frames: int) -> None:
    """Note that the track file of a task is written.

    Args:
        task: what was done.
        frames: how many frames were processed.

    Raises:
        OSError: the folder cannot be written.
    """
    tracks = sha256(written_track_path(task.output, task.clip))
    with locked(task.output):
        entries = dict(read_table(task.output / MADE_BY, _TABLE, _FORM))
        claimed = entries.get(task.clip)
        origin = claimed if isinstance(claimed, MadeBy) else origin_of(task)
        entries[task.clip] = origin.model_copy(update={"tracks": tracks, "frames": frames})
        write_text(task.output / MADE_BY, _as_json(entries))


def release(task: PoseTask) -> None:
    """Give up the claim of a task that failed; while an earlier track file of the clip is there, it stays the owner."""
    with locked(task.output):
        entries = dict(read_table(task.output / MADE_BY, _TABLE, _FORM))
        entry = entries.get(task.clip)
        file = written_track_path(task.output, task.clip)
        if isinstance(entry, MadeBy) and entry.tracks is None and not file.exists():
            del entries[task.clip]
            write_text(task.output / MADE_BY, _as_json(entries))


def _is_current(file: Path, entry: MadeBy | list[str] | None, origin: MadeBy) -> bool:
    if not isinstance(entry, MadeBy) or entry.tracks is None or not file.is_file():
        return False
    made = entry.model_copy(update={"tracks": None, "frames": None})
    return made == origin and entry.tracks == sha256(file)


def _check_source(
    file: Path, entry: MadeBy | list[str] | None, origin: MadeBy, live: bool, advice: str
) -> None:
    """Refuse to take the place of what was made from another source."""
    if isinstance(entry, MadeBy) and (entry.source != origin.source or (live and entry.tracks)):
        raise InputError(
            f"{file.parent} already has the clip {clip_name(file)}, made from {entry.source}; "
            f"{origin.source} would be the same clip: {advice}."
        )
    if not isinstance(entry, MadeBy) and file.exists():
        raise InputError(
            f"{file} is there already, and nothing says what it was made from; {origin.source} would be the same clip: "
            f"{advice}."
        )


def _check_unchanged(file: Path, entry: MadeBy | list[str] | None, origin: MadeBy, advice: str) -> None:
    """Refuse to take the place of a track file that somebody changed."""
    if isinstance(entry, MadeBy) and entry.tracks and file.exists() and entry.tracks != sha256(file):
        raise InputError(f"{file} was changed after it was made from {origin.source}: {advice}.")


def _is_by_hand(file: Path, entry: MadeBy | list[str] | None, origin: MadeBy) -> bool:
    """Whether somebody else wrote or changed a track file, after its video."""
    if not file.is_file() or file.stat().st_mtime_ns < origin.mtime_ns:
        return False
    if isinstance(entry, MadeBy):
        return entry.source == origin.source and entry.tracks is not None and entry.tracks != sha256(file)
    return True


def _check_parts(
    folder: Path,
    tasks: Sequence[PoseTask],
    entries: dict[str, MadeBy | list[str]],
    advice: str,
    overwrite: bool,
) -> None:
    """Refuse, or with `overwrite` remove, clips of the same sources that are no part of the tasks."""
    names = {task.clip for task in tasks}
    sources = {origin_of(task).source for task in tasks if not is_live(task.uri)}
    others = [
        clip for clip, entry in entries.items()
        if isinstance(entry, MadeBy) and entry.source in sources and clip not in names
        and written_track_path(folder, clip).is_file()
    ]  # fmt: skip
    if others and not overwrite:
        example = entries[others[0]]
        assert isinstance(example, MadeBy)
        raise InputError(
            f"{folder} has {len(others)} clips of {example.source} that were cut or named otherwise, such as "
            f"{others[0]}: give the same --part-minutes, --max-frames and --clip, or {advice}."
        )
    for clip in others:
        written_track_path(folder, clip).unlink()
        del entries[clip]


def _as_json(entries: dict[str, MadeBy | list[str]]) -> str:
    return json.dumps(_TABLE.dump_python(entries), indent=1, sort_keys=True) + "\n"


def _options_hash(options: CameraOptions) -> str:
    """Return a hash of what determines the tracks: the pose model, how people are found, and the rate."""
    options = resolved(options)
    facts = options.model_dump(mode="json", include={"people", "max_people", "estimator", "fps"})
    model = options.pose_model
    if options.estimator == BUNDLE and options.pose_bundle is not None:
        facts |= options.model_dump(mode="json", include={"pose_engine", "pose_precision"})
        model = options.pose_bundle / MANIFEST
    if model is not None and model.is_file():
        facts["pose_model"] = _hash_of(str(model), model.stat().st_mtime_ns)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@functools.cache
def _hash_of(path: str, changed: int) -> str:  # noqa: ARG001 - part of the key
    return sha256(Path(path))
