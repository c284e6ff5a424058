"""The command `daflow evaluate`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daflow.benchmarks import BENCHMARKS, Benchmark, open_benchmark
from daflow.command import FILE, FOLDER, Command, frame_size_option, require_folder_for, write_json
from daflow.comparison import PRECISIONS, Precision
from daflow.errors import InputError
from daflow.files import write_text
from daflow.masks import read_masks
from daflow.tracks import FRAME_SIZES, FrameSize, read_clips
from daflow.windows import LENGTH, STGNF_FRAME_SIZE, make_windows

if TYPE_CHECKING:
    from daflow.evaluation import Evaluation


@click.command(cls=Command)
@click.option("--poses", type=FOLDER, help="Folder of pose tracks.")
@click.option(
    "--masks", type=FOLDER, help="Folder of frame masks <clip>.npy: 1 abnormal, 0 normal, -1 ignored."
)
@click.option(
    "--benchmark",
    "name",
    type=click.Choice(list(BENCHMARKS)),
    help="Instead of --poses: a benchmark in --root, with its clip list and the paper's settings. For ubnormal-hr and "
    "ped2 no list of frames is published: give masks with -1 where frames are to be ignored.",
)
@click.option(
    "--root", type=FOLDER, help="Folder of the benchmark: pose/test and gt, as in STG-NF's repository."
)
@click.option(
    "--model",
    required=True,
    help="A checkpoint, a bundle (scored through its exported graph), or 'untrained'.",
)
@click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", help="The graph of a bundle.")
@click.option("--seed", default=0, help="Seed of the weights of 'untrained'.")
@click.option(
    "--protocol",
    type=click.Choice(["daflow", "stgnf"]),
    default="daflow",
    help="How windows are cut: as everywhere in this toolkit, or exactly as STG-NF's code does it (856x480 for every "
    "video unless --frame-size is given, its rule for missing frames, the last window of a track left out).",
)
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Also write the figures as JSON; - is standard output.",
)
@click.option(
    "--report",
    type=FILE,
    metavar="FILE.html",
    help="Also write a page: ROC and PR curves, the score over time of each clip, the worst mistakes as skeletons.",
)
@frame_size_option
def evaluate(
    poses: Path | None, masks: Path | None, name: str | None, root: Path | None, model: str, precision: Precision,
    seed: int, protocol: str, json_target: str | None, report: Path | None, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Judge a model by frame-level ROC AUC against frame masks, per clip and over all."""
    from daflow.evaluation import evaluate as judge
    from daflow.judged import open_judged

    began = time.monotonic()
    if report:
        require_folder_for(report)
    benchmark = BENCHMARKS[name] if name else None
    if benchmark and root and not poses:
        data = open_benchmark(benchmark, root, masks)
        poses, labels, without_poses = data.poses, data.masks, data.without_poses
    elif poses and masks and not benchmark and not root:
        labels, without_poses = read_masks(masks), ()
    else:
        raise InputError("Give --poses and --masks, or --benchmark and --root.")
    judged = open_judged(model, precision, seed, benchmark.window if benchmark else LENGTH)
    stgnf = protocol == "stgnf"
    broken: list[str] = []
    clips = read_clips(
        poses, frame_size or (STGNF_FRAME_SIZE if stgnf else _frame_size_of(benchmark, poses)), broken
    )
    if benchmark:
        clips = [clip for clip in clips if clip.name not in benchmark.excluded]
    windows = make_windows(clips, judged.window, rule="stgnf" if stgnf else "span")
    if not len(windows):
        raise InputError(f"{poses} gives no window of {judged.window} poses: {windows.left_out()}.")
    nll = judged.score(windows.poses)
    result = judge(nll, windows, clips, labels, judged.window)
    if report:
        from daflow.evaluation_report import evaluation_page

        write_text(report, evaluation_page(result, nll, windows, clips, labels, judged.name))
    if json_target:
        facts = {"model": judged.name, "protocol": protocol, "broken_files": len(broken)}
        if benchmark:
            published = dict(benchmark.published)
            facts |= {"benchmark": name, "without_poses": list(without_poses), "published": published}
        write_json(json_target, {**facts, **result.as_dict()})
    if json_target == "-":
        return
    _print_table(result)
    unread = f"{len(broken)} files could not be read" if broken else ""
    counts = ", ".join(filter(None, [f"{result.windows} windows", windows.left_out(), unread]))
    click.echo(f"{judged.name}: {counts}, {time.monotonic() - began:.1f} s; figures in %")
    if benchmark:
        click.echo(_beside_the_paper(benchmark, result.micro.auc, judged.window))


def _print_table(result: Evaluation) -> None:
    click.echo(f"{'clip':<24}{'AUC':>8}{'AUC-PR':>8}{'EER':>8}{'frames':>9}{'abnormal':>10}")
    for clip, figures in [*result.clips.items(), ("all frames (micro)", result.micro)]:
        values = "".join(
            f"{'-' if v is None else f'{100 * v:.2f}':>8}" for v in (figures.auc, figures.auc_pr, figures.eer)
        )
        click.echo(f"{clip:<24}{values}{figures.frames:>9}{figures.abnormal:>10}")
    macro = "-" if result.macro_auc is None else f"{100 * result.macro_auc:.2f}"
    click.echo(f"{'mean of clips (macro)':<24}{macro:>8}")


def _frame_size_of(benchmark: Benchmark | None, poses: Path) -> FrameSize | None:
    """The frame size of a benchmark's videos, unless the tracks come with their own."""
    return None if benchmark is None or (poses / FRAME_SIZES).exists() else benchmark.frame_size


def _beside_the_paper(benchmark: Benchmark, auc: float | None, window: int) -> str:
    measured = "-" if auc is None else f"{100 * auc:.1f}"
    published = ", ".join(f"{method} {figure}" for method, figure in benchmark.published) or "none known"
    text = f"{benchmark.title}: measured {measured} %; published: {published}"
    if window != benchmark.window:
        text += f". The paper's windows have {benchmark.window} poses here, this model's {window}"
    return text
