"""Background subtraction: the regions of a fixed camera's picture that move, where somebody may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.errors import unusable_package
from runtime.sources.frames import Image

Boxes = npt.NDArray[np.float32]
"""`(N, 4)`: left, top, right, bottom in pixels."""

_WIDTH = 480  # pixels of the picture that is searched; a person of 40 pixels in 1080p is still 10 there
_HISTORY_SECONDS = 200.0  # chosen: a person who does not move is background after a tenth of it
_FOREGROUND = 200  # MOG2 marks foreground as 255 and shadows as 127
_MIN_HEIGHT = 0.05  # of the picture's height
_MIN_AREA = 0.12  # of a square as high as the region: lines and specks are less
_MAX_WIDTH = 3.0  # times the height: somebody who lies is wide too
_SCENE_CHANGE = 0.5  # of the picture; that much changes only with the light or when the camera moves
_WARM_UP = 5  # frames before the background model is used


class Foreground:
    """Finds regions that differ from the background, by OpenCV's MOG2 on a smaller picture.

    Args:
        fps: frames per second; somebody who does not move for about 20 s becomes background.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self, fps: float) -> None:
        try:
            import cv2
        except ImportError as error:
            raise unusable_package(error, "opencv-contrib-python", "edge") from None
        self._cv2: Any = cv2
        self._history = max(50, round(fps * _HISTORY_SECONDS))
        self._body = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 9))
        self._speck = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        self._size: FrameSize | None = None
        self._model: Any = None
        self._seen = 0

    def find(self, image: Image) -> Boxes:
        """Return the regions `(N, 4)` of the next picture `(H, W, 3)`, largest first."""
        size = (image.shape[1], image.shape[0])
        if size != self._size:
            self._size, self._seen = size, 0
            self._model = self._cv2.createBackgroundSubtractorMOG2(self._history, 16.0, True)
        mask = self._mask(image)
        self._seen += 1
        if self._seen <= _WARM_UP:
            return np.zeros((0, 4), dtype=np.float32)
        if (mask > 0).mean() > _SCENE_CHANGE:
            self._size = None
            return np.zeros((0, 4), dtype=np.float32)
        scale = np.array([size[0] / mask.shape[1], size[1] / mask.shape[0]] * 2, dtype=np.float32)
        return self._regions(mask) * scale

    def _mask(self, image: Image) -> npt.NDArray[np.uint8]:
        height, width = image.shape[:2]
        if width > _WIDTH:
            size = (_WIDTH, max(1, round(height * _WIDTH / width)))
            image = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        marked = self._model.apply(image)
        mask = (marked > _FOREGROUND).astype(np.uint8)
        mask = self._cv2.morphologyEx(mask, self._cv2.MORPH_OPEN, self._speck)
        return np.asarray(self._cv2.morphologyEx(mask, self._cv2.MORPH_CLOSE, self._body), dtype=np.uint8)

    def _regions(self, mask: npt.NDArray[np.uint8]) -> Boxes:
        found = self._cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:]
        left, top, width, height, area = (found[:, i].astype(np.float32) for i in range(5))
        boxes = np.stack([left, top, left + width, top + height, area], axis=1)
        boxes = _join(boxes[area >= 6])
        high, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
        longest = np.maximum(high, wide)
        plausible = (
            (longest >= _MIN_HEIGHT * mask.shape[0])
            & (wide <= _MAX_WIDTH * high)
            & (boxes[:, 4] >= _MIN_AREA * high * np.minimum(high, wide))
        )
        boxes = boxes[plausible]
        return np.asarray(boxes[np.argsort(-boxes[:, 4], kind="stable"), :4], dtype=np.float32)


def _join(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Join boxes that are above each other and nearly touch, as the parts of a body; the fifth column is summed."""
    parts = [tuple(box) for box in boxes[np.argsort(-boxes[:, 4], kind="stable")].tolist()]
    joined = True
    while joined:
        joined = False
        for i, a in enumerate(parts):
            for j in range(i + 1, len(parts)):
                if _is_one_body(a, parts[j]):
                    b = parts.pop(j)
                    parts[i] = (
                        min(a[0], b[0]),
                        min(a[1], b[1]),
                        max(a[2], b[2]),
                        max(a[3], b[3]),
                        a[4] + b[4],
                    )
                    joined = True
                    break
            if joined:
                break
    return np.array(parts, dtype=np.float32).reshape(-1, 5)


def _is_one_body(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    shared = min(a[2], b[2]) - max(a[0], b[0])
    narrow = min(a[2] - a[0], b[2] - b[0])
    gap = max(a[1], b[1]) - min(a[3], b[3])
    height = max(a[3], b[3]) - min(a[1], b[1])
    width = max(a[2], b[2]) - min(a[0], b[0])
    return shared >= 0.5 * narrow and gap <= 0.15 * height and height <= 4 * width
