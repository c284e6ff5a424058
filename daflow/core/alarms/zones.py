"""Zones of a camera: where nobody is scored, or where alone somebody is. Calibration and the edge both use this code.

A person is where the middle of the feet is, in fractions of the picture. Who is in a zone to ignore, or in none to
watch where there are such, is followed and recorded all the same, and has no score there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from daflow.core.alarms.polygons import Point, inside, outline_problem
from daflow.core.alarms.rule import MAX_GAP
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.missing_joints import seen_points
from daflow.core.data.skeleton import OPENPOSE_JOINTS

CROSSING_SECONDS = 0.5
"""How long somebody must be on the other side of a border before they count as there: feet are measured with noise."""

_MAX_ZONES, _MAX_CORNERS, _MAX_NAME_LETTERS = 32, 64, 64
_MIN_CONFIDENCE = 0.3  # a joint below it is a guess: feet behind a desk are guessed far from where they are
_ROUNDING = 1e-6  # seconds; n / fps - m / fps is not always (n - m) / fps

# From the hips to the ankles of somebody who stands, in lengths of the torso; as `daflow.core.data.missing_joints`.
_LEGS = 1.4

_ANKLES, _KNEES, _HIPS, _SHOULDERS = (
    [OPENPOSE_JOINTS.index(f"{side}_{joint}") for side in ("left", "right")]
    for joint in ("ankle", "knee", "hip", "shoulder")
)

_NECK = OPENPOSE_JOINTS.index("neck")

Keypoints = npt.NDArray[np.floating[Any]]


def _checked_corners(points: tuple[Point, ...]) -> tuple[Point, ...]:
    problem = outline_problem(points)
    if problem is not None:
        raise PydanticCustomError(
            "outline", "This is not the outline of a zone: {problem}", {"problem": problem}
        )
    return points


def _checked_name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > _MAX_NAME_LETTERS:
        raise PydanticCustomError(
            "zone_name",
            "A zone cannot have this name: it needs 1 to {letters} letters, and no line break",
            {"letters": _MAX_NAME_LETTERS},
        )
    return name


class Zone(BaseModel):
    """A part of a camera's picture; read-only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["ignore", "watch"] = Field(
        description="ignore: nobody there is scored; watch: only who is there, or in another zone to watch."
    )
    points: Annotated[
        tuple[tuple[FiniteFloat, FiniteFloat], ...],
        Field(max_length=_MAX_CORNERS),
        AfterValidator(_checked_corners),
    ] = Field(
        description="The corners of the zone on the ground, at least three, each [x, y] in fractions of the picture, "
        "from 0 at its left and upper edge to 1."
    )


Zones = Annotated[dict[Annotated[str, AfterValidator(_checked_name)], Zone], Field(max_length=_MAX_ZONES)]
"""The zones of a camera, by name."""

NO_ZONES: Mapping[str, Zone] = MappingProxyType({})
"""Of a camera without zones: everybody is scored everywhere."""


def same_zones(one: Mapping[str, Zone], other: Mapping[str, Zone]) -> bool:
    """Whether two sets of zones score the same people; their names and their order do not matter."""
    return {(zone.kind, zone.points) for zone in one.values()} == {
        (zone.kind, zone.points) for zone in other.values()
    }


def watched_points(zones: Mapping[str, Zone], points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return at which points `(N, 2)`, fractions of the picture, somebody is scored, `(N,)`; where one is NaN, not.

    >>> door = Zone(kind="watch", points=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    >>> watched_points({"door": door}, np.array([[0.25, 0.5], [0.75, 0.5]])).tolist()
    [True, False]
    """
    kinds = [(zone.kind, inside(zone.points, points)) for zone in zones.values()]
    watch = [found for kind, found in kinds if kind == "watch"]
    ignore = [found for kind, found in kinds if kind == "ignore"]
    watched = np.asarray(np.any(watch, axis=0) if watch else np.isfinite(points).all(axis=1))
    return np.asarray(watched & ~np.any(ignore, axis=0)) if ignore else watched


def standing_points(keypoints: Keypoints, size: FrameSize) -> npt.NDArray[np.float64]:
    """Return where people stand, in fractions of the picture: the middle of their feet.

    That is the middle of the ankles, or the one that was seen. Of whom no ankle was seen it is estimated: thighs are
    continued by their own length, or the torso by 1.4 of its length. Else it is the middle of the lowest edge of the
    skeleton. What is outside of the picture is moved to its border: who is cut off at it is in a zone that reaches it.

    Args:
        keypoints: `(N, 18, 3)`, pixels with confidence. Where all confidences of a pose are 0 they are not known, and
            its joints are taken; else a joint below 0.3 was not seen.
        size: width and height of the picture in pixels.

    Returns:
        `(N, 2)`, NaN of whom nothing was seen.
    """
    points = seen_points(keypoints).astype(np.float64)
    confidence = keypoints[..., 2]
    guessed = (confidence < _MIN_CONFIDENCE) & (confidence > 0).any(axis=-1, keepdims=True)
    points = np.where(guessed[..., None] | ~np.isfinite(points).all(axis=-1, keepdims=True), np.nan, points)
    knees, hips = points[:, _KNEES], points[:, _HIPS]
    hip, shoulder = _middle(hips), _middle(points[:, _SHOULDERS])
    feet = _middle(points[:, _ANKLES])
    # A neck is between the shoulders, of which one may not have been seen.
    others = np.delete(points, _NECK, axis=1)
    for estimate in (_middle(2 * knees - hips), hip + _LEGS * (hip - shoulder), _lowest(others)):
        feet = np.where(np.isfinite(feet), feet, estimate)
    return np.asarray(np.clip(feet / np.asarray(size, dtype=np.float64), 0, 1))


def _middle(joints: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean of those joints `(N, J, 2)` that were seen, `(N, 2)`; NaN where none was."""
    seen = np.isfinite(joints)
    count = seen.sum(axis=1)
    total = np.where(seen, joints, 0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _lowest(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the middle of the lowest edge of the box around the joints `(N, J, 2)` that were seen, `(N, 2)`."""
    seen = np.isfinite(points)
    low, high = np.where(seen, points, np.inf).min(axis=1), np.where(seen, points, -np.inf).max(axis=1)
    low, high = (np.where(seen.any(axis=1), corner, np.nan) for corner in (low, high))
    return np.stack([(low[:, 0] + high[:, 0]) / 2, high[:, 1]], axis=1)


class ZoneWatch:
    """Which people are scored, with hysteresis in time at the borders of the zones.

    Somebody new is scored or not by where they are. After that it changes when they were on the other side for
    `CROSSING_SECONDS` without a break. Whose place is not known stays what they were, and who was not seen for a second
    is new. Each person is decided about alone, so a recording may be replayed person by person.

    Args:
        zones: of the camera.

    >>> watch = ZoneWatch({"desk": Zone(kind="ignore", points=((0, 0), (1, 0), (1, 0.5), (0, 0.5)))})
    >>> low, high = np.zeros((18, 3)), np.zeros((18, 3))
    >>> low[:], high[:] = (50, 90, 1), (50, 10, 1)
    >>> moved = [(0.0, low), (0.1, high), (0.5, high), (0.6, high)]
    >>> [sorted(watch.update(time, {7: pose}, (100, 100))) for time, pose in moved]
    [[7], [7], [7], []]
    """

    def __init__(self, zones: Mapping[str, Zone]) -> None:
        self.zones = dict(zones)
        self._people: dict[int, _Place] = {}

    def update(self, time: float, people: Mapping[int, Keypoints], size: FrameSize) -> set[int]:
        """Take the people of a frame and return those who are to be scored.

        Args:
            time: of the frame, seconds.
            people: `(18, 3)` joints in pixels with confidence, by person.
            size: width and height of the picture in pixels.
        """
        if not self.zones:
            return set(people)
        scored = set()
        if people:
            sides = _sides(self.zones, np.stack(list(people.values())), size)
            for person, side in zip(people, sides, strict=True):
                if self._people.setdefault(person, _Place()).move(time, side):
                    scored.add(person)
        self._people = {
            person: place for person, place in self._people.items() if 0 <= time - place.last <= MAX_GAP
        }
        return scored


def scored_poses(
    zones: Mapping[str, Zone], times: npt.NDArray[np.float64], keypoints: Keypoints, size: FrameSize
) -> npt.NDArray[np.bool_]:
    """Return in which of their poses one person is to be scored, `(N,)`, as a `ZoneWatch` decides it frame by frame.

    Args:
        zones: of the camera.
        times: of the poses, `(N,)` seconds, rising.
        keypoints: `(N, 18, 3)`, pixels with confidence.
        size: width and height of the picture in pixels.
    """
    if not zones:
        return np.ones(len(keypoints), dtype=np.bool_)
    place = _Place()
    sides = _sides(zones, keypoints, size)
    return np.array(
        [place.move(time, side) for time, side in zip(times.tolist(), sides, strict=True)], dtype=bool
    )


def _sides(zones: Mapping[str, Zone], keypoints: Keypoints, size: FrameSize) -> list[bool | None]:
    """Return of poses `(N, 18, 3)` whether they are where people are scored; None where that is not known."""
    points = standing_points(keypoints, size)
    known = np.asarray(np.isfinite(points).all(axis=1))
    found = zip(watched_points(zones, points), known, strict=True)
    return [bool(side) if seen else None for side, seen in found]


class _Place:
    """On which side of the borders somebody counts as being."""

    def __init__(self) -> None:
        self.last = -math.inf
        """When they were last seen, seconds."""
        self._scored = False
        self._crossed: float | None = None
        """Since when they have been on the other side, seconds."""

    def move(self, time: float, side: bool | None) -> bool:
        """Take on which side they are, None when that is not known, and return whether they are scored."""
        new = not 0 <= time - self.last <= MAX_GAP
        self.last = time
        if new:
            self._scored, self._crossed = bool(side), None
        elif side is None or side == self._scored:
            self._crossed = None
        elif self._crossed is None:
            self._crossed = time
        elif time - self._crossed >= CROSSING_SECONDS - _ROUNDING:
            self._scored, self._crossed = side, None
        return self._scored
