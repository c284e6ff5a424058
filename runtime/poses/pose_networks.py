"""The networks of a pose bundle at work: boxes of people in tiles of a picture, and the joints of people in crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from runtime.networks.runner import NetworkRunner
from runtime.poses.boxes import Boxes, strongest
from runtime.poses.neighbours import blur_neighbours
from runtime.poses.regions import Regions, Tiles, Tiling, cut, following_regions, to_picture
from runtime.sources.frames import Image

MOST_OVERLAP = 0.5
"""Of two boxes of different people."""

MIN_SCORE = 0.3
"""Below it the detector mostly sees posts and bags (measured with NanoDet on Ped2 and opencv_vtest.avi)."""

_CUT_OFF = 0.01  # of a tile's side: a box that ends so near to its edge goes on beyond it


@dataclass(frozen=True)
class Bodies:
    """The joints of people in regions of a picture, a row for each region.

    Attributes:
        keypoints: `(N, J, 3)` x, y in pixels of the picture, visibility 0..1.
        presence: `(N,)` that a person is in the region, 0..1.
        following: `(N, 4)` the regions in which to look for them in the next picture.
    """

    keypoints: npt.NDArray[np.float32]
    presence: npt.NDArray[np.float32]
    following: Regions

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> Bodies:
        return Bodies(self.keypoints[rows], self.presence[rows], self.following[rows])

    def where(self, chosen: npt.NDArray[np.bool_], others: Bodies) -> Bodies:
        """Return these in the chosen rows `(N,)`, and the others elsewhere."""
        return Bodies(
            np.where(chosen[:, None, None], self.keypoints, others.keypoints),
            np.where(chosen, self.presence, others.presence),
            np.where(chosen[:, None], self.following, others.following),
        )


@dataclass(frozen=True)
class Detections:
    """People whom the detector sees.

    Attributes:
        boxes: `(N, 4)` in pixels of the picture.
        scores: `(N,)` how sure it is, 0..1.
    """

    boxes: Boxes
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Detections:
        return Detections(self.boxes[rows], self.scores[rows])


class PoseNetworks(Protocol):
    """Finds boxes and joints.

    Attributes:
        aspect: width of a crop divided by its height.
        tiling: how a picture is divided for `detect`.
    """

    aspect: float
    tiling: Tiling

    def detect(self, image: Image, tiles: Sequence[Tiles]) -> Detections:
        """Return the people in tiles of a picture, of each size some, the surest first."""
        ...

    def joints(self, image: Image, places: Regions, people: Boxes) -> Bodies:
        """Return the joints of the person in each place of a picture.

        Args:
            image: the picture.
            places: `(N, 4)`.
            people: boxes `(M, 4)`, M >= N, of the people of these places, in their order, and of others.
        """
        ...

    def close(self) -> None:
        """Release the engines."""
        ...


class BundleNetworks:
    """The detector and the landmarks of a pose bundle; `PoseNetworks`.

    Args:
        detector: maps `images (B, H, W, 3)` to `scores (B, A)` and `boxes (B, A, 4)`.
        landmarks: maps `images (B, H, W, 3)` to `keypoints (B, K, 4)` and `presence (B,)`.
        joints: how many of the K points are joints; the others only tell where to look next.
        stride: where the detector takes pictures of any size, what their sides must be multiples of.
    """

    def __init__(
        self, detector: NetworkRunner, landmarks: NetworkRunner, joints: int, stride: int | None = None
    ) -> None:
        self.parts = detector, landmarks, joints, stride
        self._detector, self._landmarks, self._joints, _ = self.parts
        self.tiling = Tiling(detector.row[0], stride)
        self._crop = landmarks.row[1], landmarks.row[0]
        self.aspect = self._crop[0] / self._crop[1]

    def detect(self, image: Image, tiles: Sequence[Tiles]) -> Detections:
        """Return the people in tiles of a picture, of each size some, the surest first.

        Of two boxes of one person the stronger one stays. What the edge of a tile cuts off and another tile shows whole
        is left out.
        """
        size = image.shape[1], image.shape[0]
        boxes, scores = [], []
        for some in tiles:
            outputs = self._detector.run(cut(image, some.places, some.shape))
            for place, of_tile, score in zip(some.places, outputs["boxes"], outputs["scores"], strict=True):
                chosen = score >= MIN_SCORE
                found = _in_picture(of_tile[chosen], place, some)
                whole = ~_is_cut_off(found, place, some, size)
                boxes.append(found[whole])
                scores.append(score[chosen][whole])
        every = Detections(np.concatenate(boxes), np.concatenate(scores))
        return every[strongest(every.boxes, every.scores, MOST_OVERLAP)]

    def joints(self, image: Image, places: Regions, people: Boxes) -> Bodies:
        """Return the joints of the person in each place of a picture; what belongs to others is blurred."""
        crops = cut(image, places, self._crop)
        blur_neighbours(crops, places, people)
        outputs = self._landmarks.run(crops)
        points = to_picture(outputs["keypoints"][..., :2], places, self._crop)
        visibility = outputs["keypoints"][:, : self._joints, 2:3]
        keypoints = np.concatenate([points[:, : self._joints], visibility], axis=2)
        return Bodies(keypoints, outputs["presence"].reshape(-1), following_regions(points, self.aspect))

    def close(self) -> None:
        """Release the engines."""
        self._detector.close()
        self._landmarks.close()


def _in_picture(boxes: Boxes, place: npt.NDArray[np.float32], tiles: Tiles) -> Boxes:
    """Return boxes in pixels of a tile as pixels of the picture."""
    scale = tiles.extent[1] / tiles.shape[1]
    return np.asarray(boxes * scale + np.tile(place[:2] - tiles.extent / 2, 2), dtype=np.float32)


def _is_cut_off(
    boxes: Boxes, place: npt.NDArray[np.float32], tiles: Tiles, size: FrameSize
) -> npt.NDArray[np.bool_]:
    """Whether boxes end at an edge of a tile, and are so small that another tile shows them whole."""
    low, high = place[:2] - tiles.extent / 2, place[:2] + tiles.extent / 2
    margin = _CUT_OFF * tiles.extent.max()
    at_low = (boxes[:, :2] < low + margin) & (low > 1)
    at_high = (boxes[:, 2:] > high - margin) & (high < np.array(size) - 1)
    small = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) < tiles.overlap
    return np.asarray((at_low | at_high).any(axis=1) & small)
