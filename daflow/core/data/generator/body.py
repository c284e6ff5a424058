"""A person in metres: the angles of the limbs over time, and the joints that follow from them.

The lengths of arms and legs are fractions of the body height after Drillis and Contini (1966). All other numbers were
chosen by eye so that the skeletons look like people.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Posture:
    """How somebody moves: a gait, and the angles that it swings around. Each value may be an array over frames.

    Attributes:
        speed: m/s.
        stride: metres that one full cycle of the phase covers.
        thigh, knee, arm: how far they swing, radians.
        elbow: how far both elbows are bent, radians.
        lean: of the trunk, forward, radians.
        hip, seat: how far thighs are raised and knees bent besides the swing, radians.
        left_arm, right_arm: how far each arm is raised besides the swing, radians.
        left_elbow, right_elbow: how far each elbow is bent besides `elbow`, radians.
        apart: how far the arms are held away from the trunk, radians.
    """

    speed: Array | float
    stride: Array | float
    thigh: Array | float
    knee: Array | float
    arm: Array | float
    elbow: Array | float
    lean: Array | float
    hip: Array | float = 0.0
    seat: Array | float = 0.0
    left_arm: Array | float = 0.0
    right_arm: Array | float = 0.0
    left_elbow: Array | float = 0.0
    right_elbow: Array | float = 0.0
    apart: Array | float = 0.0

    def towards(self, other: Posture, weight: Array) -> Posture:
        """Blend into another posture, `weight` 0 to 1 over frames."""
        return Posture(*(
            (1 - weight) * getattr(self, f.name) + weight * getattr(other, f.name) for f in fields(self)
        ))  # fmt: skip


@dataclass(frozen=True)
class Build:
    """How somebody is built: the height in metres, and lengths as fractions of it."""

    height: float
    thigh: float = 0.245
    shank: float = 0.246
    trunk: float = 0.29
    hips: float = 0.055
    shoulders: float = 0.115


STAND = Posture(speed=0.0, stride=1.4, thigh=0.0, knee=0.0, arm=0.05, elbow=0.3, lean=0.05)


def ramp(time: Array, at: float, seconds: float) -> Array:
    """0 before `at`, 1 from `seconds` later on, smooth in between."""
    u = np.clip((time - at) / seconds, 0, 1)
    return u * u * (3 - 2 * u)


def pendulum(angle: Array) -> Array:
    """A unit vector that hangs down at angle 0 and points forward at a right angle."""
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=1)


def skeleton(posture: Posture, phase: Array, build: Build) -> Array:
    """Joints `(frames, 17, 3)` in metres: forward, to the left, up; the lower foot stands on the ground.

    Args:
        posture: over the frames.
        phase: `(frames,)` of the gait, radians.
        build: of the body.
    """
    frames, height = len(phase), build.height
    joints = np.zeros((frames, 17, 3))
    thigh, shank, arm, forearm = build.thigh * height, build.shank * height, 0.186 * height, 0.15 * height
    neck = build.trunk * height
    lean = np.broadcast_to(posture.lean, (frames,))
    spine = np.stack([np.sin(lean), np.zeros(frames), np.cos(lean)], axis=1)
    sides = {
        0: (1, phase, posture.left_arm, posture.left_elbow),
        1: (-1, phase + np.pi, posture.right_arm, posture.right_elbow),
    }
    for index, (side, own, raised, bent) in sides.items():
        hip = np.broadcast_to([0.0, side * build.hips * height, 0.0], (frames, 3))
        swing = posture.hip + posture.thigh * np.sin(own)
        bend = posture.seat + posture.knee * np.maximum(0, np.cos(own)) + 0.08
        joints[:, 11 + index] = hip
        joints[:, 13 + index] = hip + thigh * pendulum(swing)
        joints[:, 15 + index] = joints[:, 13 + index] + shank * pendulum(swing - bend)
        shoulder = neck * spine + [0.0, side * build.shoulders * height, 0.0]
        reach = raised - posture.arm * np.sin(own)
        out = side * np.broadcast_to(0.03 + 0.18 * np.sin(posture.apart), (frames,)) * height
        joints[:, 5 + index] = shoulder
        joints[:, 7 + index] = shoulder + arm * pendulum(reach)
        joints[:, 7 + index, 1] += out
        joints[:, 9 + index] = joints[:, 7 + index] + forearm * pendulum(reach + posture.elbow + bent)
        top = neck + 0.155 * height  # of the eyes; a child's head is as large as an adult's
        joints[:, 1 + index] = top * spine + height * np.array([0.045, side * 0.018, 0])
        joints[:, 3 + index] = (top - 0.01 * height) * spine + height * np.array([0.0, side * 0.042, 0])
    joints[:, 0] = (neck + 0.135 * height) * spine + [0.06 * height, 0, 0]
    lowest = joints[:, 15:17, 2].min(axis=1)
    joints[..., 2] += (0.045 * height - lowest)[:, None]
    return joints


def in_the_world(body: Array, place: Array, heading: Array) -> Array:
    """Put a body `(frames, J, 3)` on the ground: joints to the side, up and away, in metres.

    Args:
        body: joints forward, to the left, up.
        place: `(frames, 2)` where it is, to the side and away.
        heading: `(frames,)` where it looks; at 0 away, at a right angle to the side.
    """
    forward = np.stack([np.sin(heading), np.cos(heading)], axis=1)
    left = np.stack([-np.cos(heading), np.sin(heading)], axis=1)
    ground = place[:, None] + body[..., :1] * forward[:, None] + body[..., 1:2] * left[:, None]
    return np.stack([ground[..., 0], body[..., 2], ground[..., 1]], axis=2)
