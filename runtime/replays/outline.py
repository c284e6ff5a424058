"""The outline of the scene that a camera shows: edges only, of what stands still while nobody is there."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from runtime.opencv import opencv
from runtime.pipeline.results import FrameResult

_SIDE = 320  # pixels of the longer side
_PICTURES = 7  # of which the median is taken
_SPACING = 1.0  # seconds between them
_REFRESH = 600.0  # seconds after which it is taken again
_THRESHOLDS = (60, 150)  # of Canny's edges


class SceneOutline:
    """Takes the outline of one camera's scene, and again every ten minutes while nobody is there.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self) -> None:
        self._cv2 = opencv()
        self._pictures: list[npt.NDArray[np.uint8]] = []
        self._next = -math.inf
        self._last = -math.inf
        self.png: bytes | None = None
        """White where there are edges, and transparent elsewhere; None until it was taken."""

    def see(self, result: FrameResult) -> None:
        """Take the result of a frame; its picture is looked at only when an outline is due and nobody is there."""
        time, image = result.frame.time, result.frame.image
        if time < self._last:  # the source starts again
            self._next = -math.inf
        self._last = time
        if time < self._next or image is None or result.people:
            return
        self._next = time + _SPACING
        height, width = image.shape[:2]
        scale = _SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        grey = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        small = self._cv2.resize(grey, size, interpolation=self._cv2.INTER_AREA)
        if self._pictures and self._pictures[0].shape != small.shape:  # another resolution
            self._pictures.clear()
        self._pictures.append(small)
        if len(self._pictures) == _PICTURES:
            self._take()
            self._pictures.clear()
            self._next = time + _REFRESH

    def _take(self) -> None:
        median = np.median(np.stack(self._pictures), axis=0).astype(np.uint8)
        edges = self._cv2.Canny(self._cv2.GaussianBlur(median, (3, 3), 0), *_THRESHOLDS)
        white = np.full((*edges.shape, 4), 255, dtype=np.uint8)
        white[..., 3] = edges
        white[edges == 0] = 0
        self.png = self._cv2.imencode(".png", white)[1].tobytes()
