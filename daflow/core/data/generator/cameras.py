"""Pinhole cameras above the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.generator.body import Array


@dataclass(frozen=True)
class Camera:
    """A camera that looks down on the ground.

    Attributes:
        height: above the ground, metres.
        pitch: below the horizon, radians.
        frame_size: width and height of the picture in pixels.
        focal: focal length as a fraction of the width of the picture.
    """

    height: float = 3.0
    pitch: float = 0.28
    frame_size: FrameSize = (1280, 720)
    focal: float = 0.9

    def project(self, joints: Array) -> tuple[Array, Array]:
        """Project joints `(frames, J, 3)`, to the side, up and away from the camera's foot in metres.

        Returns:
            `(frames, J, 2)` pixels, and `(frames, J)` the distance along the optical axis in metres.
        """
        width, height = self.frame_size
        focal = self.focal * width
        sine, cosine = np.sin(self.pitch), np.cos(self.pitch)
        up, away = joints[..., 1] - self.height, joints[..., 2]
        depth = np.maximum(away * cosine - up * sine, 0.5)
        pixels = np.stack(
            [
                width / 2 + focal * joints[..., 0] / depth,
                height / 2 - focal * (up * cosine + away * sine) / depth,
            ],
            axis=2,
        )
        return pixels, depth


@dataclass(frozen=True)
class Furniture:
    """Something upright that hides what is behind it: a counter, a shelf, a table.

    Attributes:
        away: its distance from the camera along the ground, metres.
        left, right: where it begins and ends to the side, metres.
        height: metres.
    """

    away: float
    left: float
    right: float
    height: float

    def hides(self, joints: Array, camera: Camera) -> npt.NDArray[np.bool_]:
        """Return which joints `(frames, J, 3)` it hides from the camera, `(frames, J)`."""
        share = self.away / np.maximum(joints[..., 2], 1e-3)
        side = joints[..., 0] * share
        up = camera.height + (joints[..., 1] - camera.height) * share
        hidden = (share < 1) & (side > self.left) & (side < self.right) & (up < self.height)
        return np.asarray(hidden)
