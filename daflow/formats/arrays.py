"""NumPy arrays of poses, `.npy` and `.npz`: never unpickled, and no larger than the bytes that are there."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.formats import bounded
from daflow.formats.layouts import COUNTS
from daflow.formats.recording import NOBODY, Options, Recording, tidy

_NAMES = ("keypoints", "poses", "arr_0")


def read_npy(path: Path, content: bytes, options: Options) -> list[Recording]:
    """Read one array.

    `(T, V, C)` is one person. `(N, T, V, C)` (`--axes ntvc`), all frames of each person, keeps the people;
    `(T, P, V, C)` (`--axes tpvc`), the people of each frame in any order, has no numbers of people. Nothing in the
    array tells these two apart. V is the number of joints, C is 2 or 3. People whose joints are all NaN or 0 are
    absent.

    Raises:
        InputError: it is no array of plain numbers of such a shape, or the option that decides is missing.
    """
    return [_recording(path, _plain(path, content), options)]


def read_npz(path: Path, content: bytes, options: Options) -> list[Recording]:
    """Read an archive with one array, or with one that is called keypoints, poses or arr_0.

    Raises:
        InputError: as `read_npy`, it is no archive, or it does not say which array holds the poses.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = next((name for name in _NAMES if name in names), None)
            wanted = wanted or (next(iter(names)) if len(names) == 1 else None)
            if wanted is None:
                raise InputError(
                    f"{path} holds {len(names)} arrays, none of which is called {' or '.join(_NAMES)}."
                )
            with archive.open(names[wanted]) as file:
                unpacked = file.read(bounded.MAX_BYTES + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
    ) as error:
        raise InputError(f"{path} is not an archive of arrays: {error}.") from None
    if len(unpacked) > bounded.MAX_BYTES:
        raise InputError(f"{path} holds more than {bounded.MAX_BYTES >> 20} MiB, which is the limit.")
    return [_recording(path, _plain(path, unpacked), options)]


def _plain(path: Path, content: bytes) -> npt.NDArray[Any]:
    """Return the array of plain numbers in a .npy file, whose header is compared with the bytes before room is made.

    Raises:
        InputError: it is something else.
    """
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read[version](file)
        values = memoryview(content)[file.tell() :]
        plain = dtype.kind in "iuf" and all(type(side) is int and side >= 0 for side in shape)
        if plain and math.prod(shape) * dtype.itemsize == len(values):
            return np.frombuffer(values, dtype).reshape(shape, order="F" if fortran else "C")
    except Exception:  # noqa: BLE001, S110  numpy parses the header as Python, so damage may be an error of any class
        pass
    raise InputError(f"{path} is not an array of plain numbers; objects are never unpickled.")


def _recording(path: Path, array: npt.NDArray[Any], options: Options) -> Recording:
    if array.ndim not in (3, 4) or array.shape[-1] not in (2, 3):
        raise InputError(
            f"{path} has the shape {array.shape}; (N, T, V, C), (T, P, V, C) or (T, V, C) is needed."
        )
    if options.axes is None and array.ndim == 4:
        raise InputError(
            f"{path} has the shape {array.shape}, which is people, frames or frames, people: give --axes ntvc or tpvc."
        )
    by_person = array.ndim == 3 or options.axes == "ntvc"
    array = array[None] if array.ndim == 3 else array
    if array.shape[2] not in ({options.joints} if options.joints else COUNTS):
        raise InputError(
            f"{path} has {array.shape[2]} joints, which is not the layout: give another --layout."
        )
    if math.prod(array.shape[:3]) * 3 > bounded.MAX_VALUES:
        raise InputError(f"{path} holds more than {bounded.MAX_VALUES} values.")
    first = np.repeat(np.arange(array.shape[0]), array.shape[1])
    second = np.tile(np.arange(array.shape[1]), array.shape[0])
    people, frames = (first, second) if by_person else (np.full(len(first), NOBODY), first)
    if len(frames) and frames.max() >= MAX_FRAMES:
        raise InputError(f"{path} has more than {MAX_FRAMES} frames.")
    keypoints = tidy(array.reshape(-1, *array.shape[2:]))
    there = keypoints[..., :2].any(axis=(1, 2))
    return Recording(
        "array of poses",
        frames[there].astype(np.int64),
        people[there].astype(np.int64),
        keypoints[there],
        np.full(int(there.sum()), math.nan, dtype=np.float32),
    )
