"""Does the memory of the edge stay the same while people come and go? Every allocation is counted.

    python -m benchmarks.allocations --bundle bundle/ [--first 2000] [--last 10000]

It is a process of its own, so that nothing else allocates.
"""

from __future__ import annotations

import gc
import json
import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import read_bundle
from daflow.core.command_line import FOLDER, Command
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
_LAPS = 256  # fewer than the edge's own clock keeps, so that it is full before the first look


def traced_bytes(bundle: Path, looks: tuple[int, int]) -> list[int]:
    """Return the bytes that are allocated after so many frames."""
    with OnnxScorer(read_bundle(bundle).graph("fp32")) as scorer:
        pipeline = CameraPipeline(
            scorer, PeopleFinder(None, DEFAULT_FPS), AlarmRule(math.inf, math.inf), LENGTH, MAX_MISSING,
            StageClock(_LAPS),
        )  # fmt: skip
        with synthetic_source(f"frames={_PIECE},people={_PEOPLE},event=none,seed=2") as source:
            piece = list(source)
        traced = []
        tracemalloc.start()
        try:
            for number, frame in enumerate(_stream(piece, looks[-1]), start=1):
                pipeline.process(frame)
                if number in looks:
                    gc.collect()
                    traced.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    return traced


def _stream(piece: list[Frame], frames: int) -> Iterator[Frame]:
    """Show the same piece again and again, each time with people of new numbers."""
    for index in range(frames):
        frame = piece[index % _PIECE]
        first = index // _PIECE * _PEOPLE
        people = {first + person: pose for person, pose in (frame.people or {}).items()}
        yield replace(frame, index=index, time=index / 25, people=people)


@click.command(cls=Command)
@click.option("--bundle", type=FOLDER, required=True, help="The bundle to run.")
@click.option("--first", default=2000, type=click.IntRange(1000), help="Frames before the first look.")
@click.option("--last", default=10_000, type=click.IntRange(2000), help="Frames before the last look.")
def main(bundle: Path, first: int, last: int) -> None:
    """Print, as JSON, the bytes that are allocated after so many frames and after so many more."""
    click.echo(json.dumps(traced_bytes(bundle, (first, last))))


if __name__ == "__main__":
    main()
