"""Whether a camera still shows something: frozen and black pictures, by a look at every eighth pixel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]
Verdict = Literal["streaming", "frozen", "black"]

_STEP = 8
_DARK = 32  # luma; black is 16 in video
_DARK_PART = 0.98
_SAME_MEAN = 0.3  # a still picture that is encoded anew differs less, the noise of a sensor more
_MAX_SAME = 8


def luma(picture: Any) -> Luma:
    """Return the brightness of every eighth pixel of a decoded picture (`av.VideoFrame`), a small copy."""
    plane, form = picture.planes[0], picture.format
    bits = form.components[0].bits
    if form.name.startswith(("yuv4", "yuvj4", "nv12", "nv21", "gray")) and not form.is_big_endian:
        whole = np.frombuffer(plane, np.uint8 if bits == 8 else np.dtype("<u2"))
        rows = whole.reshape(-1, plane.line_size // whole.itemsize)
        some = rows[: picture.height : _STEP, : picture.width : _STEP]
        return np.array(some >> (bits - 8), dtype=np.uint8)
    small = (max(1, picture.width // _STEP), max(1, picture.height // _STEP))
    grey = picture.reformat(*small, format="gray", interpolation="POINT")
    return np.asarray(grey.to_ndarray(), dtype=np.uint8)


class PictureCheck:
    """Says when the picture has not changed, or has been black, for too long.

    >>> check = PictureCheck(frozen_seconds=5, black_seconds=2)
    >>> grey = np.full((4, 4), 100, dtype=np.uint8)
    >>> [check.update(grey, time) for time in (0.0, 4.0, 6.0)]
    ['streaming', 'streaming', 'frozen']
    """

    def __init__(self, frozen_seconds: float = 5.0, black_seconds: float = 2.0) -> None:
        self._frozen_seconds, self._black_seconds = frozen_seconds, black_seconds
        self._still: Luma | None = None
        self._still_since = self._black_since = 0.0
        self._black = False

    def forget(self) -> None:
        """Begin anew, after the camera was away."""
        self._still, self._black = None, False

    def update(self, brightness: Luma, time: float) -> Verdict:
        """Look at the next picture.

        Args:
            brightness: `(H, W)` uint8, as `luma` returns it.
            time: when it came, in seconds.
        """
        if self._still is None or not _same(self._still, brightness):
            self._still, self._still_since = brightness, time
        black = bool(np.count_nonzero(brightness < _DARK) >= _DARK_PART * brightness.size)
        if black and not self._black:
            self._black_since = time
        self._black = black
        if black and time - self._black_since > self._black_seconds:
            return "black"
        return "frozen" if time - self._still_since > self._frozen_seconds else "streaming"


def _same(one: Luma, other: Luma) -> bool:
    if one.shape != other.shape:
        return False
    difference = np.maximum(one, other) - np.minimum(one, other)
    return bool(difference.max(initial=0) <= _MAX_SAME and difference.mean() < _SAME_MEAN)
