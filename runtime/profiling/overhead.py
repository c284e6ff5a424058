"""What the edge costs on top of its pose estimation, which is the budget."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daflow.core.errors import InputError
from runtime.config.schema import Camera
from runtime.poses.estimators import PoseEstimator, open_estimator
from runtime.poses.person_crops import PersonCrops
from runtime.sources.uri import open_source

WARM_UP_FRAMES = 10
_MIN_FRAMES = 3


def pose_only(source_uri: str, options: Camera, seconds: float) -> tuple[list[float], list[float]]:
    """Read pictures and estimate poses, and nothing else; return the seconds of each frame by clock and processor.

    Raises:
        InputError: the source or the model cannot be opened, or the source is too short.
    """
    wall, used = [], []
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(source_uri))
        estimator: PoseEstimator = stack.enter_context(contextlib.closing(open_estimator(options)))
        if options.people == "many":
            estimator = PersonCrops(estimator, source.fps, options.max_people)
        end = float("inf")
        for index, frame in enumerate(source):
            estimator.estimate(frame)
            wall.append(time.perf_counter())
            used.append(time.process_time())
            if index == WARM_UP_FRAMES:
                end = wall[-1] + seconds
            if wall[-1] > end and index >= WARM_UP_FRAMES + _MIN_FRAMES:
                break
    if len(wall) < WARM_UP_FRAMES + _MIN_FRAMES:
        raise too_short(source_uri)
    return np.diff(wall[WARM_UP_FRAMES:]).tolist(), np.diff(used[WARM_UP_FRAMES:]).tolist()


def overhead(
    alone: Sequence[Sequence[float]],
    alone_cpu: Sequence[Sequence[float]],
    steps: Sequence[Sequence[float]],
    cpu: Sequence[Sequence[float]],
    totals: Mapping[str, float],
    handed: float,
) -> dict[str, Any]:
    """By how much a frame of the edge takes longer than reading and pose estimation alone.

    Args:
        alone: seconds of each frame of reading and pose estimation alone, by round.
        alone_cpu: the same in processor time.
        steps: seconds from result to result of the edge, by round.
        cpu: the same in processor time.
        totals: seconds of each stage of the edge in all.
        handed: seconds in all that the camera's thread took to hand its windows over.

    Returns:
        `by_camera`: what the camera's thread does besides, over capture and pose. It is this that lowers the frame
        rate, since scoring runs beside the next frame's poses. `by_stages`: all other stages over capture and pose,
        wherever they run. Both are of the same frames, so noise hits them least. `by_clock` and `by_processor`:
        against a loop of reading and pose estimation in turn with the edge, medians of the rounds, by the time of a
        frame and by the processor time of all threads.
    """
    wall = [float(np.median(e) / np.median(p)) - 1 for e, p in zip(steps, alone, strict=True)]
    used = [float(np.mean(e) / np.mean(p)) - 1 for e, p in zip(cpu, alone_cpu, strict=True)]
    poses = totals.get("capture", 0.0) + totals["pose"]
    camera = sum(totals.get(stage, 0.0) for stage in ("track", "window")) + handed
    return {
        "by_camera": camera / poses,
        "by_stages": sum(totals.values()) / poses - 1,
        "by_clock": float(np.median(wall)),
        "by_processor": float(np.median(used)),
        "rounds_by_clock": wall,
        "rounds_by_processor": used,
    }


def too_short(source: str) -> InputError:
    """The error of a source that ends before it can be measured."""
    return InputError(
        f"{source} is too short to measure: it needs {WARM_UP_FRAMES + _MIN_FRAMES} frames at least."
    )
