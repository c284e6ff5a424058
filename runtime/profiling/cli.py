"""The command `daflow-profile`: where the time of a frame goes on this machine, and whether it became slower."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from daflow.core.bundle import read_bundle
from daflow.core.command_line import (
    FILE,
    FOLDER,
    Command,
    CommandWithSubcommands,
    FiniteRange,
    json_option,
    require_folder_for,
    version_option,
    write_json,
)
from daflow.core.errors import CheckFailed
from daflow.core.files import write_text
from daflow.core.shipped import bundle_or_default
from runtime.config.options import camera_options, people_options, refuse_secrets
from runtime.profiling.compare import compare, machine_differences, other_differences, to_json
from runtime.profiling.edge import EdgeRun
from runtime.profiling.page import profile_page
from runtime.profiling.profile import read_profile
from runtime.profiling.run import Request, take_profile
from runtime.profiling.text import changes_text, profile_text
from runtime.scorers.registry import PRECISIONS, SCORERS

_WIDTH = 120  # where the terminal's width is unknown


@click.command(cls=CommandWithSubcommands)
@click.option(
    "--bundle", "folder", type=FOLDER, help="The bundle to profile.  [default: the model of the package]"
)
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    type=click.Choice((*SCORERS, "all")),
    help="What to measure alone; may be repeated. The first also runs the edge.  "
    "[default: all that run here]",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(PRECISIONS[1:]),
    help="Which graphs to measure alone; may be repeated.  [default: all of the bundle]",
)
@click.option(
    "--batch", "batches", default="1,2,4,8,16,32", help="Numbers of windows in a call of the scorer alone."
)
@click.option(
    "--source",
    "uri",
    default="synthetic:people=3",
    metavar="SRC",
    help="What to run the edge on, as in daflow-edge.",
)
@click.option(
    "--seconds",
    default=10.0,
    type=FiniteRange(0.1, 3600),
    help="How long each part is measured: the scorers, the edge at full speed, the pose estimator alone, and the edge "
    "at the source's pace.",
)
@click.option(
    "--rounds",
    default=10,
    type=click.IntRange(4, 1000),
    help="Turns of the scorers; the edge has half as many.",
)
@click.option(
    "--baseline",
    metavar="NAME",
    help="Scorer that the others are compared with, such as 'onnxruntime fp32'.  [default: the first]",
)
@json_option("everything")
@click.option("--report", type=FILE, help="Also write a page with the distributions to this HTML file.")
@camera_options
@version_option()
def main(
    folder: Path | None, scorers: tuple[str, ...], precisions: tuple[str, ...], batches: str,
    uri: str, seconds: float, rounds: int, baseline: str | None, json_target: str | None, report: Path | None,
    **values: str | None,
) -> None:  # fmt: skip
    """Measure what the scorers, the whole edge and its start cost on this machine.

    'daflow-profile compare BEFORE AFTER' compares two profiles that were saved with --json.
    """
    sizes = _batch_sizes(batches)
    for path in (report, Path(json_target) if json_target and json_target != "-" else None):
        if path:
            require_folder_for(path)
    refuse_secrets([uri])
    folder = bundle_or_default(folder)
    bundle = read_bundle(folder)
    names = tuple(name for name in scorers if name != "all")
    options = people_options(values).model_dump(exclude_unset=True, mode="json")
    run = EdgeRun(folder.absolute(), uri, names[0] if names else "onnxruntime", options)
    profile = take_profile(bundle, Request(run, names, precisions, sizes, seconds, rounds, baseline))
    if json_target:
        write_json(json_target, profile.as_json())
    if report:
        write_text(report, profile_page(profile))
    if json_target != "-":
        width = shutil.get_terminal_size((_WIDTH, 24)).columns
        for line in profile_text(profile, width):
            click.echo(line)


@click.command("compare", cls=Command)
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option(
    "--tolerance",
    default=0.1,
    type=FiniteRange(0, 10),
    help="Fraction by which a figure may be worse before it counts.",
)
@click.option("--anyway", is_flag=True, help="Compare profiles of different machines or power modes too.")
@json_option("the verdict")
def compare_command(
    before: Path, after: Path, tolerance: float, anyway: bool, json_target: str | None
) -> None:
    """Compare two profiles, BEFORE and AFTER; the exit code is 1 when something became slower.

    A figure is slower when its median over the rounds grew by more than the tolerance, the interquartile ranges do not
    overlap, and both still hold after normalization: each profile is divided by its time for a reference workload,
    fixed work that was timed in the same rounds. So a machine that was slower as a whole is not a regression.
    """
    first, second = read_profile(before), read_profile(after)
    different = machine_differences(first, second)
    if different and not anyway:
        raise click.UsageError(
            f"The profiles are of different machines or power modes ({'; '.join(different)}), so their times are not "
            "comparable. Measure both on the same machine in the same state, or give --anyway."
        )
    notes = [*different, *other_differences(first, second)]
    changes = compare(first, second, tolerance)
    if json_target:
        write_json(json_target, to_json(changes, tolerance, notes))
    if json_target != "-":
        for note in notes:
            click.echo(f"different: {note}")
        for line in changes_text(changes, tolerance):
            click.echo(line)
    slower = [change.name for change in changes if change.state == "slower"]
    if slower:
        raise CheckFailed(f"Slower: {', '.join(slower)}.")


main.add(compare_command)


def _batch_sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if not all(1 <= size <= 4096 for size in sizes):
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 1,8,32.", param_hint="--batch")
    return sorted(set(sizes))
