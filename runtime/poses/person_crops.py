"""Poses of several people before a fixed camera: a crop around each person or moving thing is searched by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.errors import unusable_package
from runtime.poses.boxes import covered, joint_boxes, keypoint_similarity, overlaps
from runtime.poses.estimators import PoseEstimator
from runtime.poses.foreground import Boxes, Foreground
from runtime.sources.frames import Frame, Image, Keypoints

Box = npt.NDArray[np.float32]
"""`(4,)`: left, top, right, bottom in pixels."""

_CROP = 256  # pixels; MediaPipe's networks see 224 and 256
_MARGIN = 0.25  # of the box's longer side, on each side
_GREY = 128
_SAME_REGION = 0.3  # intersection over union
_COVERED = 0.6  # of a region, by one skeleton
_BODY = 0.1  # of a skeleton's longer side, that a body reaches beyond it
_BESIDE = 0.1  # of a box's height: people whose centres are nearer are behind each other
_MIN_SIZE = 0.05  # of the picture's height: the joints of smaller people cannot be distinguished
_MIN_INSIDE = 0.7  # of a skeleton's joints, in its crop
_MIN_SHARE = 0.5  # of the length of the box that it was looked for in
_MAX_MISSES = 10  # searches without success where somebody was, until the place is given up
_SAME_POSE, _SAME_BOX = 0.3, 0.5  # similarity of two skeletons and of their boxes, chosen
_ZOOM = (1.0, 2.0, 3.0)  # only a leg may have moved: after each search without success the next crop is wider
_FIRST_SURVEYS = 10  # frames
_REST = 10  # frames without a search of a region after the widest crop


@dataclass(frozen=True)
class _Place:
    """Where somebody was found last, and the searches without success since."""

    box: Box
    misses: int = 0


@dataclass(frozen=True)
class _Empty:
    """A region in which nobody was found, the number of its searches, and the frame of the last one."""

    box: Box
    looks: int
    frame: int


class PersonCrops:
    """Finds people one by one in square crops, around where somebody was a frame ago and around what moves.

    Somebody who does not move becomes background after a while, but the crop around the last skeleton still finds them.
    People who were found in the last frame come first, so that their windows have no gaps; then what moves and was not
    searched yet; and once a second the whole picture, for those who have not moved since the start. In a crop, people
    who were already found are painted over, so that of two who walk side by side both are found.

    Args:
        estimator: finds skeletons in a crop of 256 by 256 pixels.
        fps: frames per second.
        max_crops: largest number of crops per frame, which limits its time.

    Raises:
        InputError: OpenCV is missing.
    """

    def __init__(self, estimator: PoseEstimator, fps: float, max_crops: int) -> None:
        try:
            import cv2
        except ImportError as error:
            raise unusable_package(error, "opencv-contrib-python", "edge") from None
        self._cv2: Any = cv2
        self._estimator = estimator
        self._foreground = Foreground(fps)
        self._max_crops = max_crops
        self._survey_every = max(2, round(fps))
        self._size: FrameSize | None = None
        self._places: list[_Place] = []
        self._empty: list[_Empty] = []
        self._frame = 0
        self.crops = 0
        """Crops that were searched so far."""

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, J, 3)` float32 keypoints in pixels; frames come in the camera's order."""
        assert frame.image is not None
        if frame.size != self._size:
            self._size, self._places, self._empty = frame.size, [], []
        self._frame += 1
        regions = self._foreground.find(frame.image)
        last = self.crops + self._max_crops
        found: list[Keypoints] = []
        known, doubtful = _split(self._places)
        self._places = []
        for place in known:
            if self.crops == last:
                self._places.append(place)
            else:
                self._look_again(frame, place, found)
        for region, looks in self._unsearched(regions):
            if self.crops < last and _covered(region, found) < _COVERED:
                self._look(frame, region, looks, found)
        for place in doubtful:
            if self.crops < last and _covered(place.box, found) < _COVERED:
                self._look_again(frame, place, found)
        if self.crops < last and self._is_time_for_a_survey():
            self._add(self._search(frame, None, 1.0, found), found)
        return np.stack(found) if found else np.zeros((0, 17, 3), dtype=np.float32)

    def close(self) -> None:
        """Release the model."""
        self._estimator.close()

    def _look_again(self, frame: Frame, place: _Place, found: list[Keypoints]) -> None:
        new = self._search(frame, place.box, 1.0, found)
        self._add(new, found)
        if not new and place.misses + 1 < _MAX_MISSES:
            self._places.append(_Place(place.box, place.misses + 1))

    def _look(self, frame: Frame, region: Box, looks: int, found: list[Keypoints]) -> None:
        new = self._search(frame, _uncovered(region, found), _ZOOM[min(looks, len(_ZOOM) - 1)], found)
        self._add(new, found)
        self._empty = [empty for empty in self._empty if _overlap(empty.box, region) < _SAME_REGION]
        if not new:
            self._empty.append(_Empty(region, looks + 1, self._frame))

    def _is_time_for_a_survey(self) -> bool:
        """Whether to search the whole picture, for people who do not move: often at first, then once a second."""
        return self._frame <= _FIRST_SURVEYS or self._frame % self._survey_every == 0

    def _add(self, new: list[Keypoints], found: list[Keypoints]) -> None:
        found += new
        self._places += [_Place(_box_of(skeleton)) for skeleton in new]

    def _unsearched(self, regions: Boxes) -> Iterator[tuple[Box, int]]:
        """Yield regions with their searches without success, the fewest first, without those that rest."""
        self._empty = [empty for empty in self._empty if self._frame - empty.frame < _REST]
        looks = [
            max(
                (empty.looks for empty in self._empty if _overlap(empty.box, region) >= _SAME_REGION),
                default=0,
            )
            for region in regions
        ]
        for index in np.argsort(looks, kind="stable"):
            if looks[index] < len(_ZOOM):
                yield regions[index], looks[index]

    def _search(self, frame: Frame, box: Box | None, zoom: float, found: list[Keypoints]) -> list[Keypoints]:
        """Return the skeletons around a box, or anywhere, that are plausible and new, in pixels."""
        assert frame.image is not None
        self.crops += 1
        square = _whole_picture(frame.size) if box is None else _square(box, zoom)
        crop = self._cut(frame.image, square)
        scale = _CROP / (square[2] - square[0])
        for other in map(_box_of, found):
            hidden = _grown(other) if box is None else _beside(other, box)
            left, top, right, bottom = ((hidden - np.tile(square[:2], 2)) * scale).clip(0, _CROP)
            crop[round(top) : round(bottom), round(left) : round(right)] = _GREY
        skeletons = self._estimator.estimate(replace(frame, size=(_CROP, _CROP), image=crop)).copy()
        skeletons[..., :2] = skeletons[..., :2] / scale + square[:2]
        new: list[Keypoints] = []
        for skeleton in (s for s in skeletons if _is_plausible(s, box, square, frame.size)):
            if not any(are_same_person(skeleton, other) for other in [*found, *new]):
                new.append(skeleton)
        return new

    def _cut(self, image: Image, square: Box) -> Image:
        """Cut a square and scale it; beyond the picture it is black."""
        scale = _CROP / (square[2] - square[0])
        return np.asarray(
            self._cv2.warpAffine(
                image,
                np.array([[scale, 0, -scale * square[0]], [0, scale, -scale * square[1]]], dtype=np.float64),
                (_CROP, _CROP),
                flags=self._cv2.INTER_LINEAR,
            ),
            dtype=np.uint8,
        )


def are_same_person(a: Keypoints, b: Keypoints) -> bool:
    """Return whether two skeletons `(J, 3)` are of one person, who was found twice."""
    return bool(
        keypoint_similarity(a[None], b[None])[0, 0] >= _SAME_POSE
        or _overlap(_box_of(a), _box_of(b)) >= _SAME_BOX
    )


def _box_of(skeleton: Keypoints) -> Box:
    return np.asarray(joint_boxes(skeleton[None])[0])


def _overlap(a: Box, b: Box) -> float:
    return float(overlaps(a[None], b[None])[0, 0])


def _covered(box: Box, found: list[Keypoints]) -> float:
    """Return the largest share of a box that one skeleton covers."""
    return float(covered(box[None], joint_boxes(np.stack(found))).max()) if found else 0.0


def _split(places: list[_Place]) -> tuple[list[_Place], list[_Place]]:
    """Return the places where somebody was in the last frame, and those that were missed."""
    known = [place for place in places if not place.misses]
    doubtful = sorted((place for place in places if place.misses), key=lambda place: place.misses)
    return known, doubtful


def _square(box: Box, zoom: float) -> Box:
    centre = (box[:2] + box[2:]) / 2
    half = zoom * (0.5 + _MARGIN) * max(float((box[2:] - box[:2]).max()), 8.0)
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def _grown(box: Box) -> Box:
    """Return the box of a body, which is larger than that of its joints."""
    margin = _BODY * float((box[2:] - box[:2]).max())
    return np.concatenate([box[:2] - margin, box[2:] + margin]).astype(np.float32)


def _whole_picture(size: FrameSize) -> Box:
    centre, half = np.array(size) / 2, max(size) / 2
    return np.concatenate([centre - half, centre + half]).astype(np.float32)


def _uncovered(region: Box, found: list[Keypoints]) -> Box:
    """Return the widest strip of a region, from top to bottom, that no skeleton covers; all of it if none is wide."""
    taken = sorted(
        (float(b[0]), float(b[2])) for b in map(_box_of, found) if covered(region[None], b[None]) > 0.1
    )
    edge, widest = float(region[0]), (float(region[0]), float(region[0]))
    for left, right in [*taken, (float(region[2]), float(region[2]))]:
        widest = max(widest, (edge, left), key=lambda strip: strip[1] - strip[0])
        edge = max(edge, right)
    if widest[1] - widest[0] < _BESIDE * (region[3] - region[1]):
        return region
    return np.array([widest[0], region[1], widest[1], region[3]], dtype=np.float32)


def _beside(other: Box, box: Box) -> Box:
    """Return the part of another person's box on the far side of the middle between the two, empty if behind."""
    x, other_x = float(box[0] + box[2]) / 2, float(other[0] + other[2]) / 2
    hidden: Box = other.copy()
    if abs(other_x - x) < _BESIDE * (box[3] - box[1]):
        hidden[2:] = hidden[:2]
    elif other_x < x:
        hidden[2] = min(hidden[2], (x + other_x) / 2)
    else:
        hidden[0] = max(hidden[0], (x + other_x) / 2)
    return hidden


def _is_plausible(skeleton: Keypoints, box: Box | None, square: Box, size: FrameSize) -> bool:
    """Whether a skeleton `(J, 3)` is as large as what moved, mostly in its crop, and its middle in the picture."""
    points = skeleton[:, :2]
    share = 0.0 if box is None else _MIN_SHARE * float((box[2:] - box[:2]).max())
    smallest = max(_MIN_SIZE * size[1], share)
    inside = ((points >= square[:2]) & (points <= square[2:])).all(axis=1).mean()
    middle = points.mean(axis=0)
    return bool(
        np.ptp(points, axis=0).max() >= smallest
        and inside >= _MIN_INSIDE
        and (middle >= 0).all()
        and (middle <= np.array(size)).all()
    )
