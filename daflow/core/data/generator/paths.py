"""Where people walk."""

from __future__ import annotations

import numpy as np

from daflow.core.data.generator.body import Array

Area = tuple[tuple[float, float], tuple[float, float]]
"""Metres to the side, from and to, and away from the camera's foot."""

_NEAR_ENOUGH = 0.8  # metres
_TURNING = 1.6  # radians per second


def wander(
    rng: np.random.Generator, area: Area, speed: Array, fps: float, start: Array
) -> tuple[Array, Array]:
    """Walk between random places of an area.

    Args:
        rng: where the places come from.
        area: in which people walk.
        speed: `(frames,)` in m/s.
        fps: frames per second.
        start: `(2,)` where the walk begins, 0 to 1 across the area.

    Returns:
        Positions `(frames, 2)` in metres and headings `(frames,)` in radians.
    """
    low, high = np.array(area).T
    place = low + start * (high - low)
    goal = rng.uniform(low, high)
    heading = float(np.arctan2(*(goal - place)))
    places, headings = np.empty((len(speed), 2)), np.empty(len(speed))
    for frame, metres in enumerate(speed / fps):
        if np.hypot(*(goal - place)) < _NEAR_ENOUGH:
            goal = rng.uniform(low, high)
        turn = np.arctan2(*(goal - place)) - heading
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        heading += float(np.clip(turn, -_TURNING / fps, _TURNING / fps))
        place = place + metres * np.array([np.sin(heading), np.cos(heading)])
        places[frame], headings[frame] = place, heading
    return places, headings
