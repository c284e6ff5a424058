"""A world of people with known places, and networks that see them: for tests of how people are found and followed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from runtime.poses.boxes import Boxes
from runtime.poses.pose_networks import Bodies, Detections
from runtime.poses.regions import Regions, Tiles, Tiling, upright_regions
from runtime.sources.frames import Frame, Image

SIZE = (640, 480)
_FIGURE = np.array([
    (0.0, -0.46), (0.03, -0.48), (-0.03, -0.48), (0.06, -0.46), (-0.06, -0.46), (0.12, -0.3), (-0.12, -0.3),
    (0.16, -0.12), (-0.16, -0.12), (0.18, 0.02), (-0.18, 0.02), (0.08, 0.04), (-0.08, 0.04), (0.09, 0.26),
    (-0.09, 0.26), (0.1, 0.46), (-0.1, 0.46),
])  # fmt: skip
"""The joints of somebody upright, as shares of their height, around their middle."""

Where = Callable[[float], tuple[float, float] | None]
"""Where somebody's middle is at a time in seconds, None when nobody can see them."""


@dataclass
class Walker:
    """Somebody in the world.

    Attributes:
        where: their middle over time.
        height: pixels.
        presence: what the landmarks say when they look at them.
        detected: whether the detector sees them,
        score: and how sure it is.
        reach: how much wider the landmarks see them than the detector does.
        waves: how far they move elbows and wrists up and down once a second, as a share of their height.
        wants: how large a crop must be for the landmarks to see them, as a multiple of their height.
    """

    where: Where
    height: float = 100.0
    presence: float = 0.9
    detected: bool = True
    score: float = 0.8
    reach: float = 1.0
    waves: float = 0.0
    wants: float = 0.0

    def joints(self, time: float, reach: float = 1.0) -> np.ndarray | None:
        """The joints `(17, 3)` at a time."""
        place = self.where(time)
        if place is None:
            return None
        points = _FIGURE * (self.height * reach, self.height) + place
        points[7:11, 1] -= self.waves * self.height * abs(np.sin(np.pi * time))
        return np.column_stack([points, np.full(17, 0.8)]).astype(np.float32)


@dataclass
class World:
    """Pictures of walkers, and the networks that find them; it counts what is asked.

    Attributes:
        walkers: who is there.
        min_height: of a walker in pixels of a tile of 416 pixels, so that the detector sees them.
        clutter: boxes that the detector takes for people, and the landmarks do not.
    """

    walkers: list[Walker]
    min_height: float = 30.0
    clutter: list[tuple[float, float, float, float]] = field(default_factory=list)
    aspect: float = 1.0
    tiling: Tiling = field(default_factory=lambda: Tiling(416))
    time: float = 0.0
    tiles: int = 0
    crops: int = 0
    searches: list[float] = field(default_factory=list)

    def frames(self, seconds: float, fps: float = 10.0, begin: float = 0.0) -> Iterable[Frame]:
        """The pictures of a stretch of time; walkers are light on a dark ground."""
        for index in range(round(begin * fps), round((begin + seconds) * fps)):
            self.time = index / fps
            yield Frame(index, self.time, SIZE, self.picture(self.time))

    def picture(self, time: float) -> Image:
        """The picture at a time."""
        picture = np.full((SIZE[1], SIZE[0], 3), 40, dtype=np.uint8)
        for joints in self._seen(time):
            low, high = np.maximum(joints[:, :2].min(axis=0), 0), np.maximum(joints[:, :2].max(axis=0), 0)
            picture[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = 200
        return picture

    def detect(self, image: Image, tiles: Sequence[Tiles]) -> Detections:
        """Those whose middle is in a tile, and who are large enough in it."""
        self.tiles += sum(len(some) for some in tiles)
        self.searches.append(self.time)
        found = [[*box, 0.4] for box in self.clutter]
        for walker in self.walkers:
            joints = walker.joints(self.time)
            if (
                joints is not None
                and walker.detected
                and any(self._shows(some, walker, joints) for some in tiles)
            ):
                found.append([*joints[:, :2].min(axis=0), *joints[:, :2].max(axis=0), walker.score])
        rows = np.array(found, dtype=np.float32).reshape(-1, 5)
        return Detections(rows[:, :4], rows[:, 4])

    def _shows(self, tiles: Tiles, walker: Walker, joints: np.ndarray) -> bool:
        middle = joints[:, :2].mean(axis=0)
        inside = (np.abs(tiles.places[:, :2] - middle) < tiles.extent / 2).all(axis=1).any()
        return bool(inside and walker.height * tiles.shape[1] / tiles.extent[1] >= self.min_height)

    def joints(self, image: Image, places: Regions, people: Boxes) -> Bodies:
        """The joints of whoever is nearest to the middle of each place; presence 0 when nobody is in it."""
        assert len(people) >= len(places)
        self.crops += len(places)
        keypoints, presence = np.zeros((len(places), 17, 3), np.float32), np.zeros(len(places), np.float32)
        for row, (x, y, height, _) in enumerate(places.tolist()):
            keypoints[row, :, :2] = _FIGURE * height / 1.25 + (
                x,
                y,
            )  # a guess, as of a network that sees nobody
            best = height / 2
            for walker in self.walkers:
                joints = walker.joints(self.time, walker.reach)
                if joints is None or height < walker.wants * walker.height:
                    continue
                away = float(np.abs(joints[:, :2].mean(axis=0) - (x, y)).max())
                if away < best:
                    best, keypoints[row], presence[row] = away, joints, walker.presence
        low, high = keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)
        return Bodies(keypoints, presence, upright_regions(np.concatenate([low, high], axis=1)))

    def close(self) -> None:
        """Nothing to release."""

    def _seen(self, time: float) -> Iterable[np.ndarray]:
        return (joints for walker in self.walkers if (joints := walker.joints(time)) is not None)
