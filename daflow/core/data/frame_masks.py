"""Frame masks: the label of every frame of a clip, 1 abnormal, 0 normal, -1 ignored.

Two forms are read. `<clip>.npy` holds these values. UBnormal's `<clip>_tracks.txt` is of two kinds: in the test split
it is a .npy file in spite of its name, in which 1 means *normal*; elsewhere it is text with one `person,first,last`
per line, the frames of which are abnormal.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.files import StrPath, decode_text

Labels = npt.NDArray[np.int64]

_TRACKS = "_tracks.txt"
_MAX_BYTES = 16 * MAX_FRAMES + (1 << 20)
_MAGIC = b"\x93NUMPY"


def read_masks(folder: StrPath, intervals: bool = True) -> dict[str, Labels]:
    """Read the frame masks of a folder by clip name, `<clip>.npy` and `<clip>_tracks.txt`.

    Args:
        folder: holds the masks.
        intervals: whether to read UBnormal's text files too; such a mask ends with its last abnormal frame.

    Returns:
        `(frames,)` int64 of -1, 0 and 1 for each clip.

    Raises:
        InputError: the folder is missing or empty, or a file is not a frame mask; the message names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder." if folder.exists() else f"There is no folder {folder}.")
    masks = {path.stem: _plain(path, _read(path)) for path in sorted(folder.glob("[!.]*.npy"))}
    for path in sorted(folder.glob(f"[!.]*{_TRACKS}")):
        content, name = _read(path), path.name.removesuffix(_TRACKS)
        if name in masks:
            raise InputError(
                f"{folder} has two masks of clip {name}: {name}.npy and {path.name}. Remove one."
            )
        if content.startswith(_MAGIC):
            masks[name] = _inverted(_plain(path, content))
        elif intervals:
            masks[name] = _from_intervals(path, content)
    if not masks:
        raise InputError(f"{folder} holds no frame masks; they are named <clip>.npy.")
    return masks


def _read(path: Path) -> bytes:
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} is too large for a clip of {MAX_FRAMES} frames.")
    return path.read_bytes()


def read_plain_npy(path: Path) -> npt.NDArray[Any]:
    """Return the array of plain numbers in a .npy file.

    Raises:
        InputError: the file holds something else, or more than the longest clip has.
    """
    return _numbers(path, _read(path))


def _numbers(path: Path, content: bytes) -> npt.NDArray[Any]:
    numbers = _read_npy(content)
    if numbers is None:
        raise InputError(f"{path} is not a .npy file of plain numbers.")
    return numbers


def _plain(path: Path, content: bytes) -> Labels:
    mask = _numbers(path, content)
    if mask.ndim != 1 or not np.isin(mask, (-1, 0, 1)).all():
        raise InputError(f"{path} is not a frame mask: it must hold one value of -1, 0 or 1 for each frame.")
    return mask.astype(np.int64)


def _read_npy(content: bytes) -> npt.NDArray[Any] | None:
    """Return the array of plain numbers in a .npy file; None for all else.

    `np.load` opens archives too, and makes room for whatever size a header declares.
    """
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[version](file)
        values = content[file.tell() :]
        if dtype.kind not in "biuf" or any(type(side) is not int or side < 0 for side in shape):
            return None
        if math.prod(shape) * dtype.itemsize != len(values):
            return None
        return np.frombuffer(values, dtype).reshape(shape)
    except Exception:  # noqa: BLE001  numpy parses the header as Python, so damage may be an error of any class
        return None


def _inverted(mask: Labels) -> Labels:
    return np.where(mask >= 0, 1 - mask, mask)


def _from_intervals(path: Path, content: bytes) -> Labels:
    try:
        rows = [line.split(",") for line in decode_text(content).splitlines() if line.strip()]
        spans = [(int(float(first)), int(float(last))) for _, first, last in rows]
        if not all(0 <= first <= last < MAX_FRAMES for first, last in spans):
            raise ValueError
    except (ValueError, OverflowError):
        raise InputError(
            f"{path} is not a list of abnormal frames: each line must be person,first,last."
        ) from None
    begins, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    edges = np.zeros(int(ends.max(initial=0)) + 1, dtype=np.int64)
    np.add.at(edges, begins, 1)  # not one after the other: many long spans may overlap
    np.add.at(edges, ends, -1)
    return (np.cumsum(edges)[:-1] > 0).astype(np.int64)
