"""Runs the measurements one after the other, and writes what is known after each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks import edge, reference, scaling, scorers, targets
from benchmarks.edge import EdgeCost
from benchmarks.environment import environment, load
from benchmarks.material import Material, prepare
from benchmarks.report import write_page
from benchmarks.results import Results
from benchmarks.timing import Effort
from daflow.core.command_line import require_folder_for, write_json
from daflow.core.errors import InputError


def run(
    chosen: Sequence[str],
    effort: Effort,
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
        effort: how long.
        folder: for files that are thrown away.
        output: where `benchmarks.md`, `benchmarks.json` and `benchmarks-*.png` go.
        bundle: as in `prepare`, like the rest.
        tracks: folders of training tracks, test tracks and frame masks.
        video: a recording with people.
        pose_model: what finds them.

    Raises:
        InputError: something that was given is not there.
        CheckFailed: a command of the toolkit failed.
    """
    for path in (bundle, *(tracks or ()), video, pose_model):
        if path is not None and not path.exists():
            raise InputError(f"There is no {path}.")
    require_folder_for(output / "benchmarks.json")
    facts, began = environment(), time.monotonic()
    click.echo(f"making what is measured on; the load of the machine is {facts['load_before'][0]}", err=True)
    material = prepare(folder, effort, bundle, tracks, video, pose_model)
    facts |= {
        "data": "generated" if material.generated else "given",
        "rounds": effort.rounds,
        "quick": effort.quick,
        "chosen": list(chosen),
    }
    results = Results()
    for number, name in enumerate(chosen, start=1):
        click.echo(f"[{number}/{len(chosen)}] {name}, after {time.monotonic() - began:.0f} s", err=True)
        setattr(results, name, _measure(name, material, effort, results))
        facts |= {"load_after": load(), "seconds": round(time.monotonic() - began, 1)}
        write_json(str(output / "benchmarks.json"), {"environment": facts, **results.as_dict()})
        write_page(output, results, facts)
    click.echo(f"{output / 'benchmarks.md'}: the page; {output / 'benchmarks.json'}: all figures")


def _measure(name: str, material: Material, effort: Effort, results: Results) -> object:
    if name == "scorers":
        return scorers.measure(material, effort)
    if name == "reference":
        return reference.measure(material, effort)
    if name == "edge":
        return edge.measure(material, effort)
    if name == "scaling":
        return scaling.measure(material, effort)
    return targets.measure(material, effort, results.edge if isinstance(results.edge, EdgeCost) else None)
