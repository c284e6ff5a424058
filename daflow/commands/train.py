"""The command `daflow train`."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import click

from daflow.commands.other_recordings import POSES_HELP, open_poses
from daflow.commands.preset_option import preset_line, preset_option
from daflow.core.command_line import (
    FILE,
    FOLDER,
    Command,
    FiniteRange,
    fps_option,
    frame_size_option,
    require_folder_for,
)
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.label_table import CLIPS_HELP, read_labels
from daflow.core.data.track_files import name_paths, short_names
from daflow.core.data.windows import Windows
from daflow.core.errors import InputError, require_packages
from daflow.core.evidence import parse_channels
from daflow.training.labelled_windows import abnormal_windows, normal_throughout
from daflow.training.options import EVIDENCE, HOLD_OUT, STRIDE, WINDOW, TrainOptions
from daflow.training.presets import PRESETS, Preset
from daflow.training.window_cache import TrainingSet, read_training_set


@click.command(cls=Command)
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    multiple=True,
    help=f"Recordings of normal behaviour. {POSES_HELP}",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    required=True,
    help="The checkpoint to write; as safetensors where it ends in .safetensors.",
)
@preset_option(
    Preset.train_defaults,
    "Train as the published re-implementation of DA-Flow did on this benchmark: it sets some of the options below, a "
    "constant learning rate, no weight decay and a graph of one hop. Options that are given win.",
)
@click.option("--clips", multiple=True, metavar="GLOB", help=CLIPS_HELP)
@click.option(
    "--normal-only",
    type=FOLDER,
    metavar="LABELS",
    help="Train on the normal parts of labelled recordings: windows with a frame that is not labelled normal are "
    "skipped. A folder of frame masks or a CSV file, as 'daflow evaluate --labels' reads them.",
)
@click.option(
    "--epochs", default=TrainOptions.epochs, type=click.IntRange(1), help="Passes over the windows."
)
@click.option(
    "--batch-size", default=TrainOptions.batch_size, type=click.IntRange(2), help="Windows in a step."
)
@click.option(
    "--lr",
    default=TrainOptions.lr,
    type=FiniteRange(0, min_open=True),
    help="Highest learning rate of AdamW, reached after a tenth of the steps; then down to 0.",
)
@click.option("--seed", default=TrainOptions.seed, help="Seed of the weights and of the order of windows.")
@click.option("--stride", default=STRIDE, type=click.IntRange(1), help="Poses between the starts of windows.")
@click.option(
    "--augment/--no-augment", default=TrainOptions.augment, help="Whether windows are also seen mirrored."
)
@click.option(
    "--window", default=WINDOW, type=click.IntRange(4, 256), help="Poses in a window; 24 in the paper."
)
@click.option(
    "--block",
    type=click.Choice(["dam", "tcn"]),
    default="dam",
    help="Coupling block: the dual attention of DA-Flow or the temporal convolution of STG-NF.",
)
@click.option(
    "--hold-out",
    "share",
    default=HOLD_OUT,
    type=FiniteRange(0, 0.5),
    help="Share of the clips kept out of training; the epoch that fits them best is kept. 0 trains on all.",
)
@click.option(
    "--abnormal-poses",
    type=FOLDER,
    multiple=True,
    help="Folder of pose tracks of labelled abnormal behaviour, for supervised training: the prior's mean is -R there. "
    "May be repeated.",
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
    "--evidence",
    default=EVIDENCE,
    metavar="CHANNELS",
    help="What windows are judged by: flow (the paper's model alone, in bits/dim), or beside it shape (single "
    "postures) and motion (movement between poses); then the score is the surprise in bits, and alarms say what caused "
    "them.",
)
@click.option(
    "--resume", is_flag=True, help="Continue exactly where an interrupted training stopped (OUTPUT.resume)."
)
@click.option(
    "--cache",
    type=FOLDER,
    help="Folder that keeps the windows of earlier runs.  [default: ~/.cache/daflow/windows]",
)
@click.option("--device", default=TrainOptions.device, help="Where torch trains: cpu, cuda, cuda:1.")
@click.option(
    "--threads",
    default=TrainOptions.threads,
    type=click.IntRange(1),
    help="Threads of torch on a CPU. A second one is a little faster on a quiet machine and slower on a busy one.",
)
@frame_size_option
@fps_option
def train(
    poses: tuple[Path, ...], output: Path, preset: str | None, clips: tuple[str, ...], normal_only: Path | None,
    epochs: int, batch_size: int, lr: float, seed: int, stride: int, augment: bool, window: int, block: str,
    share: float, abnormal_poses: tuple[Path, ...], abnormal_masks: Path | None, prior_mean: float, evidence: str,
    resume: bool, cache: Path | None, device: str, threads: int, frame_size: FrameSize | None, fps: float | None,
) -> None:  # fmt: skip
    """Train a model on pose tracks of normal behaviour; no anomaly is needed.

    The state of the training is kept in OUTPUT.resume after each epoch.
    """
    if abnormal_masks and not abnormal_poses:
        raise InputError("--abnormal-masks needs --abnormal-poses.")
    state = output.with_name(output.name + ".resume")
    for path in (output, state):
        require_folder_for(path)
    if output.suffix == ".safetensors":
        require_packages({"train": ["safetensors"]})  # not after hours of training
    channels = parse_channels(evidence)
    chosen = PRESETS[preset] if preset else None
    # What can be refused is refused before the tracks are read, which takes minutes for a large folder.
    options = TrainOptions(
        epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, augment=augment, device=device, threads=threads
    )  # fmt: skip
    if chosen:
        options = replace(options, schedule=chosen.schedule, weight_decay=chosen.weight_decay)
    from daflow.model.flow import parameter_count
    from daflow.model.torch_scorer import available_device
    from daflow.training.data_check import check_data
    from daflow.training.train import TrainingData, model_config, train_on

    hops = {"hops": chosen.hops} if chosen else {}
    config = model_config(window=window, block=block, prior_mean=prior_mean, **hops)
    available_device(device)
    if preset and chosen:
        others = f"{chosen.schedule} learning rate, weight decay {chosen.weight_decay:g}, hops {chosen.hops}"
        click.echo(preset_line(preset, chosen.train_defaults(), others))
    broken: list[str] = []
    opened = open_poses(poses, frame_size, fps, broken)
    windows = read_training_set(opened, window, stride, frame_size, cache, clips, fps)
    click.echo(_summary(windows))
    normal = _normal_part(windows, normal_only)
    abnormal = None
    if abnormal_poses:
        labelled = open_poses(abnormal_poses, frame_size, fps)
        abnormal = abnormal_windows(labelled, abnormal_masks, window, stride, frame_size, windows.fps)
        click.echo(f"{len(abnormal)} windows labelled abnormal")
    data = TrainingData(
        normal, name_paths(poses), short_names(poses), len(windows.clips), stride,
        len(windows.broken_files) + len(broken), len(windows.windows) - len(normal), abnormal, windows.fps,
    )  # fmt: skip
    if state.exists() and not resume:
        click.echo(f"{state} of an interrupted training is deleted; --resume would have continued it.")
        state.unlink()
    model = train_on(data, config, options, share, channels, state)
    model.save(output)
    state.unlink(missing_ok=True)
    first, best = model.history[0], model.history[model.best]
    others = (
        "" if best.held_out is None else f", {best.held_out:.3f} on those held out (epoch {model.best + 1})"
    )
    click.echo(
        f"{output}: {parameter_count(model.checkpoint.model)} parameters, nll {first.training:.3f} -> "
        f"{best.training:.3f} bits/dim{others}; {epochs} epochs, {model.seconds:.0f} s, "
        f"at most {_peak_memory():.0f} MiB of memory"
    )
    click.echo(str(check_data(model, normal, windows)))


def _normal_part(data: TrainingSet, labels: Path | None) -> Windows:
    """Return the windows whose frames are all labelled normal; all windows without labels."""
    if labels is None:
        return data.windows
    kept = normal_throughout(data.windows, data.clips, read_labels(labels))
    click.echo(f"{kept.sum()} windows are normal throughout; {(~kept).sum()} others are skipped")
    return data.windows.select(kept)


def _summary(data: TrainingSet) -> str:
    rate = f" at {data.fps:.3g} frames per second" if data.fps else ""
    facts = [f"{len(data.clips)} clips, {len(data.windows)} windows{rate}"]
    if skipped := data.windows.skipped():
        facts.append(f"skipped: {skipped}")
    if missing := data.windows.missing_joints():
        facts.append(missing)
    if data.broken_files:
        facts.append(f"{len(data.broken_files)} files could not be read")
    return "; ".join(facts)


def _peak_memory() -> float:
    """The largest memory of this process so far, MiB, with the pages of mapped files that were in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
