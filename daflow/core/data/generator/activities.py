"""What people do all day: walk, stand, sit down and get up, bend, reach, carry, and drive a wheelchair.

A life is a list of postures and the times at which somebody turns to them. All numbers were chosen by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from daflow.core.data.generator.body import STAND, Array, Build, Posture, ramp, skeleton

Life = Literal["passer-by", "visitor", "sitter", "wheelchair"]

_SITTING = {"hip": 1.4, "seat": 1.4}


@dataclass(frozen=True)
class Turn:
    """Somebody turns to a posture.

    Attributes:
        at: seconds from the start of the clip.
        seconds: how long it takes.
        posture: the posture.
        looks: how far somebody who stays looks around meanwhile, radians.
    """

    at: float
    seconds: float
    posture: Posture
    looks: float = 0.0


def random_build(rng: np.random.Generator) -> Build:
    """Draw an adult, or one time in eight a child, whose legs are shorter for its height."""
    if rng.random() < 0.125:
        return Build(
            height=rng.uniform(0.95, 1.4),
            thigh=0.225,
            shank=0.225,
            trunk=0.31,
            hips=0.06,
            shoulders=rng.uniform(0.11, 0.125),
        )
    return Build(
        height=rng.uniform(1.5, 1.95), shoulders=rng.uniform(0.1, 0.125), hips=rng.uniform(0.05, 0.06)
    )


def walking(rng: np.random.Generator, build: Build) -> Posture:
    """Draw a walk, from a shuffle to a hurry; the steps grow with the speed, and some carry something."""
    speed = float(np.clip(rng.lognormal(0.05, 0.35), 0.35, 1.9))
    pace = np.sqrt(speed / 1.2)
    walk = Posture(
        speed=speed,
        stride=rng.uniform(0.75, 0.88) * build.height * pace,
        thigh=rng.uniform(0.36, 0.46) * pace,
        knee=rng.uniform(0.75, 1.05) * pace,
        arm=rng.uniform(0.15, 0.45) * pace,
        elbow=rng.uniform(0.1, 0.45),
        lean=rng.uniform(0.0, 0.14),
    )
    return _carrying(rng, walk)


def _carrying(rng: np.random.Generator, walk: Posture) -> Posture:
    what = rng.random()
    if what < 0.15:  # something in front of the body, or a trolley
        raised, bent = rng.uniform(0.1, 0.8), rng.uniform(0.5, 1.2)
        return replace(walk, arm=0.02, left_arm=raised, right_arm=raised, left_elbow=bent, right_elbow=bent)
    if what < 0.3:  # a telephone, or a bag on an arm
        return replace(walk, arm=0.1, left_arm=rng.uniform(0.0, 0.6), left_elbow=rng.uniform(0.8, 2.0))
    return walk


def standing(rng: np.random.Generator) -> Posture:
    """Draw how somebody stands: arms down, crossed, at a telephone, or reaching up to a shelf."""
    stand = replace(
        STAND, lean=rng.normal(0.05, 0.05), elbow=rng.uniform(0.1, 0.4), apart=rng.uniform(0, 0.3)
    )
    what = rng.random()
    if what < 0.2:
        return replace(stand, left_arm=0.35, right_arm=0.35, left_elbow=1.2, right_elbow=1.2)
    if what < 0.4:
        return replace(stand, left_arm=rng.uniform(0.2, 0.9), left_elbow=rng.uniform(1.0, 2.0))
    if what < 0.5:
        return replace(stand, right_arm=rng.uniform(1.2, 2.5), right_elbow=rng.uniform(0.0, 0.5))
    return stand


def bending(rng: np.random.Generator) -> Posture:
    """Draw how somebody reaches down: with the back, or half by crouching."""
    crouched = rng.random() * (rng.random() < 0.4)
    down = rng.uniform(0.1, 0.5)
    return replace(
        STAND,
        lean=rng.uniform(0.7, 1.3) * (1 - 0.5 * crouched),
        hip=0.1 + 1.2 * crouched,
        seat=0.15 + 1.8 * crouched,
        left_arm=down,
        right_arm=down + rng.uniform(0, 0.4),
    )


def sitting(rng: np.random.Generator) -> Posture:
    """Draw how somebody sits: the hands in the lap, on a table or at a telephone."""
    raised, bent = rng.uniform(0.2, 0.9), rng.uniform(0.3, 1.2)
    lean = rng.normal(0.05, 0.13)
    return replace(
        STAND, lean=lean, left_arm=raised, right_arm=raised, left_elbow=bent, right_elbow=bent, **_SITTING
    )


def driving(rng: np.random.Generator) -> Posture:
    """Draw how somebody drives a wheelchair; a cycle of the phase is a push of both hands."""
    speed = rng.uniform(0.5, 1.3)
    return Posture(
        speed=speed, stride=rng.uniform(0.9, 1.4) * speed, thigh=0.0, knee=0.0, arm=rng.uniform(0.1, 0.35),
        elbow=rng.uniform(0.7, 1.2), lean=rng.uniform(0.0, 0.2), **_SITTING,
    )  # fmt: skip


def live(rng: np.random.Generator, life: Life, seconds: float, build: Build) -> list[Turn]:
    """Draw what somebody does for so many seconds."""
    if life == "wheelchair":
        first, rest = driving(rng), replace(driving(rng), speed=0.0, arm=0.03)
    else:
        first, rest = walking(rng, build), standing(rng)
    turns = [Turn(-2.0, 1.0, first if rng.random() < 0.7 else rest)]
    at = rng.uniform(1, 10)
    while at < seconds:
        turns += [
            Turn(each.at + at, each.seconds, each.posture, each.looks)
            for each in _break(rng, life, first, rest, build)
        ]
        at = turns[-1].at + turns[-1].seconds + rng.uniform(3, 12)
    return turns


def _break(rng: np.random.Generator, life: Life, first: Posture, rest: Posture, build: Build) -> list[Turn]:
    """Draw what interrupts a walk, and the walk after it; times count from its start."""
    stays, looks = rng.uniform(1, 12), rng.normal(0, 0.8)
    begin, walk = rng.uniform(0.5, 1.2), rng.uniform(0.6, 1.2)
    if life == "wheelchair":
        return [Turn(0, begin, rest, looks), Turn(begin + stays, walk, first)]
    rest = standing(rng)
    again = walking(rng, build)
    if life == "passer-by":
        return [Turn(0, begin, rest, looks), Turn(begin + stays, walk, again)]
    down = rng.uniform(1.0, 2.2)
    if life == "sitter":
        sits = rng.uniform(4, 20)
        other = sitting(rng)
        return [
            Turn(0, begin, rest, np.pi * rng.uniform(-1, 1)),
            Turn(begin + 0.5, down, sitting(rng), 0.0),
            Turn(begin + down + sits / 2, rng.uniform(1, 3), other, 0.0),
            Turn(begin + down + sits + 3, rng.uniform(1.0, 2.0), standing(rng), looks),
            Turn(begin + 2 * down + sits + 5, walk, again),
        ]
    return [
        Turn(0, begin, rest, looks),
        Turn(begin + stays / 2, rng.uniform(0.8, 1.6), bending(rng), 0.0),
        Turn(begin + stays / 2 + rng.uniform(1.5, 4), rng.uniform(0.8, 1.6), standing(rng), looks),
        Turn(begin + stays + 6, walk, again),
    ]


def posture_over(turns: Sequence[Turn], time: Array) -> tuple[Posture, Array]:
    """Return the posture at `time` `(frames,)`, and how far somebody looks to the side of the way, radians."""
    posture, looks = STAND, np.zeros_like(time)
    for turn in turns:
        weight = ramp(time, turn.at, turn.seconds)
        posture = posture.towards(turn.posture, weight)
        looks = (1 - weight) * looks + weight * turn.looks
    return posture, looks


def restless(rng: np.random.Generator, time: Array, posture: Posture) -> Posture:
    """Add the small slow movements of somebody who is alive."""

    def sway(size: float) -> Array:
        waves = rng.uniform(0.3, 6, 3)
        return np.asarray(size * np.sin(time[:, None] * waves + rng.uniform(0, 6, 3)).mean(axis=1))

    size = rng.lognormal(0, 0.5)
    return replace(
        posture,
        lean=posture.lean + sway(0.05 * size),
        left_arm=posture.left_arm + sway(0.12 * size),
        right_arm=posture.right_arm + sway(0.12 * size),
        left_elbow=posture.left_elbow + sway(0.15 * size),
        right_elbow=posture.right_elbow + sway(0.15 * size),
    )


def moving_body(rng: np.random.Generator, posture: Posture, fps: float, frames: int, build: Build) -> Array:
    """Return the joints `(frames, 17, 3)` of a body, as `skeleton`; who sits down leaves the feet in place."""
    phase = rng.uniform(0, 2 * np.pi) + np.cumsum(
        np.broadcast_to(2 * np.pi * posture.speed / posture.stride, (frames,)) / fps
    )
    body = skeleton(posture, phase, build)
    planted = np.clip(np.broadcast_to(posture.hip, (frames,)) / _SITTING["hip"], 0, 1)
    body[..., 0] -= (planted * body[:, 15:17, 0].mean(axis=1))[:, None]
    return body
