"""Windows made abnormal in known ways, for the INT8 calibration and the verification of exports."""

from __future__ import annotations

import numpy as np

from daflow.core.data.windows import Poses, normalise

# Strengths in units of the window's standard deviation of y. They were chosen by hand to reach from barely visible to
# clearly abnormal, so that the compared scores cover normal and high values.
_JITTER = (0.02, 0.5)  # the range of the noise on every joint and pose
_DISPLACEMENT = 2.0  # standard deviation of a joint's offset
_DISPLACED_JOINTS = 0.2  # the fraction of joints with an offset
_JUMP = 2.0  # standard deviation of the offset of the second half of a window


def perturb(poses: Poses, count: int, seed: int) -> Poses:
    """Make some windows abnormal in known ways: jitter, displaced joints, and a jump in the middle.

    Args:
        poses: `(N, 2, T, V)` normalised windows.
        count: windows to take, at most N.
        seed: the same seed gives the same windows.

    Returns:
        `(M, 2, T, V)` with M at most `count`, normalised again.

    >>> poses = np.random.default_rng(0).standard_normal((10, 2, 24, 18)).astype(np.float32)
    >>> perturb(poses, 6, seed=1).shape
    (6, 2, 24, 18)
    """
    rng = np.random.default_rng(seed)
    chosen = poses[rng.permutation(len(poses))[:count]].copy()
    jitter, displaced, jump = np.array_split(chosen, 3)
    strength = rng.uniform(*_JITTER, (len(jitter), 1, 1, 1))
    jitter += strength * rng.standard_normal(jitter.shape)
    joints = rng.random((len(displaced), 1, 1, displaced.shape[3])) < _DISPLACED_JOINTS
    displaced += joints * rng.normal(0, _DISPLACEMENT, (len(displaced), 2, 1, displaced.shape[3]))
    half = jump.shape[2] // 2
    jump[:, :, half:] += rng.normal(0, _JUMP, (len(jump), 2, 1, 1))
    return normalise(chosen, (1, 1))[0]
