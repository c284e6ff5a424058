"""What the edge costs on top of its pose estimation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

import numpy as np

from daflow.core.errors import InputError
from runtime.config.schema import Camera
from runtime.poses.estimators import open_estimator
from runtime.profiling.profile import Overhead
from runtime.sources.redaction import redacted
from runtime.sources.uri import open_source

WARM_UP_FRAMES = 10
"""In these, caches and MediaPipe's detector settle; they do not count."""
_MIN_FRAMES = 3


def run_pose_only(source_uri: str, options: Camera, seconds: float) -> tuple[list[float], list[float]]:
    """Read pictures and estimate poses, and nothing else; return the seconds of each frame by clock and processor.

    Raises:
        InputError: the source or the model cannot be opened, or the source is too short.
    """
    wall, used = [], []
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(source_uri))
        estimator = stack.enter_context(contextlib.closing(open_estimator(options)))
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


def compare_with_pose_only(
    alone: Sequence[Sequence[float]],
    alone_processor: Sequence[Sequence[float]],
    steps: Sequence[Sequence[float]],
    processor: Sequence[Sequence[float]],
    totals: Mapping[str, float],
    handed_over: float,
) -> Overhead:
    """Say by how much a frame of the edge takes longer than reading and pose estimation alone.

    Args:
        alone: seconds of each frame of reading and pose estimation alone, by round.
        alone_processor: the same in processor time.
        steps: seconds from result to result of the edge, by round.
        processor: the same in processor time.
        totals: seconds of each stage of the edge in all.
        handed_over: seconds in all that the camera's thread took to hand its windows over.
    """
    by_clock = [float(np.median(e) / np.median(p)) - 1 for e, p in zip(steps, alone, strict=True)]
    by_processor = [
        float(np.mean(e) / np.mean(p)) - 1 for e, p in zip(processor, alone_processor, strict=True)
    ]
    poses = totals.get("capture", 0.0) + totals["pose"]
    camera = sum(totals.get(stage, 0.0) for stage in ("track", "window")) + handed_over
    return Overhead(
        by_camera=camera / poses,
        by_stages=sum(totals.values()) / poses - 1,
        by_clock=float(np.median(by_clock)),
        by_processor=float(np.median(by_processor)),
        rounds_by_clock=by_clock,
        rounds_by_processor=by_processor,
    )


def too_short(source: str) -> InputError:
    """The error of a source that ends before it can be measured."""
    return InputError(
        f"{redacted(source)} is too short to measure: it needs at least {WARM_UP_FRAMES + _MIN_FRAMES} frames."
    )
