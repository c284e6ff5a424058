"""Runs the measurements one after the other, and writes what is known after each."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import folded_graph, scaling, stgnf_algorithm, targets
from benchmarks.inputs import Inputs, Settings, prepare
from benchmarks.report import write_page
from benchmarks.results import Results
from daflow.core.command_line import require_folder_for, write_json
from daflow.core.errors import InputError
from daflow.core.progress import track
from daflow.model.flow import ModelConfig
from runtime.machine.board import Machine
from runtime.machine.environment import environment
from runtime.profiling.edge import EdgeMeasurement, EdgeRun, measure_edge
from runtime.profiling.profile import ScorerComparison

_LOADERS = 8  # STG-NF's default
_MAX_TRAINING_ROUNDS = 3  # each takes minutes
_ROUND_SECONDS = 60.0  # more than the video takes


def run(
    chosen: Sequence[str],
    settings: Settings,
    folder: Path,
    output: Path,
    bundle: Path | None,
    tracks: tuple[Path, Path, Path] | None,
    video: Path | None,
    pose_model: Path | None,
) -> None:
    """Measure what was chosen.

    Args:
        chosen: fields of `Results`.
        settings: how long.
        folder: for files that are deleted after the run.
        output: where `benchmarks.md`, `benchmarks.json` and `benchmarks-scaling.png` go.
        bundle: as in `prepare`, like the rest.
        tracks: folders of training tracks, test tracks and frame masks.
        video: a recording with people.
        pose_model: the pose model for it.

    Raises:
        InputError: something that was given does not exist.
        CheckFailed: a command of the toolkit failed.
    """
    for path in (bundle, *(tracks or ()), video, pose_model):
        if path is not None and not path.exists():
            raise InputError(f"There is no {path}.")
    require_folder_for(output / "benchmarks.json")
    facts = environment(Machine())
    facts["packages"] = {**facts["packages"], "torch": torch.__version__}
    about: dict[str, Any] = {
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "environment": facts,
        "quick": settings.quick,
        "rounds": settings.rounds,
        "chosen": list(chosen),
    }
    began = time.monotonic()
    click.echo("preparing the inputs", err=True)
    inputs = prepare(folder, settings, bundle, tracks, video, pose_model)
    about["data"] = "generated" if inputs.generated else "given"
    results = Results()
    for number, name in enumerate(chosen, start=1):
        click.echo(f"[{number}/{len(chosen)}] {name}, after {time.monotonic() - began:.0f} s", err=True)
        setattr(results, name, MEASUREMENTS[name](inputs, settings, results))
        about |= {
            "load_after": environment(Machine())["load"],
            "seconds": round(time.monotonic() - began, 1),
        }
        write_json(str(output / "benchmarks.json"), {**about, **results.as_json()})
        write_page(output, results, about)
    click.echo(f"{output / 'benchmarks.md'}: the page; {output / 'benchmarks.json'}: all figures")


def measure_video(inputs: Inputs, settings: Settings) -> EdgeMeasurement | None:
    """Run the whole edge on the video, and pose estimation alone beside it; None without a video or a pose model."""
    if inputs.video is None or inputs.pose_model is None:
        return None
    run = EdgeRun(inputs.bundle, str(inputs.video), "onnxruntime", {"pose_model": str(inputs.pose_model)})
    rounds = 1 if settings.quick else 4 * settings.rounds  # a short video is noisy
    return measure_edge(
        run, rounds * _ROUND_SECONDS, rounds, lambda numbers: track(numbers, "rounds of the edge")
    )


def _training(inputs: Inputs, settings: Settings, _: Results) -> stgnf_algorithm.SpeedComparison:
    rounds, loaders = min(settings.rounds, _MAX_TRAINING_ROUNDS), 0 if settings.quick else _LOADERS
    return stgnf_algorithm.measure(inputs.train, inputs.test, inputs.masks, rounds, loaders)


def _forms(inputs: Inputs, settings: Settings, _: Results) -> dict[str, ScorerComparison]:
    timed = {}
    for name, config in (("DA-Flow", ModelConfig()), ("STG-NF block", ModelConfig(block="tcn"))):
        forms = folded_graph.forms_of(folded_graph.untrained(config), inputs.folder / name)
        timed[name] = folded_graph.measure(forms, config.window, settings)
    return timed


MEASUREMENTS: dict[str, Callable[[Inputs, Settings, Results], object]] = {
    "edge": lambda inputs, settings, _: measure_video(inputs, settings),
    "targets": lambda inputs, settings, results: targets.measure(inputs, settings, results.edge),
    "forms": _forms,
    "scaling": lambda inputs, settings, _: scaling.measure(inputs, settings),
    "training": _training,
}
"""In their order: the targets need the edge, and the longest comes last."""
