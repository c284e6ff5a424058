"""Which files make which clip: one a clip, one a frame (OpenPose, YOLO, MMPose) or one a person (`a_person_7.json`)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daflow.core.data.clip_tables import FRAME_RATES, FRAME_SIZES
from daflow.core.errors import InputError
from daflow.formats.bounded import MAX_FRAME_BYTES, read_head, read_json, read_whole
from daflow.formats.mmpose import is_picture
from daflow.formats.yolo import is_line

logger = logging.getLogger(__name__)

Kind = Literal["json", "csv", "npy", "npz", "parquet", "ntu", "openpose", "yolo", "mmpose", "unknown"]
"""What a file is, mostly by its first bytes; those of `FRAME_KINDS` are one file a frame."""

FRAME_KINDS = ("openpose", "yolo", "mmpose")

_ENDINGS = (".json", ".txt", ".csv", ".tsv", ".npy", ".npz", ".skeleton", ".tracks.parquet")
_TABLES = (FRAME_SIZES, FRAME_RATES, "made_by.json")
_OPENPOSE = re.compile(rb'\s*\{\s*("version"\s*:\s*[^,{}\[\]]{1,20},\s*)?"people"\s*:')
_MMPOSE = re.compile(rb'\s*(\[\s*\{\s*"keypoints"|\{\s*"meta_info"|\{\s*"instance_info")')
_EMPTY_LIST = re.compile(rb"\s*\[\s*\]\s*")
_MAGIC: dict[bytes, Kind] = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz", b"PAR1": "parquet"}
_PERSON = re.compile(r"(.+?)[_-]person[_-]?([0-9]{1,15})")
_FRAME = re.compile(r"(.*?)([0-9]+)")
_COMMON = {"", "frame", "frames", "image", "images", "img", "pose"}  # which say nothing about the clip
_TAILS = (
    ".tracks",
    "_alphapose_tracked_person",
    "_tracked_person",
    "_alphapose-results",
    "-alphapose-results",
    "_coco",
)


@dataclass(frozen=True)
class Source:
    """The files of one clip.

    Attributes:
        name: of the clip.
        kind: of the files.
        files: each with its frame number where `kind` is one file a frame, or its person where `by_person`.
        by_person: whether each file is one person.
    """

    name: str
    kind: Kind
    files: tuple[tuple[int, Path], ...]
    by_person: bool = False

    @property
    def place(self) -> Path:
        """What an error about all of it names: the file, or the folder of its files."""
        return self.files[0][1] if len(self.files) == 1 else self.files[0][1].parent


def find_sources(
    places: Sequence[Path], clip: str | None = None, form: str | None = None, passed_over: Path | None = None
) -> list[Source]:
    """Return the recordings at some places, sorted by name; a file that is found twice is there once.

    Args:
        places: files, and folders with such files, at any depth. In a folder, files of other kinds, hidden ones and
            frame_sizes.json, frame_rates.json and made_by.json are passed over.
        clip: the name of the clip, for a single one.
        form: as `--from` takes it; openpose and yolo are one file a frame, whatever the files begin with.
        passed_over: a folder that is not looked into, unless it is one of the places.

    Raises:
        InputError: a place is missing, nothing is there, or two recordings have one name.
    """
    groups: dict[tuple[str, str, Kind, Path], list[tuple[int, Path]]] = {}
    seen: set[Path] = set()
    for place in places:
        if not place.exists():
            raise InputError(f"There is no file or folder {place}.")
        above = {passed_over.resolve()} - {place.resolve()} if passed_over else set()
        for path in _files(place, frozenset(above)) if place.is_dir() else [place]:
            if (real := path.resolve()) in seen:
                continue
            seen.add(real)
            kind = _as_asked(_kind(path), path, form)
            name, group, number = _name(path, kind)
            folder = path.parent if group else path
            groups.setdefault((name, group, kind, folder), []).append((number, path))
    if not groups:
        raise InputError(
            f"There is no recording in {', '.join(map(str, places))}: no file ends in {_list(_ENDINGS)}."
        )
    found = [
        Source(name, _unless_empty(kind, files), tuple(sorted(files)), group == "person")
        for (name, group, kind, _), files in groups.items()
    ]
    if clip is not None:
        if len(found) > 1:
            raise InputError(f"--clip names a single recording, and there are {len(found)}.")
        found = [Source(clip, found[0].kind, found[0].files, found[0].by_person)]
    by_name: dict[str, Source] = {}
    for source in found:
        if source.name in by_name:
            raise InputError(
                f"Two recordings are of a clip {source.name}: {by_name[source.name].place} and {source.place}. Convert "
                "them one by one with --clip."
            )
        by_name[source.name] = source
    return [by_name[name] for name in sorted(by_name)]


def _list(endings: Sequence[str]) -> str:
    return f"{', '.join(endings[:-1])} or {endings[-1]}"


def _files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the files of a folder and of the folders in it, but for links to a folder above."""
    above |= {folder.resolve()}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.resolve() not in above:
                yield from _files(path, above)
        elif (
            path.name.removesuffix(".gz").endswith(_ENDINGS) and path.name.removesuffix(".gz") not in _TABLES
        ):
            yield path


def _unless_empty(kind: Kind, files: Sequence[tuple[int, Path]]) -> Kind:
    """The kind of the files of a clip: where all are empty lists, nothing says that they are pictures of MMPose."""
    if kind == "mmpose" and all(_EMPTY_LIST.fullmatch(read_head(path)) for _, path in files):
        return "json"
    return kind


def _as_asked(kind: Kind, path: Path, form: str | None) -> Kind:
    if form and kind in ("json", "openpose", "mmpose"):
        return "openpose" if form == "openpose" else kind if form == kind else "json"
    return "yolo" if form == "yolo" and path.name.removesuffix(".gz").endswith(".txt") else kind


def _kind(path: Path) -> Kind:
    try:
        head = read_head(path)
    except (InputError, OSError):
        return "unknown"  # the error comes when it is read
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        numbered = re.search(r"[0-9]_keypoints\.json(\.gz)?$", path.name) and b'"people"' in text
        if numbered or _OPENPOSE.match(text):
            return "openpose"
        return "mmpose" if _is_mmpose_picture(path, text) else "json"
    if path.name.removesuffix(".gz").endswith(".skeleton"):
        return "ntu"
    return _kind_of_text(path, text.decode("utf-8", errors="replace"))


def _is_mmpose_picture(path: Path, head: bytes) -> bool:
    """Whether a JSON file holds the people of one picture as MMPose writes them; a list of nobody may be one."""
    if not _MMPOSE.match(head):
        return _EMPTY_LIST.fullmatch(head) is not None
    try:
        return is_picture(read_json(path, read_whole(path, MAX_FRAME_BYTES)))
    except (InputError, OSError):
        return False  # the error comes when it is read, and a large file is no picture


def _kind_of_text(path: Path, text: str) -> Kind:
    first, end, _ = text.partition("\n")
    if not text and path.name.removesuffix(".gz").endswith(".txt"):
        return "yolo"  # nobody is in this frame
    if is_line(first) or (not end and is_line(first.rpartition(" ")[0])):  # the last number may be cut off
        return "yolo"
    return "csv" if re.search(r"[A-Za-z].*[,;\t]|[,;\t].*[A-Za-z]", first) else "unknown"


def _name(path: Path, kind: Kind) -> tuple[str, str, int]:
    """Return the name of a file's clip, how its files belong together (empty: it is alone), and its number in it."""
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    if kind in FRAME_KINDS:
        stem = stem.removesuffix("_keypoints")
        match = _FRAME.fullmatch(stem)
        if match is None:
            return stem, "", 0
        prefix = match[1].rstrip("_-. ")
        name = path.absolute().parent.name if prefix.lower() in _COMMON else prefix
        return name or "clip", "frame", int(match[2][:16])
    if match := _PERSON.fullmatch(stem):
        return match[1], "person", int(match[2])
    if stem == "alphapose-results":  # as AlphaPose always calls it
        return path.absolute().parent.name or "clip", "", 0
    for tail in _TAILS:
        if stem.endswith(tail) and stem != tail:
            return stem.removesuffix(tail), "", 0
    return stem, "", 0
