"""The command `daflow study`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from daflow.commands.figure_formats import figures_option
from daflow.commands.other_recordings import open_poses
from daflow.commands.ray_cluster import runner, task_options
from daflow.core.command_line import FOLDER, Command, frame_size_option, refuse_options, require_folder_for
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.track_files import absolute
from daflow.core.errors import CheckFailed, InputError, require_packages
from daflow.core.parallel import Runner
from daflow.studies import NAMES, load_study
from daflow.training.options import WINDOW

Folders = tuple[Path, ...]

_OF_SUITE = {"sets", "window"}
_OF_OTHERS = {"poses", "test", "masks", "other_poses", "other_test", "other_masks", "figures"}


@click.command(cls=Command)
@click.argument("name", type=click.Choice([*NAMES, "suite"]), metavar="NAME")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder for NAME.md, .csv, .tex (booktabs), .json and the picture.",
)
@click.option(
    "--poses",
    type=FOLDER,
    multiple=True,
    help="Folder of normal pose tracks to train on; generated people without it. May be repeated.",
)
@click.option(
    "--test", type=FOLDER, multiple=True, help="Folder of pose tracks to evaluate on. May be repeated."
)
@click.option("--masks", type=FOLDER, help="Frame masks of the test tracks.")
@click.option(
    "--other-poses",
    type=FOLDER,
    multiple=True,
    help="cross: normal tracks of B; generated people without it. May be repeated.",
)
@click.option("--other-test", type=FOLDER, multiple=True, help="cross: test tracks of B. May be repeated.")
@click.option("--other-masks", type=FOLDER, help="cross: frame masks of B.")
@click.option(
    "--set",
    "sets",
    type=(str, FOLDER, FOLDER, FOLDER),
    multiple=True,
    metavar="NAME TRAIN TEST LABELS",
    help="suite: a data set: its name, a folder of normal pose tracks, one of test tracks, and their labels (a folder "
    "of frame masks or a CSV file). May be repeated; a generated set is always beside them.",
)
@click.option("--window", default=WINDOW, type=click.IntRange(4, 256), help="suite: poses in a window.")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Seeds of each row.")
@click.option("--epochs", default=16, type=click.IntRange(1), help="Epochs of each training.")
@click.option("--quick", is_flag=True, help="A smoke test: one seed, two epochs, little generated data.")
@click.option("--cache", type=FOLDER, help="Folder of training windows; ~/.cache/daflow/windows without it.")
@figures_option("png", "the picture")
@task_options
@frame_size_option
def study(
    name: str, output: Path, poses: tuple[Path, ...], test: tuple[Path, ...], masks: Path | None,
    other_poses: tuple[Path, ...], other_test: tuple[Path, ...], other_masks: Path | None,
    sets: tuple[tuple[str, Path, Path, Path], ...], window: int, seeds: int, epochs: int, quick: bool,
    cache: Path | None, figures: tuple[str, ...], workers: int | None, ray_address: str | None,
    frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Rerun a claim of the paper: train, evaluate, and write a table, all figures and a picture.

    \b
    untrained            random flows against trained ones
    ablation             without skeleton or frame attention, or neither; STG-NF's convolution
    attention-vs-window  frame attention against fixed windows of several lengths
    noise                joint jitter, missing joints, dropped frames
    frame-rate           slower cameras and devices, with and without sampling at the rate of the training
    contamination        0 to 30 % abnormal windows in training
    cross                train on A, test on B
    autoencoder          the flow against an autoencoder of the same budget
    seeds                mean and spread over seeds
    suite                the flow and the evidence beside it on many data sets (--set), beside scores without a model
    """  # noqa: D301  click's mark for lines that stay
    require_packages({"train": ["torch", "matplotlib"]})
    require_folder_for(output / f"{name}.md")
    for folders in ((poses, test, masks), (other_poses, other_test, other_masks)):
        _require_all_or_none(folders)
    from daflow.studies.report import write_report
    from daflow.studies.runner import Settings, Test, run_study, score_test_without_model

    began = time.monotonic()
    if quick:
        seeds, epochs = 1, 2
    # Its table would look like an answer about what it does not look at.
    if name == "suite":
        refuse_options(
            lambda option: option in _OF_OTHERS, "does not go with the study suite, which takes --set"
        )
        for_suite = [
            (
                title,
                _opened((train,), frame_size, ray_address),
                _opened((test,), frame_size, ray_address),
                labels,
            )
            for title, train, test, labels in sets
        ]
        _suite(
            output, for_suite, seeds, epochs, window, quick, frame_size, cache, runner(workers, ray_address)
        )
        return
    refuse_options(lambda option: option in _OF_SUITE, "is for the study suite alone")
    poses, test, other_poses, other_test = (
        _opened(folders, frame_size, ray_address) for folders in (poses, test, other_poses, other_test)
    )
    train, test_data = _data(output, (poses, test, masks), seed=0, quick=quick)
    settings = Settings(
        train, Test(*test_data), seeds=seeds, epochs=epochs, frame_size=frame_size, cache=cache
    )
    if name == "cross":
        train, test_data = _data(output, (other_poses, other_test, other_masks), seed=1, quick=quick)
        settings = replace(settings, other_train=train, other_test=Test(*test_data))
    chosen = load_study(name)
    results, failed = run_study(chosen, settings, runner(workers, ray_address))
    if not results:
        raise CheckFailed(f"Every trial failed. {failed[0]}")
    click.echo(
        write_report(
            output, name, chosen, settings, results, failed, score_test_without_model(settings),
            _smoke_test(quick, generated=not poses), figures,
        )
    )  # fmt: skip
    written = ", ".join(f".{ending}" for ending in ("csv", "tex", "json", *figures))
    click.echo(f"{output / name}.md, {written}: {len(results)} results in {time.monotonic() - began:.0f} s")
    if failed:
        raise CheckFailed(f"{len(failed)} trials failed; the report lists them.")


def _suite(
    output: Path, sets: Sequence[tuple[str, Folders, Folders, Path]], seeds: int, epochs: int, window: int, quick: bool,
    frame_size: FrameSize | None, cache: Path | None, run: Runner,
) -> None:  # fmt: skip
    from daflow.studies.suite import DataSet, run_suite
    from daflow.studies.suite_report import write_suite

    chosen = [
        DataSet(name, tuple(absolute(train)), tuple(absolute(test)), labels.resolve())
        for name, train, test, labels in sets
    ]
    train, (test, masks) = _data(output, ((), (), None), seed=0, quick=quick)
    chosen.append(DataSet("generated", train, test, masks))
    names = [data.name for data in chosen]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"Two data sets are called {doubled}; each --set needs a name of its own.")
    figures, failed = run_suite(chosen, seeds, epochs, window, frame_size, cache, run)
    if not figures:
        raise CheckFailed(f"Every trial failed. {failed[0]}")
    smoke_test = _smoke_test(quick, generated=not sets)
    click.echo(write_suite(output, figures, names, epochs, window, failed, smoke_test))
    click.echo(f"{output / 'suite.md'}, .csv, .tex and .json: {len(figures)} figures")
    if failed:
        raise CheckFailed(f"{len(failed)} trials failed; the report lists them.")


def _opened(folders: Folders, frame_size: FrameSize | None, ray_address: str | None) -> Folders:
    # A cluster's machines see no temporary folder of this one.
    return open_poses(folders, frame_size) if ray_address is None else folders


def _smoke_test(quick: bool, generated: bool) -> str:
    return f"smoke test{' on generated people' if generated else ''}" if quick else ""


def _require_all_or_none(folders: tuple[Folders, Folders, Path | None]) -> None:
    if any(folders) and not all(folders):
        raise InputError("Give the training tracks, the test tracks and their masks, or none of them.")


def _data(
    output: Path, folders: tuple[Folders, Folders, Path | None], seed: int, quick: bool
) -> tuple[Folders, tuple[Folders, Path]]:
    """Return the training folders, and the test folders with their masks; generate people where none are named."""
    poses, test, masks = folders
    if poses and test and masks:
        return tuple(absolute(poses)), (tuple(absolute(test)), masks.resolve())
    folder = output.resolve() / f"generated-{'quick' if quick else 'full'}-{seed}"
    clips, scene = ((4, 4), Scene(frames=200)) if quick else ((12, 6), Scene(frames=600))
    generate_dataset(folder, seed, *clips, scene)
    return (folder / "train",), ((folder / "test",), folder / "masks")
