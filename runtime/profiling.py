"""The command `daflow-profile`: where the time of a frame goes, on this machine."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from daflow.alarms import AlarmRule
from daflow.bundle import Bundle, read_bundle
from daflow.command import FOLDER, Command, version_option, write_json
from daflow.scorer import Scorer
from runtime.camera import needs_poses
from runtime.clock import STAGES, StageClock
from runtime.config import CameraOptions
from runtime.health import percentiles
from runtime.options import camera_options, people_options
from runtime.people import open_people
from runtime.pipeline import Edge
from runtime.scorers import PRECISIONS, SCORERS, open_scorer
from runtime.sources.uri import open_source

_WARM_UP = 30
_CALLS = 300


@click.command(cls=Command)
@click.option("--bundle", "folder", type=FOLDER, required=True, help="The bundle to profile.")
@click.option(
    "--source",
    "uri",
    default="synthetic:people=3",
    metavar="SRC",
    help="What to run the edge on, as in daflow-edge.",
)
@click.option("--scorer", type=click.Choice(SCORERS), default="onnxruntime", help="What runs the model.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    help="Which graph, as in daflow-edge.",
)
@click.option(
    "--batch", "batches", default="1,8,32", help="Numbers of windows in a call of the scorer alone."
)
@click.option("--max-frames", default=600, type=click.IntRange(1), help="Frames to measure.")
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Also write the figures as JSON; - is standard output.",
)
@camera_options
@version_option()
def main(
    folder: Path, uri: str, scorer: str, precision: str, batches: str, max_frames: int, json_target: str | None,
    **values: str | None,
) -> None:  # fmt: skip
    """Measure the latency of every stage of the edge, and of the scorer alone, in milliseconds."""
    bundle = read_bundle(folder)
    sizes = _batch_sizes(batches)
    with open_scorer(bundle, scorer, precision) as opened:
        alone = {size: _time_scorer(opened, bundle, size) for size in sizes}
        stages = _time_edge(opened, bundle, uri, people_options(values), max_frames)
    report: dict[str, Any] = {
        "scorer": opened.name,
        "source": uri,
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
        "scorer_alone": alone,
        "stages": stages,
    }
    if json_target:
        write_json(json_target, report)
    if json_target == "-":
        return
    machine = f"{os.cpu_count()} x {platform.machine()}"
    click.echo(f"{opened.name} on {machine}; milliseconds")
    click.echo(f"{'':<22}{'p50':>9}{'p90':>9}{'p99':>9}{'count':>8}")
    for size, row in alone.items():
        _echo_row(f"scorer, {size} windows", row)
    for stage, row in stages.items():
        _echo_row(f"edge: {stage}", row)


def _echo_row(name: str, row: Mapping[str, float]) -> None:
    click.echo(
        f"{name:<22}{row['p50_ms']:>9.3f}{row['p90_ms']:>9.3f}{row['p99_ms']:>9.3f}{row['count']:>8.0f}"
    )


def _batch_sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if not all(1 <= size <= 4096 for size in sizes):
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 1,8,32.", param_hint="--batch")
    return sizes


def _time_scorer(scorer: Scorer, bundle: Bundle, size: int) -> dict[str, float]:
    poses = np.random.default_rng(0).standard_normal((size, 2, bundle.manifest.window, 18)).astype(np.float32)
    clock = StageClock()
    for call in range(_WARM_UP + _CALLS):
        clock.lap("between")
        scorer.score(poses)
        clock.lap("warm-up" if call < _WARM_UP else "score")
    return percentiles(clock.seconds["score"])


def _time_edge(
    scorer: Scorer,
    bundle: Bundle,
    uri: str,
    options: CameraOptions,
    max_frames: int,
) -> dict[str, dict[str, float]]:
    clock = StageClock()
    manifest = bundle.manifest
    never = AlarmRule(math.inf, math.inf)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(uri))
        finder = stack.enter_context(open_people(options, source.fps, needs_poses(uri)))
        edge = Edge(scorer, finder, never, manifest.window, manifest.max_missing, clock)
        whole: list[float] = []
        for frame in _timed(itertools.islice(source, max_frames), clock):
            edge.process(frame)
            whole.append(sum(clock.seconds[stage][-1] for stage in STAGES if clock.seconds.get(stage)))
    rows = {stage: percentiles(clock.seconds[stage]) for stage in STAGES if clock.seconds.get(stage)}
    return {**rows, "whole frame": percentiles(whole)} if whole else rows


def _timed(frames: Iterator[Any], clock: StageClock) -> Iterator[Any]:
    for frame in frames:
        clock.lap("capture")
        yield frame


if __name__ == "__main__":
    main()
