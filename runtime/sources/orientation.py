"""Which way up a picture is: phones and cameras store it as the sensor sees it, and beside it how to show it.

FFmpeg calls this the display matrix, for videos as for the EXIF orientation of images.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.sources.frames import Image
from runtime.sources.packets import display_matrix


@dataclass(frozen=True)
class Turn:
    """How a stored picture becomes upright: first rows become columns, then left and right, top and bottom change.

    Attributes:
        transpose: rows become columns.
        mirror: left and right change.
        flip: top and bottom change.
    """

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def __call__(self, image: Image) -> Image:
        """Return an image `(H, W, 3)` upright; `(W, H, 3)` after a quarter turn. An upright one is not copied."""
        if self == UPRIGHT:
            return image
        pixels = np.ascontiguousarray(image).view("V3")[..., 0]  # whole pixels are copied faster than bytes
        if self.transpose:
            pixels = pixels.T
        pixels = pixels[:: -1 if self.flip else 1, :: -1 if self.mirror else 1]
        upright = np.ascontiguousarray(pixels)
        return upright.view(np.uint8).reshape(*upright.shape, 3)


UPRIGHT = Turn()
_of_thread = threading.local()


def turn_of(matrix: bytes | None) -> Turn:
    """Return the turn of a display matrix, to the nearest quarter; None is upright.

    Args:
        matrix: FFmpeg's, nine int32 of this machine: `x' = a x + c y`, `y' = b x + d y`, in the order a, b, u, c, d.

    >>> turn_of(np.array([0, 1, 0, -1, 0, 0, 0, 0, 1], dtype=np.int32).tobytes())
    Turn(transpose=True, mirror=True, flip=False)
    """
    if matrix is None or len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d = (int(number) for number in np.frombuffer(matrix, dtype=np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


def _reformatter() -> Any:
    """Return what converts the pictures of this thread: it prepares itself anew where their size or format changes."""
    if not hasattr(_of_thread, "reformatter"):
        from av.video.reformatter import VideoReformatter

        _of_thread.reformatter = VideoReformatter()
    return _of_thread.reformatter


def upright(picture: Any, matrix: bytes | None = None) -> Image:
    """Return a decoded picture (`av.VideoFrame`) as `(H, W, 3)` uint8 RGB, upright.

    Args:
        picture: what the decoder gave.
        matrix: the display matrix of the stream, for a picture that has none of its own.
    """
    rgb = _reformatter().reformat(picture, format="rgb24")
    image = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
    own = display_matrix(picture)
    return turn_of(matrix if own is None else own)(image)
