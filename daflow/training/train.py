"""Training a model on clips of normal behaviour: windows, hold-out, training, and what is recorded of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from daflow.core.alarms.provisional import SUMMARY, HeldOutScores
from daflow.core.data.frame_rate import common_rate
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Poses, Windows, make_windows
from daflow.core.errors import InputError
from daflow.core.evidence import FLOW, Channel, parse_channels
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import ModelConfig
from daflow.model.flow_model import FlowModel
from daflow.model.scoring_model import require_usable_clips
from daflow.model.torch_scorer import available_device, judge
from daflow.training.evidence import fit_evidence
from daflow.training.options import EVIDENCE, HOLD_OUT, STRIDE, WINDOW, TrainOptions
from daflow.training.trainer import Epoch, fit, hold_out_windows


class TrainedModel(FlowModel):
    """A model that was just trained.

    Attributes:
        history: the mean scores of each epoch.
        best: the index in `history` of the epoch that the model is of.
        seconds: how long the training took.
    """

    def __init__(self, checkpoint: Checkpoint, history: tuple[Epoch, ...], best: int, seconds: float) -> None:
        super().__init__(checkpoint, "trained model")
        self.history = history
        self.best = best
        self.seconds = seconds


@dataclass(frozen=True)
class TrainingData:
    """What to train on.

    Attributes:
        normal: windows of normal behaviour.
        source: what messages call their origin.
        name: of the data, for the summary of the training.
        clips: how many clips the windows are of.
        stride: poses between the starts of windows.
        broken_files: files that could not be read.
        not_normal: windows that were skipped because not all of their frames are labelled normal.
        abnormal: `(N, 2, T, 18)` windows of labelled abnormal behaviour; None without any.
        fps: frames per second of the windows; None when it is not known.
    """

    normal: Windows
    source: str
    name: str
    clips: int
    stride: int
    broken_files: int = 0
    not_normal: int = 0
    abnormal: Poses | None = None
    fps: float | None = None


def train(
    clips: Sequence[Clip],
    *,
    epochs: int = TrainOptions.epochs,
    batch_size: int = TrainOptions.batch_size,
    lr: float = TrainOptions.lr,
    seed: int = TrainOptions.seed,
    stride: int = STRIDE,
    augment: bool = TrainOptions.augment,
    window: int = WINDOW,
    block: Literal["dam", "tcn"] = "dam",
    hold_out: float = HOLD_OUT,
    prior_mean: float = ModelConfig.prior_mean,
    device: str = TrainOptions.device,
    threads: int = TrainOptions.threads,
    evidence: str = EVIDENCE,
) -> TrainedModel:
    """Train a model on clips of normal behaviour; no anomaly is needed.

    A share of the clips is held out, and the model of the epoch that gives them the lowest mean score is kept. The same
    arguments give the same model on a CPU. Clips whose frame rates differ are sampled at the median of their rates,
    which the model remembers. torch's global random generator and its number of threads stay as they are.

    Args:
        clips: pose tracks, such as `daflow.read_tracks` returns them.
        epochs: passes over the windows.
        batch_size: windows in a step.
        lr: the highest learning rate of AdamW.
        seed: of the initial weights and of the order of the windows.
        stride: poses between the starts of windows.
        augment: whether windows are also seen mirrored left to right.
        window: poses in a window (T).
        block: `dam`, the dual attention of DA-Flow, or `tcn`, the temporal convolution of STG-NF.
        hold_out: share of the clips that is held out, 0 to 0.5; of the tracks, with fewer than five clips.
        prior_mean: the mean of the Gaussian that normal windows follow.
        device: where torch trains, such as `cpu` or `cuda`.
        threads: of torch, for each operation on a CPU.
        evidence: what windows are judged by: `flow` as in the paper, or `flow` and `shape`, `motion` or both.

    Raises:
        InputError: the clips give too few windows, two have one name, a value is out of range, or torch cannot use the
            device.
    """
    options = TrainOptions(
        epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, augment=augment, device=device, threads=threads
    )  # fmt: skip
    channels = parse_channels(evidence)
    config = model_config(window=window, block=block, prior_mean=prior_mean)
    if stride < 1:
        raise InputError(f"stride must be at least 1; it is {stride}.")
    require_usable_clips(clips)
    fps = common_rate([clip.rate for clip in clips])
    windows = make_windows(clips, window, stride, fps=fps)
    data = TrainingData(windows, "The list of clips", "clips", len(clips), stride, fps=fps)
    return train_on(data, config, options, hold_out, channels)


def train_on(
    data: TrainingData,
    config: ModelConfig,
    options: TrainOptions,
    hold_out: float = HOLD_OUT,
    channels: Sequence[Channel] = FLOW,
    state: Path | None = None,
) -> TrainedModel:
    """Hold out, train, and record what the model was trained on.

    Args:
        data: the windows.
        config: the architecture.
        options: how to train.
        hold_out: share of the normal clips that is held out.
        channels: what windows are judged by, in the order of `daflow.core.evidence.CHANNELS`.
        state: as for `daflow.training.trainer.fit`.

    Raises:
        InputError: there are too few windows, the state is of another training, or torch cannot use the device.
        OSError: the state cannot be written.
    """
    if not 0 <= hold_out <= 0.5:
        raise InputError(f"The share that is held out must be from 0 to 0.5; it is {hold_out}.")
    available_device(options.device)
    if len(data.normal) < 2:
        reason = data.normal.skipped() or (
            "none is normal throughout" if data.not_normal else "too few poses"
        )
        raise InputError(
            f"{data.source} gives {len(data.normal)} windows of {config.window} poses: {reason}."
        )
    normal, poses, labels = data.normal, data.normal.poses, None
    if data.abnormal is not None:
        poses = np.concatenate([poses, data.abnormal])
        labels = np.repeat([1, -1], [len(normal), len(data.abnormal)])
    held_out = np.zeros(len(poses), dtype=np.bool_)
    held_out[: len(normal)] = hold_out_windows(normal, hold_out)
    if len(poses) - held_out.sum() < 2:
        raise InputError(
            f"{data.source} leaves too few windows to train on; --hold-out 0 (hold_out=0) holds none out."
        )
    began = time.monotonic()
    trained = fit(poses, config, options, held_out, labels, state)
    evidence = None
    if len(channels) > 1:
        evidence = fit_evidence(
            channels, trained.model, normal.poses, data.fps, options.augment, held_out[: len(normal)]
        )
    seconds = time.monotonic() - began
    first, best = trained.history[0], trained.history[trained.best]
    scores = HeldOutScores.of(
        judge(trained.model, evidence, poses[held_out]).score, _people(normal, held_out[: len(normal)])
    )
    summary = {
        "data": data.name, "clips": data.clips, "broken_files": data.broken_files,
        "windows": len(normal), "held_out": int(held_out.sum()), "abnormal": len(poses) - len(normal),
        "stride": data.stride, "epochs": options.epochs, "best_epoch": trained.best + 1,
        "batch_size": options.batch_size, "lr": options.lr, "schedule": options.schedule,
        "weight_decay": options.weight_decay, "seed": options.seed, "augment": options.augment,
        "nll_first": first.training, "nll_last": best.training, "nll_held_out": best.held_out,
        "seconds": round(seconds, 1),
        "left_out": {"short_tracks": normal.short_tracks, "gaps": normal.gaps, "unseen": normal.unseen,
                     "broken": normal.broken, "not_normal": data.not_normal},
        "filled": normal.filled,
        **({SUMMARY: scores.model_dump()} if scores else {}),
    }  # fmt: skip
    return TrainedModel(
        Checkpoint(trained.model, summary, data.fps, evidence), trained.history, trained.best, seconds
    )


def _people(windows: Windows, chosen: npt.NDArray[np.bool_]) -> int:
    """Return how many people the chosen windows are of; people are numbered within each clip."""
    return len(np.unique(np.stack([windows.clip[chosen], windows.person[chosen]]), axis=1).T)


def model_config(**fields: Any) -> ModelConfig:
    """Return a checked architecture.

    Raises:
        InputError: a field is out of range.
    """
    try:
        return TypeAdapter(ModelConfig).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]} is {first['input']!r}: {first['msg']}.") from None
