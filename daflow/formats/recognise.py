"""The reader of each form, chosen by what a file holds, or by `--from`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.errors import InputError
from daflow.formats import alphapose, arrays, coco, mediapipe, mmpose, ntu, openpose, parquet, tables, yolo
from daflow.formats.bounded import MAX_FRAME_BYTES, read_json, read_whole
from daflow.formats.recording import Options, Recording
from daflow.formats.sources import FRAME_KINDS, Source


@dataclass(frozen=True)
class _Form:
    """A form of JSON files: its name for `--from`, whether a value is of it, and its reader."""

    name: str
    matches: Callable[[object], bool]
    read: Callable[[Path, Any, Options], list[Recording]]


def _one_frame(path: Path, content: Any, options: Options) -> list[Recording]:
    return openpose.read_frames(path, [(0, path, content)], options)


_JSON = (
    _Form("tracks", alphapose.is_tracks, alphapose.read_tracks),
    _Form("alphapose", alphapose.is_results, alphapose.read_results),
    _Form("alphapose", alphapose.is_by_image, alphapose.read_by_image),
    _Form("coco", coco.is_annotations, coco.read_annotations),
    _Form("mmpose", mmpose.is_frames, mmpose.read_frames),
    _Form("openpose", openpose.is_frame, _one_frame),
    _Form("mediapipe", mediapipe.is_landmarks, mediapipe.read_landmarks),
)
FORMS = (*dict.fromkeys(form.name for form in _JSON), "yolo", "ntu", "csv", "numpy", "parquet")
"""The names that `--from` takes."""

_TOO = {"coco": "alphapose", "alphapose": "tracks"}
"""What a name stands for too: lists of results are COCO's form, and AlphaPose's tracks are this project's form."""

_BYTES: dict[str, Callable[[Path, bytes, Options], list[Recording]]] = {
    "npy": arrays.read_npy,
    "npz": arrays.read_npz,
    "csv": tables.read_table,
    "ntu": ntu.read_skeletons,
}
_KINDS_OF = {
    "openpose": ("openpose",), "yolo": ("yolo",), "mmpose": ("json", "mmpose"), "ntu": ("ntu",), "csv": ("csv",),
    "numpy": ("npy", "npz"), "parquet": ("parquet",),
}  # fmt: skip


def read_source(source: Source, options: Options) -> list[Recording]:
    """Read a recording; the clips of one file may be several, each with its name.

    Raises:
        InputError: it is of no known form, of several, or not valid; the message says which option decides.
        OSError: a file cannot be read.
    """
    if options.form and source.kind not in _KINDS_OF.get(options.form, ("json",)):
        raise InputError(f"{source.place} is not of the form that --from {options.form} says.")
    if source.by_person:
        return [_joined(source, [_read_file(source, path, options) for _, path in source.files])]
    if source.kind in FRAME_KINDS:
        numbers = [number for number, _ in source.files]
        if len(set(numbers)) != len(numbers):
            raise InputError(f"{source.place} has two files of one frame of {source.name}.")
        if source.kind == "yolo":
            return yolo.read_frames(source.place, _contents(source), options)
        parsed = ((number, path, read_json(path, content)) for number, path, content in _contents(source))
        read = openpose.read_frames if source.kind == "openpose" else mmpose.read_pictures
        return read(source.place, parsed, options)
    return _read_file(source, source.files[0][1], options)


def _contents(source: Source) -> Iterator[tuple[int, Path, bytes]]:
    """Yield frame, path and bytes of each file of one frame."""
    for number, path in source.files:
        yield number, path, read_whole(path, MAX_FRAME_BYTES)


def _read_file(source: Source, path: Path, options: Options) -> list[Recording]:
    if source.kind == "parquet":
        return parquet.read_parquet(path)
    content = read_whole(path)
    if source.kind in _BYTES:
        return _BYTES[source.kind](path, content, options)
    if source.kind != "json":
        raise InputError(
            f"{path} is of no known form: it is neither JSON, CSV, a NumPy array nor a frame of YOLO."
        )
    value = read_json(path, content)
    return _form_of(path, value, options).read(path, value, options)


def _form_of(path: Path, value: object, options: Options) -> _Form:
    if options.form:
        named = [form for form in _JSON if form.name == options.form]
        named += [form for form in _JSON if form.name == _TOO.get(options.form)]
        return next((form for form in named if form.matches(value)), named[0])
    found = [form for form in _JSON if form.matches(value)]
    if not found:
        empty = value in ([], {})
        raise InputError(
            f"{path} {'is empty, so nothing says its form' if empty else 'is of no known form'}: give --from."
        )
    if len(found) > 1:
        raise InputError(f"{path} may be {' or '.join(form.name for form in found)}: give --from.")
    return found[0]


def _joined(source: Source, parts: list[list[Recording]]) -> Recording:
    """Join the files of a clip's people, each of whom gets the number in the name of the file."""
    single = []
    for (person, path), recordings in zip(source.files, parts, strict=True):
        if len(recordings) != 1 or len(np.unique(recordings[0].frames)) != len(recordings[0].frames):
            raise InputError(f"{path} holds several people, and its name says that it is person {person}.")
        people = np.full_like(recordings[0].people, person)
        single.append(replace(recordings[0], people=people))
    first = single[0]
    if any(
        (part.form, part.layout, part.keypoints.shape[1])
        != (first.form, first.layout, first.keypoints.shape[1])
        for part in single
    ):
        raise InputError(
            f"{source.place}: the files of the people of {source.name} are of several forms or layouts."
        )
    return replace(
        first,
        frames=np.concatenate([part.frames for part in single]),
        people=np.concatenate([part.people for part in single]),
        keypoints=np.concatenate([part.keypoints for part in single]),
        scores=np.concatenate([part.scores for part in single]),
    )
