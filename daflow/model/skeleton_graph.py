"""The graph of the body: the adjacency of joints in a graph convolution (ST-GCN, arXiv 1801.07455, section 3.3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import OPENPOSE_BONES, OPENPOSE_JOINTS

PARTITIONS = ("uniform", "distance", "spatial")
JOINTS = len(OPENPOSE_JOINTS)
_CENTRE = 1  # the neck


def adjacency(partition: str = "uniform", hops: int = 8) -> npt.NDArray[np.float32]:
    """Return the normalised adjacency of the 18 OpenPose joints, split into subsets.

    Joints within `hops` bones of each other are neighbours; every column is divided by its sum. `uniform` keeps one
    subset, `distance` has one for each number of hops, `spatial` splits each of those by whether the neighbour is
    closer to the neck.

    Returns:
        `(subsets, 18, 18)` float32; the subsets sum to the `uniform` one.

    >>> adjacency("uniform", hops=8).shape, adjacency("distance", hops=1).shape, adjacency("spatial", 1).shape
    ((1, 18, 18), (2, 18, 18), (3, 18, 18))
    >>> bool(np.allclose(adjacency(), 1 / 18))
    True
    """
    if hops < 0:
        raise ValueError(f"hops must not be negative, as {hops} is")
    distance = _hop_distance()
    near = (distance <= hops).astype(np.float64)
    normalised = near / near.sum(axis=0, keepdims=True)
    if partition == "uniform":
        subsets = [normalised]
    elif partition == "distance":
        subsets = [normalised * (distance == hop) for hop in range(hops + 1)]
    elif partition == "spatial":
        subsets = _spatial(normalised, distance, hops)
    else:
        raise ValueError(f"partition {partition!r} is not one of {', '.join(PARTITIONS)}")
    return np.stack(subsets).astype(np.float32)


def _hop_distance() -> npt.NDArray[np.int64]:
    """The number of bones between any two joints, by breadth-first steps."""
    step = np.eye(JOINTS, dtype=bool)
    for a, b in OPENPOSE_BONES:
        step[a, b] = step[b, a] = True
    distance = np.full((JOINTS, JOINTS), JOINTS, dtype=np.int64)
    reached = np.eye(JOINTS, dtype=bool)
    for hop in range(JOINTS):
        distance[reached & (distance == JOINTS)] = hop
        reached = reached @ step
    return distance


def _spatial(
    normalised: npt.NDArray[np.float64], distance: npt.NDArray[np.int64], hops: int
) -> list[npt.NDArray[np.float64]]:
    to_centre = distance[:, _CENTRE]
    further = to_centre[:, None] < to_centre[None, :]
    subsets = [normalised * (distance == 0)]
    for hop in range(1, hops + 1):
        ring = normalised * (distance == hop)
        subsets += [ring * ~further, ring * further]
    return subsets
