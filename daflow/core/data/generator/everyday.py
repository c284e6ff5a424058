"""Everyday life in front of a camera: normal recordings to train a model on that knows no place yet.

Each clip draws its camera, from the side or from above, its pose estimator, furniture, and people alone or in groups.
The seed determines everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.generator.activities import (
    Life,
    live,
    moving_body,
    posture_over,
    random_build,
    restless,
)
from daflow.core.data.generator.body import Array, in_the_world
from daflow.core.data.generator.cameras import Camera, Furniture
from daflow.core.data.generator.estimator import Estimator, Mask
from daflow.core.data.generator.paths import Area, wander
from daflow.core.data.tracks import DEFAULT_FPS, Clip

LIVES: dict[Life, float] = {"passer-by": 0.4, "visitor": 0.35, "sitter": 0.2, "wheelchair": 0.05}
"""What people do, and how often."""

_FRAME_SIZES: tuple[FrameSize, ...] = ((1920, 1080), (1280, 720), (640, 480), (320, 240))
_LOOKED_AT = 0.9  # metres above the ground
_LARGEST_GROUP = 3


@dataclass(frozen=True)
class _View:
    camera: Camera
    area: Area
    furniture: tuple[Furniture, ...]


def everyday_clips(clips: int, seed: int, frames: int = 750, fps: float = DEFAULT_FPS) -> Sequence[Clip]:
    """Generate so many clips of normal life; none has anything abnormal.

    >>> clip, = everyday_clips(1, seed=2, frames=100)
    >>> clip.name, len(clip.tracks) > 0, clip.rate.fps
    ('01_0001', True, 25.0)
    """
    return [everyday_clip(f"01_{index + 1:04d}", (seed, index), frames, fps) for index in range(clips)]


def everyday_clip(
    name: str, seed: int | tuple[int, ...], frames: int = 750, fps: float = DEFAULT_FPS
) -> Clip:
    """Generate one clip of COCO-17 tracks of normal life.

    Args:
        name: of the clip.
        seed: the same seed gives the same clip.
        frames: length.
        fps: frames per second.
    """
    rng = np.random.default_rng(seed)
    view, estimator = _random_view(rng), Estimator.random(rng)
    time = np.arange(frames) / fps
    bodies: list[Array] = []
    for _ in range(rng.integers(1, 4)):
        bodies += _group(rng, view.area, time, fps)
    seen = [view.camera.project(body) for body in bodies]
    tracks = []
    for person, (body, (pixels, _)) in enumerate(zip(bodies, seen, strict=True)):
        hidden = _behind_others(person, seen)
        for each in view.furniture:
            hidden |= each.hides(body, view.camera)
        tracks.append(estimator.observe(rng, person + 1, pixels, hidden, view.camera.frame_size, fps))
    seen_at_all = tuple(track for track in tracks if len(track.frames))
    return Clip(name, seen_at_all, view.camera.frame_size, FrameRate.constant(fps))


def _random_view(rng: np.random.Generator) -> _View:
    """Draw a camera that people are in front of, two times in five from the side.

    None looks down by more than 0.95 radians: shops have steeper ones, but from there everybody is as short as somebody
    who lies, and of ten generated falls one raised an alarm in place of seven.
    """
    size = _FRAME_SIZES[rng.integers(len(_FRAME_SIZES))]
    focal = rng.uniform(0.6, 1.1)
    pitch = rng.uniform(-0.03, 0.12) if rng.random() < 0.4 else rng.uniform(0.15, 0.95)
    share = rng.uniform(0.2, 0.65)  # of the height of the picture that an adult takes
    distance = float(np.clip(1.7 * focal * size[0] / (share * size[1]), 2.5, 14.0))
    camera = Camera(_LOOKED_AT + distance * np.sin(pitch), pitch, size, focal)
    away, half = distance * np.cos(pitch), 0.5 * distance / focal
    near, far = max(1.0, away - 0.3 * distance), away + 0.5 * distance
    furniture = []
    for _ in range(rng.integers(0, 3)):
        left = rng.uniform(-half, half)
        furniture.append(
            Furniture(rng.uniform(near, far), left, left + rng.uniform(0.5, 2.0), rng.uniform(0.4, 1.1))
        )
    return _View(camera, ((-half, half), (near, far)), tuple(furniture))


def _group(rng: np.random.Generator, area: Area, time: Array, fps: float) -> list[Array]:
    """Draw somebody, or a group beside each other, and return the joints of each `(frames, 17, 3)` in the world."""
    life = rng.choice(list(LIVES), p=list(LIVES.values()))
    people = int(rng.integers(2, _LARGEST_GROUP + 1)) if life == "passer-by" and rng.random() < 0.3 else 1
    build = random_build(rng)
    turns = live(rng, life, float(time[-1]), build)
    posture, looks = posture_over(turns, time)
    place, heading = wander(rng, area, np.broadcast_to(posture.speed, time.shape), fps, rng.random(2))
    heading = heading + looks
    left = np.stack([-np.cos(heading), np.sin(heading)], axis=1)
    bodies = []
    for member in range(people):
        body = moving_body(rng, restless(rng, time, posture), fps, len(time), build)
        bodies.append(in_the_world(body, place + member * rng.uniform(0.6, 0.9) * left, heading))
        build = random_build(rng)
    return bodies


def _behind_others(person: int, seen: Sequence[tuple[Array, Array]]) -> Mask:
    """Return which joints of a person are behind somebody nearer, `(frames, 17)`: within the trunk and thighs."""
    pixels, depth = seen[person]
    hidden = np.zeros(depth.shape, dtype=np.bool_)
    trunk = [5, 6, 11, 12, 13, 14]
    for other, (others, distance) in enumerate(seen):
        if other == person:
            continue
        low, high = others[:, trunk].min(axis=1)[:, None], others[:, trunk].max(axis=1)[:, None]
        nearer = distance.mean(axis=1) < depth.mean(axis=1) - 0.2
        hidden |= nearer[:, None] & ((pixels > low) & (pixels < high)).all(axis=2)
    return hidden
