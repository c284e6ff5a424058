"""Ground truth as pictures: in UCSD's data sets a folder `<clip>_gt` has a mask of pixels for each frame, a BMP file.

A frame is abnormal when a pixel of its mask is not black.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.files import StrPath, natural_order

SUFFIX = "_gt"
"""The end of the name of a folder of masks."""

_FILE, _INFO = struct.Struct("<2s8xI"), struct.Struct("<IiiHHI")  # the two headers of a BMP file
_UNCOMPRESSED = 0
_MAX_BYTES = 64 << 20  # chosen: a mask of 16 megapixels in colour has 48 MB


def read_picture_masks(folder: StrPath) -> dict[str, Labels]:
    """Read the masks of the folders `<clip>_gt` in a folder, by clip name.

    Returns:
        `(frames,)` int64 of 0 and 1 for each clip; empty when there is no such folder.

    Raises:
        InputError: a mask cannot be read; the message names it.
        OSError: the folder cannot be read.
    """
    return {
        path.name.removesuffix(SUFFIX): _read_clip(path)
        for path in sorted(Path(folder).glob(f"[!.]*{SUFFIX}"))
        if path.is_dir()
    }


def _read_clip(folder: Path) -> Labels:
    paths = sorted(folder.glob("[!.]*.[bB][mM][pP]"), key=natural_order)
    if not 0 < len(paths) <= MAX_FRAMES:
        raise InputError(f"{folder} must have a mask for each frame, such as 001.bmp; it has {len(paths)}.")
    return np.array([_is_marked(path) for path in paths], dtype=np.int64)


def _is_marked(path: Path) -> bool:
    """Whether a pixel of a BMP file is not black."""
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} is too large for a mask.")
    try:
        return bool(_colours(path.read_bytes()).any())
    except (struct.error, ValueError, IndexError):
        raise InputError(
            f"{path} is not a mask that can be read: an uncompressed BMP file of 8 or 24 bits."
        ) from None


def _colours(content: bytes) -> npt.NDArray[np.uint8]:
    """Return the pixels of a BMP file, `(pixels, 3)` or `(pixels, 4)`."""
    kind, offset = _FILE.unpack_from(content)
    size, width, height, _, bits, compression = _INFO.unpack_from(content, _FILE.size)
    if kind != b"BM" or compression != _UNCOMPRESSED or bits not in (8, 24) or width < 1 or height == 0:
        raise ValueError
    used = width * bits // 8
    length = -(-used // 4) * 4  # of a row in the file
    if length * abs(height) > len(content) - offset:
        raise ValueError
    rows = np.frombuffer(content, np.uint8, length * abs(height), offset).reshape(abs(height), length)[
        :, :used
    ]
    if bits == 24:
        return rows.reshape(-1, 3)
    palette = np.frombuffer(content[_FILE.size + size : offset], np.uint8).reshape(-1, 4)[:, :3]
    return palette[np.unique(rows)]
