"""How far the joints of an estimator are from those of a stronger one, on a video of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.poses.boxes import joint_boxes
from runtime.poses.people import PeopleFinder
from runtime.sources.frames import Keypoints
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock

NEAR = 0.02
"""Of the body's height: within it a frame counts as the same."""


@dataclass(frozen=True)
class JointErrors:
    """The mean distance of the joints from the reference, as a share of the body's height.

    Attributes:
        frames: `(F,)` of each frame in which the reference sees somebody; infinite where the estimator does not.
    """

    frames: npt.NDArray[np.float64]

    @property
    def near(self) -> float:
        """The share of the frames within `NEAR`."""
        return float((self.frames <= NEAR).mean())

    @property
    def median(self) -> float:
        """The median over the frames."""
        return float(np.median(self.frames))


def watch_person(video: Path, finder: PeopleFinder) -> list[Keypoints | None]:
    """Return the keypoints `(17, 3)` of the largest person in each frame, None where there is nobody."""
    with open_source(str(video)) as source:
        return [_largest(list(finder.find(frame, StageClock()).values())) for frame in source]


def compare_joints(found: Sequence[Keypoints | None], reference: Sequence[Keypoints | None]) -> JointErrors:
    """Compare two estimators' joints of the same frames.

    The body's height is the longer side of the box around the reference's joints.
    """
    return JointErrors(
        np.array(
            [
                _error(ours, theirs)
                for ours, theirs in zip(found, reference, strict=True)
                if theirs is not None
            ]
        )
    )


def _largest(people: list[Keypoints]) -> Keypoints | None:
    return max(people, key=_height, default=None)


def _height(person: Keypoints) -> float:
    (box,) = joint_boxes(person[None])
    return float((box[2:] - box[:2]).max())


def _error(found: Keypoints | None, reference: Keypoints) -> float:
    if found is None:
        return float("inf")
    return float(np.linalg.norm(found[:, :2] - reference[:, :2], axis=1).mean()) / _height(reference)
