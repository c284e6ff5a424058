"""One model over many data sets: what holds everywhere is worth more than the best figure on one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.label_table import read_labels
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.core.evidence import CHANNELS, Scored
from daflow.core.parallel import Runner, run_tasks
from daflow.evaluation.auc import Evaluation, evaluate_windows
from daflow.evaluation.baselines import score_without_model
from daflow.model.flow import ModelConfig
from daflow.model.torch_scorer import judge
from daflow.studies.runner import Folders, run_all
from daflow.training.evidence import fit_evidence
from daflow.training.options import HOLD_OUT, STRIDE, WINDOW, TrainOptions
from daflow.training.trainer import fit, hold_out_windows
from daflow.training.window_cache import read_training_set

ROWS = ("flow", "shape", "motion", "flow + shape", "flow + motion", "flow + shape + motion")
WITHOUT_MODEL = "best score without a model"
POSITION = "number of the frame in its clip"


@dataclass(frozen=True)
class DataSet:
    """A data set of the suite: folders of normal tracks, folders of test tracks, and the labels of these."""

    name: str
    train: Folders
    test: Folders
    labels: Path


@dataclass(frozen=True)
class SuiteTrial:
    """One training on one data set."""

    data: DataSet
    seed: int
    epochs: int
    window: int = WINDOW
    frame_size: FrameSize | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class SuiteFigure:
    """A figure of a data set.

    Attributes:
        data: the name of the set.
        row: what scored: one of `ROWS`, `WITHOUT_MODEL` or `POSITION`.
        seed: of the training; 0 without one.
        auc: micro AUC over frames, a fraction; over clips where each clip is wholly normal or wholly abnormal.
        macro_auc: the mean AUC of the clips that hold both; None where none does.
        by_clip: whether `auc` is over clips.
        of: which score without a model it is; empty with one.
    """

    data: str
    row: str
    seed: int
    auc: float
    macro_auc: float | None
    by_clip: bool
    of: str = ""


def run_suite(
    sets: Sequence[DataSet], seeds: int, epochs: int, window: int = WINDOW, frame_size: FrameSize | None = None,
    cache: Path | None = None, run: Runner = run_tasks,
) -> tuple[list[SuiteFigure], list[str]]:  # fmt: skip
    """Train and evaluate on every set.

    Args:
        sets: the data sets.
        seeds: trainings on each.
        epochs: of each training.
        window: poses in a window.
        frame_size: of all clips; None as `daflow.core.data.tracks.find_tracks`.
        cache: the folder of training windows.
        run: where the trials run.

    Returns:
        The figures, and the messages of trials that failed.
    """
    trials = [
        SuiteTrial(data, seed, epochs, window, frame_size, cache) for data in sets for seed in range(seeds)
    ]
    return run_all(
        run_suite_trial,
        trials,
        run,
        "suite, trainings",
        lambda trial: f"{trial.data.name}, seed {trial.seed}",
    )


def run_suite_trial(trial: SuiteTrial) -> list[SuiteFigure]:
    """Train a flow with evidence, and evaluate its channels alone and together; the first seed also without a model."""
    data = trial.data
    training = read_training_set(data.train, trial.window, STRIDE, trial.frame_size, trial.cache)
    windows, poses = training.windows, training.windows.poses
    held_out = hold_out_windows(windows, HOLD_OUT)
    options = TrainOptions(epochs=trial.epochs, seed=trial.seed)
    flow = fit(poses, ModelConfig(window=trial.window), options, held_out).model
    evidence = fit_evidence(CHANNELS, flow, poses, training.fps, held_out=held_out)
    masks = read_labels(data.labels)
    clips = [clip for clip in read_clips(data.test, trial.frame_size) if clip.name in masks]
    tested = make_windows(clips, trial.window, fps=training.fps)
    nll, found = judge(flow, None, tested.poses).score, judge(flow, evidence, tested.poses)

    def figure(row: str, result: Evaluation, seed: int = trial.seed, of: str = "") -> SuiteFigure:
        by_clip = result.macro_auc is None
        auc = (result.by_clip if by_clip else result.micro).auc
        assert auc is not None
        return SuiteFigure(data.name, row, seed, auc, result.macro_auc, by_clip, of)

    figures = [
        figure(row, evaluate_windows(nll if row == "flow" else _sum(found, row), tested, clips, masks))
        for row in ROWS
    ]
    if trial.seed == 0:
        others = score_without_model(tested, clips, masks)
        best = max(
            (figure(WITHOUT_MODEL, result, of=name) for name, result in others.items()), key=lambda f: f.auc
        )
        position = next(name for name in others if "frame of its clip" in name)
        figures += [best, figure(POSITION, others[position], of=position)]
    return figures


def _sum(found: Scored, row: str) -> npt.NDArray[np.float32]:
    """Return the summed surprise of the channels that a row names, `(N,)`."""
    assert found.surprise is not None
    chosen = [CHANNELS.index(name) for name in CHANNELS if name in row.split(" + ")]
    total: npt.NDArray[np.float32] = found.surprise[:, chosen].sum(axis=1)
    return total
