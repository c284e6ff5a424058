"""The command `daflow`: train a model on normal behaviour, judge it, and see the whole path run."""

from __future__ import annotations

import time
from pathlib import Path

import click

from daflow.command import (
    FILE,
    FOLDER,
    Command,
    FiniteRange,
    LazyGroup,
    frame_size_option,
    require_folder_for,
    version_option,
    write_json,
)
from daflow.comparison import PRECISIONS, Precision
from daflow.errors import InputError
from daflow.files import write_text
from daflow.synthetic import Scene, generate_dataset
from daflow.tracks import FrameSize, read_clips
from daflow.windows import STGNF_FRAME_SIZE, make_windows


@click.group(
    cls=LazyGroup,
    lazy={
        "demo": "daflow.demo:demo",
        "generate": "daflow.cli:generate",
        "poses": "runtime.poses_command:poses",
        "train": "daflow.cli:train",
        "import-stgnf": "daflow.cli:import_stgnf",
        "evaluate": "daflow.cli:evaluate",
        "models": "runtime.models_cli:models",
    },
)
@version_option()
def main() -> None:
    """Skeleton-based video anomaly detection: train on normal behaviour, judge, and see it run."""


@click.command(cls=Command)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder for train/, test/ and masks/.")
@click.option("--seed", default=0, help="Seed; the same seed gives the same files.")
@click.option("--train-clips", default=12, type=click.IntRange(1), help="Clips of normal walking.")
@click.option("--test-clips", default=6, type=click.IntRange(1), help="Clips with a fall, a run or a fight.")
@click.option("--frames", default=600, type=click.IntRange(48), help="Frames a clip, at 25 a second.")
@click.option("--people", default=2, type=click.IntRange(1, 50), help="People a clip.")
def generate(output: Path, seed: int, train_clips: int, test_clips: int, frames: int, people: int) -> None:
    """Generate pose tracks of walking people, with falls, runs and fights in the test clips."""
    generate_dataset(output, seed, train_clips, test_clips, Scene(frames=frames, people=people))
    click.echo(f"{output}: {train_clips} normal clips in train, {test_clips} in test with masks")


@click.command(cls=Command)
@click.option("--poses", type=FOLDER, required=True, help="Folder of pose tracks of normal behaviour.")
@click.option("-o", "--output", type=FILE, required=True, help="The checkpoint to write.")
@click.option("--epochs", default=16, type=click.IntRange(1), help="Passes over the windows.")
@click.option("--batch-size", default=32, type=click.IntRange(2), help="Windows in a step.")
@click.option(
    "--lr",
    default=5e-4,
    type=FiniteRange(0, min_open=True),
    help="Learning rate of Adamax; times 0.99 after each epoch.",
)
@click.option("--seed", default=0, help="Seed of the weights and of the order of windows.")
@click.option("--stride", default=6, type=click.IntRange(1), help="Poses between the starts of windows.")
@click.option("--augment/--no-augment", default=True, help="Whether windows are also seen mirrored.")
@click.option("--window", default=24, type=click.IntRange(4, 256), help="Poses in a window.")
@click.option(
    "--block",
    type=click.Choice(["dam", "tcn"]),
    default="dam",
    help="Coupling block: the dual attention of DA-Flow or the temporal convolution of STG-NF.",
)
@click.option("--device", default="cpu", help="Where torch trains: cpu, cuda, cuda:1.")
@frame_size_option
def train(
    poses: Path, output: Path, epochs: int, batch_size: int, lr: float, seed: int, stride: int, augment: bool,
    window: int, block: str, device: str, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Train a model on pose tracks of normal behaviour; no anomaly is needed."""
    clips = read_clips(poses, frame_size)
    windows = make_windows(clips, window, stride)
    if len(windows) < 2:
        raise InputError(
            f"{poses} gives {len(windows)} windows of {window} poses: {windows.left_out() or 'too few poses'}."
        )
    require_folder_for(output)

    from daflow.checkpoint import Checkpoint, save_checkpoint
    from daflow.model import ModelConfig, parameter_count
    from daflow.training import TrainOptions, available_device
    from daflow.training import train as fit

    options = TrainOptions(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        augment=augment,
        device=available_device(device),
    )
    config = ModelConfig(window=window, block="tcn" if block == "tcn" else "dam")
    left_out = windows.left_out()
    click.echo(f"{len(clips)} clips, {len(windows)} windows{f' ({left_out})' if left_out else ''}")
    began = time.monotonic()
    model, history = fit(windows.poses, config, options)
    seconds = time.monotonic() - began
    summary = {
        "data": poses.name, "clips": len(clips), "windows": len(windows), "stride": stride, "epochs": epochs,
        "batch_size": batch_size, "lr": lr, "seed": seed, "augment": augment,
        "nll_first": history[0], "nll_last": history[-1], "seconds": round(seconds, 1),
        "left_out": {"short_tracks": windows.short_tracks, "gaps": windows.gaps, "broken": windows.broken},
    }  # fmt: skip
    save_checkpoint(output, Checkpoint(model, summary))
    click.echo(
        f"{output}: {parameter_count(model)} parameters, nll {history[0]:.3f} -> {history[-1]:.3f} "
        f"bits/dim in {epochs} epochs, {seconds:.0f} s"
    )


@click.command("import-stgnf", cls=Command)
@click.argument("checkpoint", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The checkpoint to write.")
def import_stgnf(checkpoint: Path, output: Path) -> None:
    """Turn a public CHECKPOINT of STG-NF (a .tar file) into a model of this toolkit, without running its code.

    The model scores exactly as STG-NF does; to repeat its evaluation, use 'daflow evaluate --protocol stgnf'.
    """
    from daflow.checkpoint import save_checkpoint
    from daflow.model import parameter_count
    from daflow.stgnf import read_stgnf

    imported = read_stgnf(checkpoint)
    require_folder_for(output)
    save_checkpoint(output, imported)
    config = imported.model.config
    click.echo(
        f"{output}: {parameter_count(imported.model)} parameters, {config.steps} steps, "
        f"windows of {config.window} poses, prior mean {config.prior_mean:g}"
    )


@click.command(cls=Command)
@click.option("--poses", type=FOLDER, required=True, help="Folder of pose tracks.")
@click.option(
    "--masks",
    type=FOLDER,
    required=True,
    help="Folder of frame masks <clip>.npy: 1 abnormal, 0 normal, -1 ignored.",
)
@click.option(
    "--model",
    required=True,
    help="A checkpoint, a bundle (scored through its exported graph), or 'untrained'.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    help="The graph of a bundle.",
)
@click.option("--seed", default=0, help="Seed of the weights of 'untrained'.")
@click.option(
    "--protocol",
    type=click.Choice(["daflow", "stgnf"]),
    default="daflow",
    help="How windows are cut and normalised. stgnf repeats STG-NF's code to the window: every video counts as "
    "856x480 unless --frame-size says otherwise, the window that ends a track is left out, and a gap of any size may "
    "stand before a window's last two poses. Scoring and smoothing are the same in both.",
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
    poses: Path,
    masks: Path,
    model: str,
    precision: Precision,
    seed: int,
    protocol: str,
    json_target: str | None,
    report: Path | None,
    frame_size: FrameSize | None,
) -> None:
    """Judge a model by frame-level ROC AUC against frame masks, per clip and over all."""
    from daflow.evaluation import evaluate as judge
    from daflow.evaluation import read_masks
    from daflow.judged import open_judged

    began = time.monotonic()
    if report:
        require_folder_for(report)
    judged = open_judged(model, precision, seed)
    stgnf = protocol == "stgnf"
    clips = read_clips(poses, frame_size or (STGNF_FRAME_SIZE if stgnf else None))
    windows = make_windows(clips, judged.window, rule="stgnf" if stgnf else "span")
    if not len(windows):
        raise InputError(f"{poses} gives no window of {judged.window} poses: {windows.left_out()}.")
    labels, nll = read_masks(masks), judged.score(windows.poses)
    result = judge(nll, windows, clips, labels, judged.window)
    if report:
        from daflow.evaluation_report import evaluation_page

        write_text(report, evaluation_page(result, nll, windows, clips, labels, judged.name))
    if json_target:
        write_json(json_target, {"model": judged.name, "protocol": protocol, **result.as_dict()})
    if json_target == "-":
        return
    click.echo(f"{'clip':<24}{'AUC':>8}{'AUC-PR':>8}{'EER':>8}{'frames':>9}{'abnormal':>10}")
    for name, figures in [*result.clips.items(), ("all frames (micro)", result.micro)]:
        values = "".join(
            f"{'-' if v is None else f'{100 * v:.2f}':>8}" for v in (figures.auc, figures.auc_pr, figures.eer)
        )
        click.echo(f"{name:<24}{values}{figures.frames:>9}{figures.abnormal:>10}")
    macro = "-" if result.macro_auc is None else f"{100 * result.macro_auc:.2f}"
    click.echo(f"{'mean of clips (macro)':<24}{macro:>8}")
    counts = ", ".join(filter(None, [f"{result.windows} windows", windows.left_out()]))
    click.echo(f"{judged.name}: {counts}, {time.monotonic() - began:.1f} s; figures in %")


if __name__ == "__main__":
    main()
