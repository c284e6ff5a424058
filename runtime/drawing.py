"""Skeletons and texts drawn on a picture: annotated videos and the pictures of alarms look the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import OPENPOSE_BONES
from runtime.sources.frames import Image, Keypoints

Colour = tuple[int, int, int]  # RGB

NORMAL: Colour = (70, 200, 120)
ABNORMAL: Colour = (235, 60, 50)
UNSCORED: Colour = (150, 150, 150)
INK: Colour = (235, 235, 235)
BLANK: Colour = (32, 32, 32)
"""The ground where no picture is shown."""

_MIN_CONFIDENCE = 0.3  # a joint below it is a guess and is not drawn


def draw_person(canvas: Image, keypoints: Keypoints, colour: Colour, label: str) -> None:
    """Draw the bones of a person, and a label above; nothing of one with a joint that is not finite.

    Args:
        canvas: `(H, W, 3)` RGB.
        keypoints: `(18, 3)`, in pixels of the canvas, with confidence.
        colour: of bones and label.
        label: ASCII.
    """
    import cv2

    points: npt.NDArray[np.float32] = keypoints[:, :2]
    if not np.isfinite(points).all():
        return
    points, seen = np.clip(points, -32000, 32000), keypoints[:, 2] >= _MIN_CONFIDENCE
    thickness = max(2, round(canvas.shape[0] / 240))
    corners = points.round().astype(int).tolist()
    for a, b in OPENPOSE_BONES:
        if seen[a] and seen[b]:
            cv2.line(canvas, corners[a], corners[b], colour, thickness, cv2.LINE_AA)
    shown = points[seen] if seen.any() else points
    left, top = int(shown[:, 0].min()), int(shown[:, 1].min())
    write(canvas, label, (left, max(16, top - 24)), colour, 0.5)


def write(canvas: Image, text: str, at: tuple[int, int], colour: Colour, size: float) -> None:
    """Write text whose size grows with the width of the picture; `at` is its place on a picture of 720 pixels."""
    import cv2

    wide = max(1.0, canvas.shape[1] / 720)
    corner = (at[0], round(at[1] + 12 * (wide - 1)))
    cv2.putText(canvas, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size * wide, colour, round(wide), cv2.LINE_AA)


def short(score: float) -> str:
    """Return a score with about three digits.

    >>> short(3.14159), short(1968.69)
    ('3.1', '1969')
    """
    return f"{score:.0f}" if abs(score) >= 100 else f"{score:.1f}"
