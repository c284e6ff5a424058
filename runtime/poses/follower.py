"""The people of one camera: found by the detector, then followed from picture to picture by their own joints.

Where somebody is in the next picture follows from their joints in this one, as MediaPipe does it (arXiv 2006.10204),
and from how they moved. That takes one crop a person. The detector runs when and where `runtime.poses.search` says.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

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
from runtime.poses.followed_person import SURE, FollowedPerson, Sighting
from runtime.poses.motion import Points
from runtime.poses.pose_networks import Bodies, Detections, PoseNetworks
from runtime.poses.regions import Regions, Tiles, upright_regions
from runtime.poses.search import MAX_ACROSS, Search
from runtime.poses.seen_in_vain import SeenInVain
from runtime.sources.frames import Frame, Image, Keypoints

_MIN_PRESENCE = 0.2  # of somebody who is followed; of who lies on the floor it may be low
_MIN_NEW_PRESENCE = 0.3  # of somebody in whom the detector agrees; small people often have no more
_MIN_REFINED = 0.2  # presence above which a detected person is cut out again, turned upright; else
_WIDE = 1.6  # so large a multiple of the detector's box: of people who are half hidden it sees a part
_MIN_PART = 80.0  # pixels of the region's height for both: a part of somebody smaller shows nothing
_WIDER = 1.3  # of the region in which somebody was to be, when they are not seen there
_MIN_WIDE_PRESENCE = 0.5  # in these; a larger crop shows others too
_FITS = 0.4  # overlap of the skeleton of somebody new and the detector's box
_DRIFTED = 0.5  # of the skeleton of somebody who is followed, below which the detector's box is looked into,
_REACHED = 0.7  # unless the skeleton covers so much of it: of who lies the detector may see a part only
_MAX_LOST_S = 0.6  # how long somebody is looked for where they were going
_SEARCHED_AFTER_S = 0.12  # without joints, until the detector looks: mostly the next picture has them again
_SHADOW = 0.6  # of a body, that another one covers, and that the detector does not see apart
_COVERED = 0.7  # of a box of the detector, by somebody who is followed
_SAME_BOX, _SAME_POSE = 0.6, 0.5  # overlap and similarity of the skeletons of one person


class PeopleFollower:
    """Finds everybody in the pictures of one camera, and knows them again; a `runtime.poses.estimators.Follower`.

    Args:
        networks: detector and landmarks, which other cameras may share.
        max_people: people at most; the rest are not looked for.
        max_across: tiles along the longer side of the picture at most; 1 only searches whole pictures.

    Attributes:
        ids: of the people of the last picture, in the order of their keypoints.
    """

    def __init__(self, networks: PoseNetworks, max_people: int, max_across: int = MAX_ACROSS) -> None:
        self._networks = networks
        self._max_people = max_people
        self._max_across = max_across
        self._people: list[FollowedPerson] = []
        self._size: FrameSize = (0, 0)
        self._time = -np.inf
        self._search = Search(self._size, networks.tiling, max_across)
        self._vain = SeenInVain()
        self._numbers = itertools.count()
        self.ids: Sequence[int] = []

    def estimate(self, frame: Frame) -> Keypoints:
        """Return `(N, 17, 3)` COCO keypoints in pixels with visibility; frames come in the camera's order."""
        assert frame.image is not None
        if frame.size != self._size or frame.time < self._time:
            self._size, self._people, self._vain = frame.size, [], SeenInVain()
            self._search = Search(frame.size, self._networks.tiling, self._max_across)
        before, self._time = self._time, frame.time
        self._follow(frame.image, frame.time, before)
        boxes = _boxes(self._seen_now())
        tiles = self._search.places(frame.image, frame.time, boxes, self._lost(frame.time))
        if tiles:
            found = self._networks.detect(frame.image, tiles)
            new, drifted, known = self._confirm(found, tiles)
            self._add(frame.image, found, new, drifted, known)
            self._search.learn(frame.time, _boxes(self._seen_now()))
        self._drop(frame.time)
        somebody = self._somebody_now()
        self.ids = [person.number for person in somebody]
        return _coco([person.keypoints for person in somebody])

    def close(self) -> None:
        """Release the networks."""
        self._networks.close()

    def _follow(self, image: Image, time: float, before: float) -> None:
        if not self._people:
            return
        people = self._people
        places = np.stack([person.expected(time) for person in people])
        ways = np.stack([person.way(time) for person in people])
        boxes = _boxes(people) + np.tile(ways, 2)
        here = self._move(image, people, places, boxes, _MIN_PRESENCE)
        just_lost = [
            person.alive and person.seen == before for person in people
        ]  # furniture would seem to move
        lost = ~here & np.array(just_lost) & (places[:, 2] >= _MIN_PART)
        if lost.any():
            wider = places[lost] * np.array([1, 1, _WIDER, 1], dtype=np.float32)
            order = np.concatenate([boxes[lost], boxes[~lost]])
            self._move(image, list(itertools.compress(people, lost)), wider, order, _MIN_WIDE_PRESENCE)
        self._drop_twins(time)

    def _move(
        self, image: Image, people: list[FollowedPerson], places: Regions, boxes: Boxes, min_presence: float
    ) -> npt.NDArray[np.bool_]:
        """Look for people in regions of the picture; return who is there."""
        bodies = self._networks.joints(image, places, boxes)
        here = np.zeros(len(people), dtype=np.bool_)
        for row, person in enumerate(people):
            region = bodies.following[row]
            if self._is_here(bodies, row, min_presence) and person.is_likely(region, self._time):
                person.move(bodies.keypoints[row], region, self._time)
                person.searched, here[row] = False, True
        return here

    def _seen_now(self) -> list[FollowedPerson]:
        """Return those whose joints were found in this picture."""
        return [person for person in self._people if person.seen == self._time]

    def _somebody_now(self) -> list[FollowedPerson]:
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
        self, found: Detections, tiles: Sequence[Tiles]
    ) -> tuple[npt.NDArray[np.int64], dict[int, FollowedPerson], Boxes]:
        """Match what the detector sees with the people who are followed.

        Returns:
            Which of it is somebody new; which of it is somebody whose skeleton has left them; and the boxes of the
            others who are followed: the detector's, where it sees them, since the joints of one of two who overlap may
            reach over both.
        """
        people = self._seen_now()
        boxes = _boxes(people)
        for person in people:
            person.unconfirmed += any(some.hold(person.region[:2]) for some in tiles)
        pairs = matches(boxes, found.boxes, SAME_PERSON)
        sightings = self._sightings(found)
        for row, column in pairs:
            people[row].confirm(self._time, sightings[column])
        stay = self._drop_shadows(people, boxes)
        drifted = {
            column: people[row]
            for row, column in pairs
            if stay[row] and _has_drifted(boxes[row], found.boxes[column])
        }
        for row, column in pairs:
            boxes[row] = found.boxes[column]
            stay[row] &= column not in drifted
        new = covered(found.boxes, boxes).max(axis=1, initial=0.0) < _COVERED
        new[[column for _, column in pairs]] = False
        return np.flatnonzero(new), drifted, boxes[stay]

    def _sightings(self, found: Detections) -> list[Sighting]:
        heights = upright_regions(found.boxes, self._networks.aspect)[:, 2]
        return [Sighting(*row) for row in zip(heights.tolist(), found.scores.tolist(), strict=True)]

    def _add(
        self,
        image: Image,
        found: Detections,
        new: npt.NDArray[np.int64],
        drifted: dict[int, FollowedPerson],
        others: Boxes,
    ) -> None:
        """Look for joints where the detector sees somebody new or somebody whose skeleton has left them."""
        new = new[(found.scores[new] >= SURE) | ~self._vain.are_known(found.boxes[new], self._time)]
        new = new[: max(0, self._max_people - len(self._somebody_now()))]
        rows = np.array([*drifted, *new.tolist()], dtype=np.int64)
        if not len(rows):
            return
        bodies, fitting = self._look(image, found, rows, others)
        self._vain.add(found.boxes[np.setdiff1d(new, fitting)], self._time)
        sightings = self._sightings(found)
        for index, row in enumerate(fitting.tolist()):
            if not self._is_here(bodies, index, _MIN_NEW_PRESENCE):
                continue
            if row not in drifted:
                self._people.append(self._known_or_new(bodies, index, self._time, sightings[row]))
            elif not _has_drifted(body_boxes(bodies.keypoints[index : index + 1])[0], found.boxes[row]):
                drifted[row].correct(bodies.keypoints[index], bodies.following[index])
        self._drop_twins(self._time)
        # Somebody who is seen takes the place of somebody who is lost; furniture takes nobody's place.
        newest = sorted(self._people, key=lambda person: -person.seen)
        somebody = [person for person in newest if person.is_somebody(self._time)]
        furniture = [person for person in newest if not person.is_somebody(self._time)]
        self._people = somebody[: self._max_people] + furniture[: self._max_people]

    def _look(
        self, image: Image, found: Detections, rows: npt.NDArray[np.int64], others: Boxes
    ) -> tuple[Bodies, npt.NDArray[np.int64]]:
        """Return the joints of those whom the detector sees, as far as they fit its boxes, and their rows.

        Each is looked at twice, upright as the detector sees them and turned as they stand; what fits better is taken.
        """
        aspect = self._networks.aspect
        boxes = found.boxes[rows]
        regions = upright_regions(boxes, aspect)
        upright = self._networks.joints(image, regions, np.concatenate([boxes, others]))
        seen = upright.presence >= _MIN_REFINED
        places = np.where(seen[:, None], upright.following, upright_regions(boxes, aspect, _WIDE))
        again = seen | (regions[:, 2] >= _MIN_PART)
        upright, seen, places, rows = upright[again], seen[again], places[again], rows[again]
        people = np.concatenate([boxes[again], others, boxes[~again]])
        boxes = boxes[again]
        if not len(rows):
            return upright, rows
        turned = self._networks.joints(image, places, people)
        fits = [overlaps(body_boxes(look.keypoints), boxes).diagonal() for look in (upright, turned)]
        bodies = turned.where((fits[1] >= fits[0]) | ~seen, upright)
        sure = bodies.presence >= np.where(seen, _MIN_NEW_PRESENCE, _MIN_WIDE_PRESENCE)
        fit = sure & (overlaps(body_boxes(bodies.keypoints), boxes).diagonal() >= _FITS)
        return bodies[fit], rows[fit]

    def _known_or_new(self, bodies: Bodies, row: int, time: float, seen: Sighting) -> FollowedPerson:
        """Return somebody who was lost near there, else somebody new."""
        region, keypoints = bodies.following[row], bodies.keypoints[row]
        for person in self._people:
            if person.seen < time and person.is_likely(region, time):
                self._people.remove(person)
                person.move(keypoints, region, time)
                person.confirm(time, seen)
                return person
        return FollowedPerson(next(self._numbers), keypoints, region, time, seen)

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

    def _drop_shadows(self, people: list[FollowedPerson], boxes: Boxes) -> npt.NDArray[np.bool_]:
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


def _boxes(people: list[FollowedPerson]) -> Boxes:
    if not people:
        return np.zeros((0, 4), dtype=np.float32)
    return body_boxes(np.stack([person.keypoints for person in people]))


def _has_drifted(skeleton: npt.NDArray[np.float32], detected: npt.NDArray[np.float32]) -> bool:
    """Whether the box of a skeleton `(4,)` lies beside what the detector sees of that person, `(4,)`."""
    a, b = skeleton[None], detected[None]
    return bool(overlaps(a, b)[0, 0] < _DRIFTED and covered(b, a)[0, 0] < _REACHED)


def _coco(skeletons: list[Keypoints]) -> Keypoints:
    if not skeletons:
        return np.zeros((0, 17, 3), dtype=np.float32)
    keypoints = np.stack(skeletons)
    return np.asarray(
        blazepose_to_coco(keypoints) if keypoints.shape[1] == 33 else keypoints, dtype=np.float32
    )
