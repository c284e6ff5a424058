"""Where a picture has changed since the detector saw it, other than by the people who are followed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runtime.opencv import opencv
from runtime.poses.boxes import Boxes
from runtime.sources.frames import Image

Points = npt.NDArray[np.float32]
"""`(N, 2)`: x, y in pixels."""

_WIDTH = 160  # pixels of the picture that is compared
_CHANGED = 18  # levels of 255, of a pixel; noise of a camera in the dark stays below it when it is blurred
_MIN_CHANGED = 0.0004  # of the picture: somebody of a twentieth of its height
_AROUND = 0.2  # of a person's size, that moves with them, and their shadow


class Motion:
    """Compares pictures of a fixed camera with the last one that was searched.

    Before a moving camera everything changes all the time, which costs searches and misses nobody.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self) -> None:
        self._cv2 = opencv()
        self._now: npt.NDArray[np.int16] | None = None
        self._seen: npt.NDArray[np.int16] | None = None
        self._people: Boxes = np.zeros((0, 4), dtype=np.float32)

    def places(self, image: Image, people: Boxes) -> Points:
        """Return the middles `(N, 2)` of what has changed, in pixels; nothing in the first picture of a size."""
        now = self._now = self._small(image)
        scale = image.shape[1] / now.shape[1]
        if self._seen is None or self._seen.shape != now.shape:
            return np.zeros((0, 2), dtype=np.float32)
        difference = now - self._seen
        difference -= np.int16(np.median(difference[::2, ::2]))  # of the light
        changed = (np.abs(difference) > _CHANGED).astype(np.uint8)
        for box in np.concatenate([people, self._people]) / scale:
            around = _AROUND * float((box[2:] - box[:2]).max())
            left, top, right, bottom = (
                int(side) for side in (*np.maximum(box[:2] - around, 0), *np.maximum(box[2:] + around, 0))
            )
            changed[top : bottom + 1, left : right + 1] = 0
        if changed.sum() < _MIN_CHANGED * changed.size:
            return np.zeros((0, 2), dtype=np.float32)
        joined = self._cv2.dilate(changed, np.ones((5, 5), np.uint8))
        middles = self._cv2.connectedComponentsWithStats(joined, connectivity=8)[3]
        return np.asarray(middles[1:] * scale, dtype=np.float32)

    def look(self, people: Boxes) -> None:
        """Remember the last picture, which is searched now, and who is followed in it."""
        self._seen, self._people = self._now, people

    def _small(self, image: Image) -> npt.NDArray[np.int16]:
        width = min(_WIDTH, image.shape[1])
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        small = self._cv2.resize(image, (width, height), interpolation=self._cv2.INTER_LINEAR)[..., 1]
        return np.asarray(self._cv2.blur(small, (3, 3)), dtype=np.int16)
