"""Pictures of cameras for the page, encoded only when they are requested."""

from __future__ import annotations

import threading

from runtime.opencv import opencv
from runtime.web.live_state import CameraState, LiveState

_MAX_WIDTH, _MAX_HEIGHT = 960, 1920  # pixels
_QUALITY = 75


class CameraPictures:
    """The last picture of each camera as JPEG; simultaneous requests share one encoding.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self, live: LiveState) -> None:
        self._cv2 = opencv()
        self._live = live
        self._lock = threading.Lock()
        self._encoded: dict[str, tuple[int, bytes]] = {}

    def jpeg(self, camera: str) -> tuple[int, bytes] | None:
        """Return the number of the result and its picture, None when the camera has none."""
        state = self._live.camera(camera)
        if state is None or state.result.frame.image is None:
            return None
        with self._lock:
            last = self._encoded.get(camera)
            if last is None or last[0] != state.number:
                last = state.number, self._encode(state)
                self._encoded[camera] = last
            return last

    def _encode(self, state: CameraState) -> bytes:
        image = state.result.frame.image
        assert image is not None
        height, width = image.shape[:2]
        scale = min(_MAX_WIDTH / width, _MAX_HEIGHT / height)
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        bgr = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2BGR)
        _, encoded = self._cv2.imencode(".jpg", bgr, [self._cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return bytes(encoded)
