"""The cold start: from the start of a process to its first score, in fresh processes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from daflow.core.errors import InputError
from daflow.core.programs import python_module
from runtime.profiling.edge import NO_ALARM, EdgeRun
from runtime.profiling.profile import ColdStart, ColdStarts
from runtime.profiling.statistics import Timing, summarize
from runtime.profiling.timing import Progress
from runtime.sources.redaction import redacted

_TIMEOUT_S = 120.0
_MAX_FRAMES = 2000


def measure_cold_start(run: EdgeRun, rounds: int, progress: Progress = iter) -> ColdStarts:
    """Start the edge in a new process several times, always without pose estimation, and with it where it is needed.

    A recording is read at full speed; a camera takes a second more for the first 24 poses.

    Raises:
        InputError: the edge does not start; the message is the one of its process.
    """
    plain = EdgeRun(run.bundle, "synthetic:people=1,event=none", run.scorer, {})
    without_poses: list[dict[str, Any]] = []
    with_poses: list[dict[str, Any]] = []
    for _ in progress(range(rounds)):
        without_poses.append(_start(plain))
        if run.poses and not run.live:
            with_poses.append(_start(run))
    return ColdStarts(
        without_poses=_summary(without_poses), with_poses=_summary(with_poses) if with_poses else None
    )


def _start(run: EdgeRun) -> dict[str, Any]:
    # Only what was set: a written default would count as set, and a camera's own threshold of None would win.
    config = run.config(NO_ALARM, max_frames=_MAX_FRAMES).model_dump_json(exclude_unset=True)
    command = python_module("runtime.profiling.first_score", config, repr(time.monotonic()))
    failed = f"The edge does not start with {redacted(run.source)} in a new process"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{failed}: it had no score after {_TIMEOUT_S:.0f} s.") from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        lines = done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode}"]
        raise InputError(f"{failed}: {lines[-1]}") from None
    if "error" in answer:
        raise InputError(f"{failed}: {answer['error']}")
    return answer


def _summary(starts: Sequence[dict[str, Any]]) -> ColdStart:
    def timing(step: str) -> Timing | None:
        values = [start[step] for start in starts if start.get(step) is not None]
        return summarize([[value] for value in values]) if values else None

    return ColdStart(
        python=timing("python_s"), imported=timing("import_s"), open=timing("open_s"), frame=timing("frame_s"),
        score=timing("score_s"), processor=timing("processor_s"),
        memory_mb=[start["memory_mb"] for start in starts if start["memory_mb"] is not None] or None,
    )  # fmt: skip
