"""When the detector runs, and on which parts of the picture: it takes ten times as long as following a person.

It runs at once where somebody was lost or where something moves that is nobody who is followed, and now and then on the
whole picture: rarely where all is quiet, more often among many people, who hide others. Where it finds nobody, it looks
again with tiles of other sizes: in the first pictures, and where something moves.
"""

from __future__ import annotations

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from runtime.poses.boxes import Boxes
from runtime.poses.motion import Motion, Points
from runtime.poses.regions import Tiles, Tiling
from runtime.poses.tile_choice import TileChoice
from runtime.sources.frames import Image

MAX_ACROSS = 3
"""Tiles along the longer side of a picture, at most."""

_MIN_TILE = 96  # pixels of the picture; enlarging less than that shows the detector nothing new
_QUIET_S = 4.0  # between searches of the whole picture; divided by the number of people
_CROWD_S = 0.5  # but not less,
_TILE_S = 0.15  # nor less than so much for each tile
_MOVING_S = 0.4  # between searches for what moves and is nobody who is followed,
_COMPARED_S = 0.1  # and between pictures that are compared for it, where nothing moves
_IN_VAIN_S = 2.0  # in which a place is not searched again for what moves there, when nobody was found
_SAME_PLACE = 0.08  # of the picture's longer side


class Search:
    """Decides for one camera when and where to detect.

    Args:
        size: width and height of the pictures.
        tiling: how the detector divides them.
        max_across: tiles along the longer side of the picture, at most.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self, size: FrameSize, tiling: Tiling, max_across: int = MAX_ACROSS) -> None:
        self._size = size
        self._tiling = tiling
        self._tiles = TileChoice(size, max(1, min(max_across, max(size) // _MIN_TILE)))
        self._motion = Motion()
        self._moving: Points = np.zeros((0, 2), dtype=np.float32)
        self._in_vain: list[tuple[Points, float]] = []
        self._whole = False  # whether the last search was of the whole picture
        self._failed = 0  # searches in a row for what moves that found nobody there
        self._everywhere_at = self._moving_at = self._compared_at = -np.inf

    def places(self, image: Image, time: float, people: Boxes, lost: Points) -> list[Tiles]:
        """Return the tiles to search in this picture, of each size some; none when there is no need.

        Args:
            image: the picture.
            time: of the picture in seconds.
            people: boxes `(N, 4)` of those who are followed.
            lost: `(M, 2)` where people are expected who were just lost.
        """
        every = self._tiling.tiles(self._size, self._tiles.across)
        pause = max(_CROWD_S, _TILE_S * len(every), _QUIET_S / max(1, len(people)))
        if time - self._everywhere_at >= pause:
            self._everywhere_at = self._moving_at = time
            self._moving = self._motion.places(image, people)
            self._whole = True
            return [self._tiling.tiles(self._size, self._tiles.next())]
        self._moving, self._whole = np.zeros((0, 2), dtype=np.float32), False
        if time - self._moving_at >= _MOVING_S and time - self._compared_at >= _COMPARED_S:
            self._compared_at = time
            self._moving = self._promising(self._motion.places(image, people), time)
            if len(self._moving):
                self._moving_at = time
        others = self._tiling.tiles(self._size, self._tiles.instead(self._failed))
        return [found for found in (every.containing(lost), others.containing(self._moving)) if len(found)]

    def learn(self, time: float, people: Boxes) -> None:
        """Take the result of a search.

        Args:
            time: of the picture in seconds.
            people: boxes `(N, 4)` of everybody who is followed now.
        """
        before = self._tiles.across
        self._tiles.learn(people)
        if self._tiles.across > before or self._tiles.is_new:  # whoever is small was probably missed
            self._everywhere_at = -np.inf
        at, low, high = self._moving[:, None], people[None, :, :2], people[None, :, 2:]
        inside = np.asarray(((low <= at) & (at <= high)).all(axis=2))
        found = np.asarray(inside.any(axis=1))
        if not self._whole and not len(found):  # only those who were lost were searched for
            return
        self._failed = 0 if self._whole or len(people) else self._failed + 1
        if self._failed % self._tiles.most == 0:  # else another size of tiles comes first
            self._motion.look(people)
            self._in_vain += [(point, time + _IN_VAIN_S) for point in self._moving[~found]]

    def _promising(self, moving: Points, time: float) -> Points:
        """Return the places of motion that were not searched in vain just now."""
        self._in_vain = [(place, until) for place, until in self._in_vain if until > time]
        if not self._in_vain or not len(moving):
            return moving
        known = np.stack([place for place, _ in self._in_vain])
        away = np.abs(moving[:, None] - known[None]).max(axis=2).min(axis=1)
        return np.asarray(moving[away > _SAME_PLACE * max(self._size)])
