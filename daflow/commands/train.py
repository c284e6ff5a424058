"""The command `daflow train`."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import click
import numpy as np

from daflow.core.command_line import FILE, FOLDER, Command, FiniteRange, frame_size_option, require_folder_for
from daflow.core.data.label_table import CLIPS_HELP, read_labels
from daflow.core.data.tracks import FrameSize
from daflow.core.data.windows import LENGTH, Windows
from daflow.core.errors import InputError
from daflow.training.data_check import enough_data
from daflow.training.window_cache import TrainingSet, read_training_set

_LOOKED_AT = 8192  # windows


@click.command(cls=Command)
@click.option("--poses", type=FOLDER, required=True, help="Folder of pose tracks of normal behaviour.")
@click.option("-o", "--output", type=FILE, required=True, help="The checkpoint to write.")
@click.option("--clips", multiple=True, metavar="GLOB", help=CLIPS_HELP)
@click.option(
    "--normal-only",
    type=FOLDER,
    metavar="LABELS",
    help="Train on the normal parts of labelled recordings: windows with a frame that is not labelled normal are left "
    "out. A folder of frame masks or a CSV file, as 'daflow evaluate --labels' reads them.",
)
@click.option("--epochs", default=48, type=click.IntRange(1), help="Passes over the windows.")
@click.option("--batch-size", default=128, type=click.IntRange(2), help="Windows in a step.")
@click.option(
    "--lr",
    default=0.15,
    type=FiniteRange(0, min_open=True),
    help="Highest learning rate of AdamW, reached after a tenth of the steps; then down to 0.",
)
@click.option("--seed", default=0, help="Seed of the weights and of the order of windows.")
@click.option("--stride", default=6, type=click.IntRange(1), help="Poses between the starts of windows.")
@click.option("--augment/--no-augment", default=True, help="Whether windows are also seen mirrored.")
@click.option("--window", default=LENGTH, type=click.IntRange(4, 256), help="Poses in a window.")
@click.option(
    "--block",
    type=click.Choice(["dam", "tcn"]),
    default="dam",
    help="Coupling block: the dual attention of DA-Flow or the temporal convolution of STG-NF.",
)
@click.option(
    "--hold-out",
    "share",
    default=0.1,
    type=FiniteRange(0, 0.5),
    help="Share of the clips kept out of training; the epoch that suits them best is kept. 0 trains on all.",
)
@click.option(
    "--abnormal-poses",
    type=FOLDER,
    help="Folder of pose tracks of labelled abnormal behaviour, for supervised training: the prior's mean is -R there.",
)
@click.option(
    "--abnormal-masks",
    type=FOLDER,
    help="Frame masks of these clips (<clip>.npy, or UBnormal's <clip>_tracks.txt): only windows whose middle frame is "
    "abnormal count. Without it all do.",
)
@click.option(
    "--prior-mean",
    default=3.0,
    type=FiniteRange(-100, 100),
    help="The mean R of the Gaussian of normal windows; STG-NF takes 10 in supervised training.",
)
@click.option(
    "--resume", is_flag=True, help="Go on exactly where an interrupted training stopped (OUTPUT.resume)."
)
@click.option(
    "--cache",
    type=FOLDER,
    help="Folder that keeps the windows of earlier runs; ~/.cache/daflow/windows without it.",
)
@click.option("--device", default="cpu", help="Where torch trains: cpu, cuda, cuda:1.")
@click.option(
    "--threads",
    default=1,
    type=click.IntRange(1),
    help="Threads of torch on a CPU. A second one is a little faster on a quiet machine and slower on a busy one.",
)
@frame_size_option
def train(
    poses: Path, output: Path, clips: tuple[str, ...], normal_only: Path | None, epochs: int, batch_size: int,
    lr: float, seed: int, stride: int, augment: bool, window: int, block: str, share: float,
    abnormal_poses: Path | None, abnormal_masks: Path | None, prior_mean: float, resume: bool, cache: Path | None,
    device: str, threads: int, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Train a model on pose tracks of normal behaviour; no anomaly is needed.

    Where training is, is kept in OUTPUT.resume after each epoch.
    """
    if abnormal_masks and not abnormal_poses:
        raise InputError("--abnormal-masks needs --abnormal-poses.")
    data = read_training_set(poses, window, stride, frame_size, cache, clips)
    click.echo(_summary(data))
    normal = _normal_part(data, normal_only)
    marked = len(data.windows) - len(normal)
    if len(normal) < 2:
        reasons = data.windows.skipped() or ("none is normal throughout" if marked else "too few poses")
        raise InputError(f"{poses} gives {len(normal)} windows of {window} poses: {reasons}.")
    everything, labels = normal.poses, None
    if abnormal_poses:
        from daflow.training.labelled_windows import abnormal_windows

        abnormal = abnormal_windows(abnormal_poses, abnormal_masks, window, stride, frame_size)
        everything = np.concatenate([normal.poses, abnormal])
        labels = np.repeat([1, -1], [len(normal), len(abnormal)])
        click.echo(f"{len(abnormal)} windows labelled abnormal")
    require_folder_for(output)

    from daflow.model.checkpoint import Checkpoint, save_checkpoint
    from daflow.model.flow import ModelConfig, parameter_count
    from daflow.model.torch_scorer import available_device, score
    from daflow.training.trainer import TrainOptions, hold_out
    from daflow.training.trainer import train as fit

    options = TrainOptions(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        augment=augment,
        device=available_device(device),
        threads=threads,
    )
    config = ModelConfig(window=window, block="tcn" if block == "tcn" else "dam", prior_mean=prior_mean)
    held_out = np.zeros(len(everything), dtype=np.bool_)
    held_out[: len(normal)] = hold_out(normal, share)
    if len(everything) - held_out.sum() < 2:
        raise InputError(f"{poses}: too few windows are left to train on; --hold-out 0 holds none out.")
    state = output.with_name(output.name + ".resume")
    if state.exists() and not resume:
        click.echo(f"{state} of an interrupted training is replaced; --resume would have gone on with it.")
        state.unlink()
    began = time.monotonic()
    trained = fit(everything, config, options, held_out, labels, state)
    seconds = time.monotonic() - began
    first, best = trained.history[0], trained.history[trained.best]
    summary = {
        "data": poses.name, "clips": len(data.clips), "broken_files": len(data.broken_files),
        "windows": len(normal), "held_out": int(held_out.sum()), "abnormal": len(everything) - len(normal),
        "stride": stride, "epochs": epochs, "best_epoch": trained.best + 1, "batch_size": batch_size, "lr": lr,
        "seed": seed, "augment": augment, "nll_first": first.training, "nll_last": best.training,
        "nll_held_out": best.held_out, "seconds": round(seconds, 1),
        "left_out": {"short_tracks": normal.short_tracks, "gaps": normal.gaps, "broken": normal.broken,
                     "not_normal": marked},
    }  # fmt: skip
    save_checkpoint(output, Checkpoint(trained.model, summary))
    state.unlink(missing_ok=True)
    others = (
        "" if best.held_out is None else f", {best.held_out:.3f} on those held out (epoch {trained.best + 1})"
    )
    click.echo(
        f"{output}: {parameter_count(trained.model)} parameters, nll {first.training:.3f} -> {best.training:.3f} "
        f"bits/dim{others}; {epochs} epochs, {seconds:.0f} s, at most {_peak_memory():.0f} MiB of memory"
    )
    rows = np.arange(0, len(normal), max(1, len(normal) // _LOOKED_AT))
    nll = score(trained.model, normal.poses[rows]).numpy()
    high, highest = np.quantile(nll.astype(np.float64), (0.99, 1))
    click.echo(
        f"99 % of the normal windows score below {high:.3f} bits/dim, all below {highest + 0.0005:.3f}"
    )
    click.echo(enough_data(nll, normal.clip[rows], normal.person[rows]))


def _normal_part(data: TrainingSet, labels: Path | None) -> Windows:
    """Return the windows without a frame that is not labelled normal; all without labels."""
    if labels is None:
        return data.windows
    from daflow.training.labelled_windows import normal_throughout

    kept = normal_throughout(data.windows, data.clips, read_labels(labels))
    click.echo(f"{kept.sum()} windows are normal throughout; {(~kept).sum()} others are left out")
    return data.windows.select(kept)


def _summary(data: TrainingSet) -> str:
    facts = [f"{len(data.clips)} clips, {len(data.windows)} windows"]
    if left_out := data.windows.skipped():
        facts.append(f"left out: {left_out}")
    if data.broken_files:
        facts.append(f"{len(data.broken_files)} files could not be read")
    return "; ".join(facts)


def _peak_memory() -> float:
    """The largest memory of this process so far, MiB; pages of mapped files count as long as they are in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
