"""Pose tracks as Parquet: a row a pose, with the frame size and the frame rate in the file itself.

The columns are `person`, `frame` (int64), `time` (seconds from frame 0, null where the rate is not known), `joints` (x
and y of each joint in pixels, float32), `confidences` (of each joint, float32) and `score` (of the pose, float32 or
null). What is read is what was written, bit for bit.

This is the one module of `daflow.core` that imports pyarrow, and only where a Parquet file is met: a device that
records and reads JSON does without.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip import Clip, Track
from daflow.core.data.clip_tables import FrameSize, require_frame_size
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.parquet_pages import pages
from daflow.core.errors import InputError
from daflow.core.files import parse_json, written_whole
from daflow.core.log import shortened

_Numbers = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]

VERSION = 1
MAX_POSES = 500_000
"""Poses of a file at most: five hours of one person at 25 frames per second, ten minutes of 33 people."""

MAX_BYTES = 256 << 20
"""Bytes of a file at most."""

_MAX_NUMBER = 10**15
"""Persons and frames are below this, as in JSON."""

_KEY = b"daflow.tracks"
_JOINTS = {"coco17": 17, "openpose18": 18}
_READ = ("person", "frame", "joints", "confidences", "score")
_MAX_PAGE = 64 << 20  # bytes unpacked; writers make pages of 1 MiB
_MAX_UNPACKED = 1 << 30  # of the columns that are read; those of `MAX_POSES` have 120 MB
_BATCH = 1 << 16  # rows that are unpacked at once
_LIMITS = {"thrift_string_size_limit": 1 << 20, "thrift_container_size_limit": 10_000}


@dataclass(frozen=True)
class ParquetHead:
    """What a file says about its clip beside the poses.

    Attributes:
        frame_size: width and height of the video frames in pixels.
        rate: the frame rate, None if it is not known.
        joints: of each pose, 17 (COCO) or 18 (OpenPose).
    """

    frame_size: FrameSize
    rate: FrameRate | None
    joints: int


def require_pyarrow(path: Path | None = None) -> None:
    """Check that Parquet can be written or read.

    Args:
        path: the file that is to be read, for the message.

    Raises:
        InputError: pyarrow is not installed.
    """
    _pyarrow(path)


def read_parquet_head(path: Path) -> ParquetHead:
    """Read what a file says about its clip, without its poses.

    Raises:
        InputError: it is missing, no Parquet file of pose tracks, or pyarrow is not installed.
    """
    _require_small_file(path)
    with path.open("rb") as file, _open(path, file) as opened:
        return _head(path, opened.schema_arrow.metadata)


def read_parquet_tracks(path: Path) -> tuple[ParquetHead, tuple[Track, ...]]:
    """Read a file; people are in the order of their numbers, and their poses in that of the frames.

    What the file declares is compared with limits before room is made for it.

    Raises:
        InputError: it is missing, no Parquet file of pose tracks, or pyarrow is not installed; the message names the
            file and, where it applies, the person and the frame.
    """
    pa, _ = _pyarrow(path)
    _require_small_file(path)
    content = path.read_bytes()
    with _open(path, pa.BufferReader(content)) as opened:
        head = _head(path, opened.schema_arrow.metadata)
        _require_columns(path, pa, opened.schema_arrow, head.joints)
        _require_bounded(path, opened.metadata, memoryview(content), head.joints)
        return head, _tracks(path, *_poses(path, opened, head.joints))


def write_parquet_tracks(path: Path, clip: Clip) -> None:
    """Write a file, whole or not at all.

    Raises:
        InputError: people have 17 and 18 joints, there are more than `MAX_POSES` poses, or pyarrow is not installed.
        OSError: the folder cannot be written.
    """
    pa, pq = _pyarrow(None)
    counts = {track.keypoints.shape[1] for track in clip.tracks} or {17}
    if len(counts) > 1 or not counts <= set(_JOINTS.values()):
        raise InputError(
            f"Clip {clip.name} has poses of {' and '.join(map(str, sorted(counts)))} joints; a Parquet file of pose "
            "tracks has 17 or 18 in all."
        )
    if clip.poses > MAX_POSES:
        raise InputError(f"Clip {clip.name} has {clip.poses} poses, and a Parquet file at most {MAX_POSES}.")
    (joints,) = counts
    with written_whole(path) as temporary:
        pq.write_table(
            _table(pa, clip, joints), temporary, compression="zstd", write_statistics=False,
            use_dictionary=["person", "frame", "time", "confidences.list.element", "score"],
            use_byte_stream_split=["joints.list.element"], write_page_checksum=True,
        )  # fmt: skip


def _pyarrow(path: Path | None) -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        what = "Pose tracks in Parquet need" if path is None else f"{path} is a Parquet file, which needs"
        raise InputError(
            f"{what} pyarrow ({error}). Install it with: pip install pyarrow, or keep pose tracks as JSON."
        ) from None
    return pa, pq


@contextlib.contextmanager
def _open(path: Path, file: object) -> Iterator[Any]:
    """Open a Parquet file, and turn what pyarrow and the page headers raise about damage into an `InputError`."""
    pa, pq = _pyarrow(path)
    try:
        with pq.ParquetFile(file, page_checksum_verification=True, **_LIMITS) as opened:
            yield opened
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is not a valid Parquet file: {error}.") from None


def _require_small_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"There is no pose track file {path}.")
    if not path.is_file():
        raise InputError(f"{path} is not a file.")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path} is larger than {MAX_BYTES >> 20} MiB, which is the limit. Split the recording."
        )


def _head(path: Path, metadata: Mapping[bytes, bytes] | None) -> ParquetHead:
    if not metadata or _KEY not in metadata:
        raise InputError(
            f"{path} is a Parquet file, but not of pose tracks: {_KEY.decode()} is not in its metadata."
        )
    try:
        content = parse_json(metadata[_KEY])
    except ValueError as error:
        raise InputError(f"{path}: {_KEY.decode()} is not valid JSON: {error}.") from None
    content = content if isinstance(content, dict) else {}
    if content.get("version") != VERSION:
        raise InputError(
            f"{path} is of version {shortened(repr(content.get('version')), 20)} of the form, and this toolkit reads "
            f"version {VERSION}."
        )
    size, rate, layout = (content.get(name) for name in ("frame_size", "rate", "layout"))
    if not isinstance(layout, str) or layout not in _JOINTS:
        raise InputError(f"{path}: the layout {shortened(repr(layout), 40)} is not {' or '.join(_JOINTS)}.")
    try:
        require_frame_size(size)
        return ParquetHead(tuple(size), _rate(rate), _JOINTS[layout])  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None


def _rate(rate: object) -> FrameRate | None:
    if rate is None:
        return None
    names = ("fps", "low", "high")
    if not isinstance(rate, dict) or any(type(rate.get(name)) not in (int, float) for name in names):
        raise InputError(f"The frame rate {shortened(repr(rate), 40)} is not null or fps, low and high.")
    return FrameRate(*(rate[name] for name in names))


def _require_columns(path: Path, pa: ModuleType, schema: Any, joints: int) -> None:
    wanted = {
        "person": pa.int64(), "frame": pa.int64(), "score": pa.float32(),
        "joints": pa.list_(pa.float32(), 2 * joints), "confidences": pa.list_(pa.float32(), joints),
    }  # fmt: skip
    for name in _READ:
        places = schema.get_all_field_indices(name)
        found = str(schema.field(places[0]).type) if len(places) == 1 else f"there {len(places)} times"
        if len(places) != 1 or not _same(pa, schema.field(places[0]).type, wanted[name]):
            raise InputError(
                f"{path} is not a pose track file: the column {name} is {shortened(found)}, and {wanted[name]} is "
                "needed."
            )


def _same(pa: ModuleType, found: Any, wanted: Any) -> bool:
    if not pa.types.is_fixed_size_list(wanted):
        return bool(found == wanted)
    return pa.types.is_fixed_size_list(found) and (found.list_size, found.value_type) == (
        wanted.list_size, wanted.value_type,
    )  # fmt: skip


def _require_bounded(path: Path, metadata: Any, content: memoryview, joints: int) -> None:
    """Check how many rows there are, and that unpacking the columns that are read makes no more of them."""
    if not 0 <= metadata.num_rows <= MAX_POSES:
        raise InputError(
            f"{path} has {metadata.num_rows} poses, and the limit is {MAX_POSES}. Split the recording."
        )
    width = {"joints": 2 * joints, "confidences": joints}
    unpacked = rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows += group.num_rows
        for place in range(group.num_columns):
            chunk = group.column(place)
            name = chunk.path_in_schema.partition(".")[0]
            if name not in _READ:
                continue
            values = group.num_rows * width.get(name, 1)
            if chunk.num_values != values:
                raise ValueError(f"the column {name} does not have {values} values")
            found = list(pages(_bytes_of(chunk, content))) if values else []
            if sum(page.values for page in found) != values:
                raise ValueError(f"the pages of the column {name} do not have {values} values")
            unpacked += sum(page.unpacked for page in found)
            if unpacked > _MAX_UNPACKED or any(page.unpacked > _MAX_PAGE for page in found):
                raise InputError(f"{path} unpacks to more than the limit, {_MAX_UNPACKED >> 20} MiB.")
    if rows != metadata.num_rows:
        raise ValueError(f"it says {metadata.num_rows} rows and has {rows}")


def _bytes_of(chunk: Any, content: memoryview) -> memoryview:
    """Return the pages of a column chunk, of which that of the dictionary is the first."""
    first = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < first:
        first = chunk.dictionary_page_offset
    end = first + chunk.total_compressed_size
    if not 0 <= first <= end <= len(content):
        raise ValueError("a column is not where the file says")
    return content[first:end]


def _poses(path: Path, opened: Any, joints: int) -> tuple[_Numbers, _Numbers, _Floats, _Floats]:
    """Return people, frames `(N,)`, keypoints `(N, J, 3)` and scores `(N,)`, NaN for one that is null."""
    rows = opened.metadata.num_rows
    people, frames = np.empty(rows, np.int64), np.empty(rows, np.int64)
    keypoints, scores = np.empty((rows, joints, 3), np.float32), np.empty(rows, np.float32)
    end = 0
    for batch in opened.iter_batches(_BATCH, columns=list(_READ), use_threads=False):
        part = slice(end, end := end + len(batch))
        people[part], frames[part] = (_values(path, batch, name) for name in ("person", "frame"))
        keypoints[part, :, :2] = _values(path, batch, "joints").reshape(-1, joints, 2)
        keypoints[part, :, 2] = _values(path, batch, "confidences").reshape(-1, joints)
        scores[part] = batch.column("score").to_numpy(zero_copy_only=False)
    if end != rows:
        raise ValueError(f"it says {rows} rows and has {end}")
    return people, frames, keypoints, scores


def _values(path: Path, batch: Any, name: str) -> npt.NDArray[Any]:
    """Return the values of a column, those of lists one after the other."""
    column = batch.column(name)
    values = column.flatten() if name in ("joints", "confidences") else column
    if column.null_count or values.null_count:
        raise InputError(f"{path} is not a pose track file: a value of the column {name} is null.")
    found: npt.NDArray[Any] = values.to_numpy()
    return found


def _tracks(
    path: Path, people: _Numbers, frames: _Numbers, keypoints: _Floats, scores: _Floats
) -> tuple[Track, ...]:
    for name, numbers in (("person", people), ("frame", frames)):
        wrong = np.flatnonzero((numbers < 0) | (numbers >= _MAX_NUMBER))
        if len(wrong):
            row = wrong[0]
            raise InputError(
                f"{path}: person {people[row]}, frame {frames[row]}: the {name} is not from 0 to {_MAX_NUMBER - 1}."
            )
    same = np.diff(people) == 0
    if (np.diff(people) < 0).any() or (same & (np.diff(frames) <= 0)).any():
        order = np.lexsort((frames, people))
        people, frames, keypoints, scores = people[order], frames[order], keypoints[order], scores[order]
        same = np.diff(people) == 0
    twice = np.flatnonzero(same & (np.diff(frames) == 0))
    if len(twice):
        raise InputError(f"{path}: person {people[twice[0]]} has two poses in frame {frames[twice[0]]}.")
    if not len(people):
        return ()
    starts = [0, *(np.flatnonzero(~same) + 1).tolist()]
    return tuple(
        Track(int(people[start]), frames[start:end], keypoints[start:end], scores[start:end])
        for start, end in zip(starts, [*starts[1:], len(people)], strict=True)
    )


def _table(pa: ModuleType, clip: Clip, joints: int) -> Any:
    tracks = clip.tracks
    lengths = [len(track.frames) for track in tracks]
    people = np.repeat(np.array([track.person for track in tracks], dtype=np.int64), lengths)
    frames = _joined([track.frames for track in tracks], np.int64, ())
    keypoints = _joined([track.keypoints for track in tracks], np.float32, (joints, 3))
    scores = _joined([track.scores for track in tracks], np.float32, ())
    times = pa.nulls(len(frames), pa.float64()) if clip.rate is None else pa.array(frames / clip.rate.fps)
    element = pa.field("element", pa.float32(), nullable=False)
    fields = {
        "person": (pa.int64(), pa.array(people)),
        "frame": (pa.int64(), pa.array(frames)),
        "time": (pa.float64(), times),
        "joints": (pa.list_(element, 2 * joints), pa.array(keypoints[..., :2].ravel())),
        "confidences": (pa.list_(element, joints), pa.array(keypoints[..., 2].ravel())),
        "score": (pa.float32(), pa.array(scores, from_pandas=True)),
    }
    layout = next(name for name, count in _JOINTS.items() if count == joints)
    rate = None if clip.rate is None else vars(clip.rate)
    about = {
        "version": VERSION,
        "frame_size": list(map(int, clip.frame_size)),
        "rate": rate,
        "layout": layout,
    }
    schema = pa.schema(
        [pa.field(name, kind, name in ("time", "score")) for name, (kind, _) in fields.items()],
        {_KEY: json.dumps(about).encode()},
    )
    columns = [
        pa.FixedSizeListArray.from_arrays(values, type=kind) if pa.types.is_fixed_size_list(kind) else values
        for kind, values in fields.values()
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _joined(parts: Sequence[npt.NDArray[Any]], kind: type, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros((0, *shape), kind), *parts]).astype(kind, copy=False)
