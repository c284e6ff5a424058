from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.data.skeleton import OPENPOSE_BONES, OPENPOSE_JOINTS
from daflow.model.skeleton_graph import PARTITIONS, adjacency

JOINTS = range(len(OPENPOSE_JOINTS))
NECK = OPENPOSE_JOINTS.index("neck")
HOPS = [0, 1, 2, 3, 8]


def bones_between() -> list[list[int]]:
    """The number of bones between any two joints (Floyd and Warshall)."""
    distance = [[0 if a == b else 99 for b in JOINTS] for a in JOINTS]
    for a, b in OPENPOSE_BONES:
        distance[a][b] = distance[b][a] = 1
    for via in JOINTS:
        for a in JOINTS:
            for b in JOINTS:
                distance[a][b] = min(distance[a][b], distance[a][via] + distance[via][b])
    return distance


def subset_of(partition: str, distance: list[list[int]], neighbour: int, joint: int) -> int:
    """The subset that holds the pair; of `spatial`, two for each hop but the first: not closer to the neck, closer."""
    hop = distance[neighbour][joint]
    if partition == "uniform":
        return 0
    if partition == "distance" or hop == 0:
        return hop
    closer = distance[neighbour][NECK] < distance[joint][NECK]
    return 2 * hop - 1 + int(closer)


def brute_force(partition: str, hops: int) -> npt.NDArray[np.float64]:
    distance = bones_between()
    subsets = {"uniform": 1, "distance": hops + 1, "spatial": 2 * hops + 1}[partition]
    expected = np.zeros((subsets, len(JOINTS), len(JOINTS)))
    for joint in JOINTS:
        neighbours = [other for other in JOINTS if distance[other][joint] <= hops]
        for other in neighbours:
            expected[subset_of(partition, distance, other, joint), other, joint] = 1 / len(neighbours)
    return expected


@pytest.mark.parametrize("hops", HOPS)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_adjacency_is_what_counting_bones_gives(partition: str, hops: int) -> None:
    made, expected = adjacency(partition, hops), brute_force(partition, hops)
    assert made.dtype == np.float32
    assert made.shape == expected.shape
    assert np.allclose(made, expected, atol=1e-7)


@pytest.mark.parametrize("hops", HOPS)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_subsets_sum_to_the_uniform_one_and_its_columns_to_one(partition: str, hops: int) -> None:
    together = adjacency(partition, hops).sum(axis=0)
    assert np.allclose(together, adjacency("uniform", hops)[0])
    assert np.allclose(together.sum(axis=0), 1)


def test_one_hop_joins_the_elbow_to_its_arm_only() -> None:
    elbow = OPENPOSE_JOINTS.index("left_elbow")
    heard = {OPENPOSE_JOINTS[joint] for joint in np.flatnonzero(adjacency("uniform", 1)[0, :, elbow])}
    assert heard == {"left_shoulder", "left_elbow", "left_wrist"}


def test_an_unknown_partition_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'radial' is not one of uniform, distance, spatial"):
        adjacency("radial")
