"""People who stand beside each other: in the crop of one the others are blurred, so that its joints are not theirs.

A network of landmarks shows one person of a crop. Where people walk side by side, that is often the same one for both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runtime.opencv import opencv
from runtime.poses.boxes import Boxes, covered
from runtime.poses.regions import Regions, to_network

_BLUR = 0.24  # of a crop's side: nothing of a person is left
_ENTANGLED = 0.5  # of a body, that the other one covers: there the limbs of both are everywhere

Crops = npt.NDArray[np.uint8]


def blur_neighbours(crops: Crops, regions: Regions, people: Boxes) -> None:
    """Blur, in each crop, what belongs to others and not to its own person.

    Args:
        crops: `(N, height, width, 3)`, changed in place.
        regions: `(N, 4)`, that they were cut out of.
        people: `(M, 4)`, M >= N, in pixels of the picture: those of the crops, in their order, and others.

    Raises:
        InputError: OpenCV is missing.
    """
    beside = _beside(regions, people)
    if not beside.any():
        return
    cv2 = opencv()
    height, width = crops.shape[1:3]
    matrices = to_network(regions, (width, height))
    corners = people[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].astype(np.float64)
    size = max(1, round(_BLUR * height)), max(1, round(_BLUR * height))
    for row in np.flatnonzero(beside.any(axis=1)):
        linear, offset = matrices[row, :, :2], matrices[row, :, 2]
        outlines = np.rint(corners @ linear.T + offset).astype(np.int32)
        hidden = np.zeros((height, width), np.uint8)
        for other in np.flatnonzero(beside[row]):
            cv2.fillConvexPoly(hidden, outlines[other], 1)
        cv2.fillConvexPoly(hidden, outlines[row], 0)
        cv2.copyTo(cv2.blur(crops[row], size), hidden, crops[row])


def _beside(regions: Regions, people: Boxes) -> npt.NDArray[np.bool_]:
    """Return for each region which other people reach into it, `(N, M)`; that it may be turned is left aside."""
    half = regions[:, None, 2:3] / 2
    low, high = regions[:, None, :2] - half, regions[:, None, :2] + half
    reaches = np.asarray(((people[None, :, :2] < high) & (people[None, :, 2:] > low)).all(axis=2))
    np.fill_diagonal(reaches, val=False)  # themselves
    return np.asarray(reaches & (covered(people[: len(regions)], people) < _ENTANGLED))
