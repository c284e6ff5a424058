"""How many bytes stay allocated while people come and go? `tracemalloc` counts every allocation.

`python -m benchmarks.allocations BUNDLE FIRST LAST` prints, as JSON, the allocated bytes after FIRST and LAST frames.
It is a process of its own, so that nothing else allocates.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import read_bundle
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.data.windows import LENGTH, MAX_MISSING
from daflow.core.scoring.onnx import OnnxScorer
from runtime.pipeline.camera_pipeline import CameraPipeline
from runtime.poses.people import PeopleFinder
from runtime.sources.frames import Frame
from runtime.sources.synthetic import synthetic_source
from runtime.stage_clock import StageClock

_PEOPLE = 3
_PIECE = 500  # frames after which others come
_CLOCK_CAPACITY = 256  # small, so that the edge's own clock is full before the first count


def allocated_bytes(bundle: Path, counted: tuple[int, int]) -> list[int]:
    """Return the bytes that are allocated after so many frames."""
    with OnnxScorer(read_bundle(bundle).graph("fp32")) as scorer:
        people, rule = PeopleFinder(None, DEFAULT_FPS), AlarmRule(math.inf, math.inf)
        pipeline = CameraPipeline(scorer, people, rule, LENGTH, MAX_MISSING, StageClock(_CLOCK_CAPACITY))
        with synthetic_source(f"frames={_PIECE},people={_PEOPLE},event=none,seed=2") as source:
            piece = list(source)
        counts = []
        tracemalloc.start()
        try:
            for number, frame in enumerate(_stream(piece, counted[-1]), start=1):
                pipeline.process(frame)
                if number in counted:
                    gc.collect()
                    counts.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    return counts


def _stream(piece: list[Frame], frames: int) -> Iterator[Frame]:
    """Repeat the same piece, each time with people of new numbers."""
    for index in range(frames):
        frame = piece[index % _PIECE]
        first = index // _PIECE * _PEOPLE
        people = {first + person: pose for person, pose in (frame.people or {}).items()}
        yield replace(frame, index=index, time=index / DEFAULT_FPS, people=people)


if __name__ == "__main__":
    bundle, first, last = sys.argv[1:]
    sys.stdout.write(json.dumps(allocated_bytes(Path(bundle), (int(first), int(last)))))
