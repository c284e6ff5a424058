"""Notices a camera whose picture is frozen or black, by looking at every eighth pixel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]
PictureState = Literal["streaming", "frozen", "black"]

_STEP = 8  # pixels
_DARK = 32  # luma; black is 16 in video
_DARK_SHARE = 0.98  # of the pixels; the others may be defective
_SAME_MEAN = (
    0.3  # of luma, chosen: a still picture differs less when it is encoded again, a sensor's noise more
)
_SAME_MAX = 8  # of luma, chosen: a small object that moves differs more in some pixel


def luma(picture: Any) -> Luma:
    """Return the brightness of every eighth pixel of a decoded picture (`av.VideoFrame`), a small copy."""
    plane, form = picture.planes[0], picture.format
    bits = form.components[0].bits
    if form.name.startswith(("yuv4", "yuvj4", "nv12", "nv21", "gray")) and not form.is_big_endian:
        samples = np.frombuffer(plane, np.uint8 if bits == 8 else np.dtype("<u2"))
        rows = samples.reshape(-1, plane.line_size // samples.itemsize)
        chosen = rows[: picture.height : _STEP, : picture.width : _STEP]
        return np.array(chosen >> (bits - 8), dtype=np.uint8)
    small = (max(1, picture.width // _STEP), max(1, picture.height // _STEP))
    grey = picture.reformat(*small, format="gray", interpolation="POINT")
    return np.asarray(grey.to_ndarray(), dtype=np.uint8)


class PictureCheck:
    """Notices that the picture has not changed, or has been black, for too long.

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

    def reset(self) -> None:
        """Forget the last pictures, after a reconnection."""
        self._still, self._black = None, False

    def update(self, brightness: Luma, time: float) -> PictureState:
        """Return the state after the next picture.

        Args:
            brightness: `(H, W)` uint8, as `luma` returns it.
            time: when it came, in seconds.
        """
        if self._still is None or not _same(self._still, brightness):
            self._still, self._still_since = brightness, time
        black = bool(np.count_nonzero(brightness < _DARK) >= _DARK_SHARE * brightness.size)
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
    return bool(difference.max(initial=0) <= _SAME_MAX and difference.mean() < _SAME_MEAN)
