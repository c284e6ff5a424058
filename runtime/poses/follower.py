"""The people of one camera: found by the detector, then followed from picture to picture by their own joints.

Where somebody is in the next picture follows from their joints in this one, as MediaPipe does it (arXiv 2006.10204),
and from how they moved. That takes one crop a person. The detector runs when and where `runtime.poses.search` says.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.skeleton import blazepose_to_coco
from runtime.poses.boxes import (
    SAME_PERSON,
    Boxes,
    body_boxes,
    covered,
    keypoint_similarity,
    matches,
    overlaps,
)
from runtime.poses.motion import Points
from runtime.poses.pose_networks import Bodies, Detections, PoseNetworks
from runtime.poses.regions import upright_regions
from runtime.poses.search import MAX_ACROSS, Search
from runtime.sources.frames import Frame, Image, Keypoints

_MIN_PRESENCE = 0.2  # of somebody who is followed; of who lies on the floor it may be low
_MIN_NEW_PRESENCE = 0.3  # of somebody in whom the detector agrees; small people often have no more
_MIN_REFINED = 0.2  # presence above which a detected person is cut out again, turned upright
_SURE = 0.6  # score of the detector for somebody who need not move; office chairs have up to 0.56
_PROOF_S = 1.0  # in which others must have moved,
_MOVED = 0.1  # by so much of the region's height; on a chair it moves by 0.08
_GESTURE = 0.3  # or a tenth of their joints by so much; on a chair mostly by less than 0.26
_FITS = 0.4  # overlap of the skeleton of somebody new and the detector's box
_MAX_LOST_S = 0.6  # how long somebody is looked for where they were going
_SEARCHED_AFTER_S = 0.12  # without joints, until the detector looks: mostly the next picture has them again
_MAX_UNCONFIRMED = 3  # searches of the place of a followed person in which the detector sees nobody there,
_MAX_UNCONFIRMED_S = 2.0  # and how long that may last
_SURPRISE, _SURPRISE_PER_S = 0.04, 0.65  # largest step off the way they were going, of the region's height
_RESIZED = 1.6  # largest change of size
_SHRUNK = 1.7  # since the detector saw them; it may have seen a part of them only, so that they can be larger
_SHADOW = 0.6  # of a body, that another one covers, and that the detector does not see apart
_COVERED = 0.7  # of a box of the detector, by somebody who is followed
_SAME_BOX, _SAME_POSE = 0.6, 0.5  # overlap and similarity of the skeletons of one person
_INERTIA_S = 0.15  # over which the speed is averaged


class _Sighting(NamedTuple):
    """What the detector saw: the height of the region around it, and its score."""

    size: float
    score: float


class _Person:
    """Somebody who is followed.

    Attributes:
        keypoints: `(J, 3)` when they were seen last.
        region: `(4,)` to look in, in the picture after that.
        speed: `(2,)` of its middle, pixels per second.
        seen: the time of `keypoints`, seconds.
        since: when they were found, seconds.
        searched: whether the detector has looked for them since they were followed.
        confirmed: when the detector saw them last, seconds.
        unconfirmed: searches since then.
        size: height of the region that the detector's box asked for then, pixels.
        alive: whether the detector was sure once, or they have moved; a chair does neither.
    """

    def __init__(
        self, keypoints: Keypoints, region: npt.NDArray[np.float32], time: float, seen: _Sighting
    ) -> None:
        self.keypoints, self.region = keypoints, region
        self._start, self._pose, self.alive = region[:2], keypoints[:, :2], False
        self.speed = np.zeros(2, dtype=np.float32)
        self.seen = self.since = time
        self.searched = True
        self.confirm(time, seen)

    def confirm(self, time: float, seen: _Sighting) -> None:
        """Note that the detector sees them."""
        self.confirmed, self.unconfirmed, self.size = time, 0, seen.size
        self.alive |= seen.score >= _SURE

    def is_somebody(self, time: float) -> bool:
        """Whether they are alive, or may still prove it; of whom the detector is not sure must move."""
        return self.alive or time - self.since <= _PROOF_S

    def is_doubtful(self, time: float) -> bool:
        """Whether the detector has not seen them for so long that nobody is there."""
        return self.unconfirmed >= _MAX_UNCONFIRMED and time - self.confirmed > _MAX_UNCONFIRMED_S

    def way(self, time: float) -> npt.NDArray[np.float32]:
        """Return how far `(2,)` they should have gone since they were seen."""
        return np.asarray(self.speed * (time - self.seen))

    def expected(self, time: float) -> npt.NDArray[np.float32]:
        """Return the region `(4,)` in which they should be."""
        return np.concatenate([self.region[:2] + self.way(time), self.region[2:]])

    def is_likely(self, region: npt.NDArray[np.float32], time: float) -> bool:
        """Whether they can have moved to this region; otherwise the joints are of somebody beside them."""
        way = self.way(time)
        moved = region[:2] - self.region[:2]
        along = np.clip(moved @ way / max(float(way @ way), 1e-6), 0.0, 1.0)  # they may also have stopped
        surprise = float(np.hypot(*(moved - along * way))) / float(self.region[2])
        resized = float(region[2]) / float(self.region[2])
        likely = _SURPRISE + _SURPRISE_PER_S * (time - self.seen)
        shrunk = self.size / float(region[2])
        return surprise <= likely and 1 / _RESIZED < resized < _RESIZED and shrunk < _SHRUNK

    def move(self, keypoints: Keypoints, region: npt.NDArray[np.float32], time: float) -> None:
        """Take where they are now."""
        since = max(time - self.seen, 1e-3)
        old = math.exp(-since / _INERTIA_S)
        self.speed = old * self.speed + (1 - old) * (region[:2] - self.region[:2]) / since
        self.keypoints, self.region, self.seen = keypoints, region, time
        self.alive = self.alive or self._has_moved()

    def _has_moved(self) -> bool:
        """Whether they have gone somewhere since they were found, or stand where they were and move their limbs."""
        height = float(self.region[2])
        gone = float(np.hypot(*(self.region[:2] - self._start)))
        joints = np.linalg.norm(self.keypoints[:, :2] - self._pose, axis=1)
        return gone > _MOVED * height or float(np.quantile(joints, 0.9)) > _GESTURE * height


class PeopleFollower:
    """Finds everybody in the pictures of one camera; a `PoseEstimator`.

    Args:
        networks: detector and landmarks, which other cameras may share.
        max_people: people at most; the rest are not looked for.
        max_across: tiles along the longer side of the picture at most; 1 only searches whole pictures.
    """

    def __init__(self, networks: PoseNetworks, max_people: int, max_across: int = MAX_ACROSS) -> None:
        self._networks = networks
        self._max_people = max_people
        self._max_across = max_across
        self._people: list[_Person] = []
        self._size: FrameSize = (0, 0)
        self._time = -np.inf
        self._search = Search(self._size, max_across)

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` COCO keypoints in pixels with visibility; frames come in the camera's order."""
        assert frame.image is not None
        if frame.size != self._size or frame.time < self._time:
            self._size, self._people = frame.size, []
            self._search = Search(frame.size, self._max_across)
        self._time = frame.time
        self._follow(frame.image, frame.time)
        boxes = _boxes(self._seen_now())
        places = self._search.places(frame.image, frame.time, boxes, self._lost(frame.time))
        if len(places):
            found = self._networks.detect(frame.image, places)
            new, known = self._confirm(found, places)
            self._add(frame.image, found[new], known, frame.time)
            self._search.learn(frame.time, _boxes(self._seen_now()))
        self._drop(frame.time)
        return _coco([person.keypoints for person in self._somebody_now()])

    def close(self) -> None:
        """Release the networks."""
        self._networks.close()

    def _follow(self, image: Image, time: float) -> None:
        if not self._people:
            return
        places = np.stack([person.expected(time) for person in self._people])
        ways = np.stack([person.way(time) for person in self._people])
        bodies = self._networks.joints(image, places, _boxes(self._people) + np.tile(ways, 2))
        for row, person in enumerate(self._people):
            if self._is_here(bodies, row, _MIN_PRESENCE) and person.is_likely(bodies.following[row], time):
                person.move(bodies.keypoints[row], bodies.following[row], time)
                person.searched = False
        self._drop_twins(time)

    def _seen_now(self) -> list[_Person]:
        """Return those whose joints were found in this picture."""
        return [person for person in self._people if person.seen == self._time]

    def _somebody_now(self) -> list[_Person]:
        """Return those of them who are no furniture, as far as is known."""
        return [person for person in self._seen_now() if person.is_somebody(self._time)]

    def _lost(self, time: float) -> Points:
        """Return where those should be, `(N, 2)`, whom the detector is to look for: once each time they are lost."""
        lost = []
        for person in self._people:
            if time - person.seen >= _SEARCHED_AFTER_S and not person.searched:
                person.searched = True
                lost.append(person.expected(time)[:2])
        return np.array(lost, dtype=np.float32).reshape(-1, 2)

    def _confirm(
        self, found: Detections, places: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.bool_], Boxes]:
        """Match what the detector sees with the people who are followed.

        Returns:
            Which of it is somebody new, and the boxes of those who are followed: the detector's, where it sees them,
            since the joints of one of two who overlap may reach over both.
        """
        people = self._seen_now()
        boxes = _boxes(people)
        for person in people:
            person.unconfirmed += _is_inside(person.region[:2], places)
        pairs = matches(boxes, found.boxes, SAME_PERSON)
        sightings = self._sightings(found)
        for row, column in pairs:
            people[row].confirm(self._time, sightings[column])
        stay = self._drop_shadows(people, boxes)
        for row, column in pairs:
            boxes[row] = found.boxes[column]
        new = covered(found.boxes, boxes).max(axis=1, initial=0.0) < _COVERED
        new[[column for _, column in pairs]] = False
        return np.asarray(new), boxes[stay]

    def _sightings(self, found: Detections) -> list[_Sighting]:
        heights = upright_regions(found.boxes, self._networks.aspect)[:, 2]
        return [_Sighting(*row) for row in zip(heights.tolist(), found.scores.tolist(), strict=True)]

    def _add(self, image: Image, found: Detections, others: Boxes, time: float) -> None:
        """Look for joints where the detector sees somebody who is none of the others, and follow who is there."""
        found = found[: max(0, self._max_people - len(self._somebody_now()))]
        if not len(found):
            return
        boxes = found.boxes
        people = np.concatenate([boxes, others])
        bodies = self._networks.joints(image, upright_regions(boxes, self._networks.aspect), people)
        turned = bodies.presence >= _MIN_REFINED
        people = np.concatenate([boxes[turned], others, boxes[~turned]])
        sightings = self._sightings(found[turned])
        boxes, regions = boxes[turned], bodies.following[turned]
        if not len(boxes):
            return
        bodies = self._networks.joints(image, regions, people)
        fits = overlaps(body_boxes(bodies.keypoints), boxes).diagonal() >= _FITS
        for row in np.flatnonzero(fits):
            if self._is_here(bodies, int(row), _MIN_NEW_PRESENCE):
                self._people.append(self._known_or_new(bodies, int(row), time, sightings[row]))
        self._drop_twins(time)
        # Somebody who is seen takes the place of somebody who is lost; furniture takes nobody's place.
        newest = sorted(self._people, key=lambda person: -person.seen)
        somebody = [person for person in newest if person.is_somebody(time)]
        furniture = [person for person in newest if not person.is_somebody(time)]
        self._people = somebody[: self._max_people] + furniture[: self._max_people]

    def _known_or_new(self, bodies: Bodies, row: int, time: float, seen: _Sighting) -> _Person:
        """Return somebody who was lost near there, else somebody new."""
        region, keypoints = bodies.following[row], bodies.keypoints[row]
        for person in self._people:
            if person.seen < time and person.is_likely(region, time):
                self._people.remove(person)
                person.move(keypoints, region, time)
                person.confirm(time, seen)
                return person
        return _Person(keypoints, region, time, seen)

    def _is_here(self, bodies: Bodies, row: int, min_presence: float) -> bool:
        if bodies.presence[row] < min_presence or not np.isfinite(bodies.keypoints[row]).all():
            return False
        middle = bodies.keypoints[row, :, :2].mean(axis=0)
        return bool(
            (middle >= 0).all() and (middle <= np.array(self._size)).all() and bodies.following[row, 2] > 1
        )

    def _drop(self, time: float) -> None:
        self._people = [
            person
            for person in self._people
            if time - person.seen <= _MAX_LOST_S and not person.is_doubtful(time)
        ]

    def _drop_shadows(self, people: list[_Person], boxes: Boxes) -> npt.NDArray[np.bool_]:
        """Drop those before or behind somebody else whom the detector does not see there; return who stays."""
        shared = covered(boxes, boxes)
        np.fill_diagonal(shared, 0)
        unseen = np.array([person.unconfirmed > 0 for person in people], dtype=np.bool_)
        shadow = unseen & (shared.max(axis=1, initial=0.0) > _SHADOW)
        shadows = [person for person, gone in zip(people, shadow, strict=True) if gone]
        self._people = [person for person in self._people if person not in shadows]
        return np.asarray(~shadow)

    def _drop_twins(self, time: float) -> None:
        """Of two skeletons of one body keep the one that was followed longer."""
        here = sorted(
            (person for person in self._people if person.seen == time), key=lambda person: person.since
        )
        if len(here) < 2:
            return
        poses = np.stack([person.keypoints for person in here])
        boxes = body_boxes(poses)
        same = (overlaps(boxes, boxes) > _SAME_BOX) | (keypoint_similarity(poses, poses) > _SAME_POSE)
        dropped: set[int] = set()
        for first, second in np.argwhere(np.triu(same, 1)):
            if first not in dropped:
                dropped.add(int(second))
        twins = [here[index] for index in dropped]
        self._people = [person for person in self._people if person not in twins]


def _boxes(people: list[_Person]) -> Boxes:
    if not people:
        return np.zeros((0, 4), dtype=np.float32)
    return body_boxes(np.stack([person.keypoints for person in people]))


def _is_inside(point: Points, places: npt.NDArray[np.float32]) -> bool:
    """Whether a point is in one of the tiles, not at its edge."""
    return bool((np.abs(places[:, :2] - point).max(axis=1) < 0.45 * places[:, 2]).any())


def _coco(skeletons: list[Keypoints]) -> Keypoints:
    if not skeletons:
        return np.zeros((0, 17, 3), dtype=np.float32)
    keypoints = np.stack(skeletons)
    return np.asarray(
        blazepose_to_coco(keypoints) if keypoints.shape[1] == 33 else keypoints, dtype=np.float32
    )
