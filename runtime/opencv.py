"""OpenCV, as the edge uses it."""

from __future__ import annotations

import functools
from typing import Any

from daflow.core.errors import unusable_package


@functools.cache
def opencv() -> Any:
    """Return the module cv2, which computes in the thread that calls it: each camera has a thread of its own.

    Raises:
        InputError: it is missing.
    """
    try:
        import cv2
    except ImportError as error:
        raise unusable_package(error, "opencv-contrib-python", "edge") from None
    module: Any = cv2
    module.setNumThreads(1)
    return module
