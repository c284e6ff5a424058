"""The cold start: from the start of a process to its first score, in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from daflow.core.errors import InputError
from runtime.profiling.edge import NEVER, EdgeRun
from runtime.profiling.statistics import figure

_TIMEOUT_S = 120.0
STEPS = ("python_s", "import_s", "open_s", "frame_s", "score_s", "processor_s")


def measure_cold_start(
    run: EdgeRun, rounds: int, progress: Callable[[Sequence[int]], Any] = iter
) -> dict[str, Any]:
    """Start the edge anew several times, always without pose estimation, and with it where the source needs it.

    Returns:
        By `without_poses` and `with_poses` (None where there is none): the figures of `python`, `import`, `open`,
        `frame` and `score`, each the time from the start of the process until that is done; `processor`, the processor
        time until the score, which other programs hardly change; and `memory_mb`, the resident memory after the first
        score, of each round. A recording is read as fast as it goes; a camera takes a second more for the first 24
        poses.

    Raises:
        InputError: the edge does not start.
    """
    plain = EdgeRun(run.bundle, "synthetic:people=1,event=none", run.scorer, {})
    found: dict[str, list[dict[str, Any]]] = {"without_poses": [], "with_poses": []}
    for _ in progress(range(rounds)):
        found["without_poses"].append(_start(plain))
        if run.poses and not run.live:
            found["with_poses"].append(_start(run))
    return {kind: _summary(starts) if starts else None for kind, starts in found.items()}


def _start(run: EdgeRun) -> dict[str, Any]:
    config = run.config(NEVER, max_frames=2000).model_dump_json()
    command = [sys.executable, "-m", "runtime.profiling.first_score", config, repr(time.monotonic())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        answer: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        raise InputError(
            f"The edge does not start with {run.source} in a fresh process; try 'daflow-edge' with the same options."
        ) from None
    return answer


def _summary(starts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    steps = {step.removesuffix("_s"): [s[step] for s in starts if s.get(step) is not None] for step in STEPS}
    memory = [start["memory_mb"] for start in starts if start["memory_mb"] is not None]
    return {
        **{step: figure([[value] for value in values]) if values else None for step, values in steps.items()},
        "memory_mb": memory or None,
    }
