"""What every study shares: a trial trains one detector and evaluates it on one or more tests."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.tracks import DEFAULT_FPS, Clip, read_clips
from daflow.core.data.windows import LENGTH, Poses, Windows, make_windows
from daflow.core.parallel import Runner, run_tasks
from daflow.core.progress import track
from daflow.evaluation.auc import Figures, evaluate_windows
from daflow.evaluation.baselines import score_without_model
from daflow.model.flow import ModelConfig, parameter_count
from daflow.model.skeleton_graph import JOINTS
from daflow.model.torch_scorer import score
from daflow.model.untrained import untrained_flow
from daflow.studies.distortion import CLEAN, Distortion, distort
from daflow.studies.pose_autoencoder import train_autoencoder
from daflow.training.labelled_windows import in_abnormal_frames
from daflow.training.options import HOLD_OUT, STRIDE, TrainOptions
from daflow.training.trainer import fit, hold_out_windows
from daflow.training.window_cache import read_training_set

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


Folders = Path | tuple[Path, ...]
"""One folder of tracks, or several."""


@dataclass(frozen=True)
class Test:
    """Recordings to evaluate a detector on.

    Attributes:
        poses: folders of tracks.
        masks: the folder of their frame masks.
        name: added to the names of the rows of the report.
        distortion: what is done to the tracks.
        every_other: 0 for all clips, 1 for the odd ones (the even ones may then be trained on).
        resampled: whether clips of another frame rate are sampled at that of the training.
    """

    __test__ = False  # or pytest would collect it

    poses: Folders
    masks: Path
    name: str = ""
    distortion: Distortion = CLEAN
    every_other: int = 0
    resampled: bool = True


@dataclass(frozen=True)
class Settings:
    """What a study works with.

    Attributes:
        train: folders of normal tracks.
        test: recordings with masks.
        other_train: normal tracks of another place, for `cross`.
        other_test: recordings of that place.
        seeds: number of seeds.
        epochs: of each training.
        frame_size: of all clips; None as `daflow.core.data.tracks.find_tracks`.
        cache: the folder of training windows.
    """

    train: Folders
    test: Test
    other_train: Folders | None = None
    other_test: Test | None = None
    seeds: int = 3
    epochs: int = 16
    frame_size: FrameSize | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Trial:
    """One training and its tests.

    Attributes:
        row: what is compared; trials of one row differ in their seed.
        seed: of everything random.
        settings: the data.
        tests: what to evaluate on.
        detector: what is trained.
        config: of the flow.
        contamination: share of the training windows that are abnormal ones of the even test clips.
    """

    row: str
    seed: int
    settings: Settings
    tests: tuple[Test, ...]
    detector: Literal["flow", "untrained", "autoencoder"] = "flow"
    config: ModelConfig = field(default_factory=ModelConfig)
    contamination: float = 0.0


@dataclass(frozen=True)
class TrialResult:
    """The result of one row and seed: AUC and EER as fractions, `seconds` of the training alone."""

    row: str
    seed: int
    auc: float
    macro_auc: float | None
    auc_pr: float
    eer: float
    parameters: int
    seconds: float
    windows: int


@dataclass(frozen=True)
class Study:
    """A question, and the trials that answer it."""

    title: str
    question: str
    trials: Callable[[Settings], list[Trial]]


def flows(row: str, settings: Settings, config: ModelConfig | None = None) -> list[Trial]:
    """Return one trial for each seed of a trained flow, evaluated on the test recordings."""
    config = config or ModelConfig()
    return [Trial(row, seed, settings, (settings.test,), config=config) for seed in range(settings.seeds)]


def run_study(
    study: Study, settings: Settings, run: Runner = run_tasks
) -> tuple[list[TrialResult], list[str]]:
    """Run the trials of a study.

    Args:
        study: which one.
        settings: the data.
        run: where the trials run.

    Returns:
        The results in the order of the trials, and the messages of trials that failed.
    """
    trials = study.trials(settings)
    return run_all(run_trial, trials, run, "study, trials", lambda trial: f"{trial.row}, seed {trial.seed}")


def run_all(
    function: Callable[[T], list[R]], trials: Sequence[T], run: Runner, what: str, name: Callable[[T], str]
) -> tuple[list[R], list[str]]:
    """Run trials; return the results in the order of the trials, and the messages of those that failed.

    Args:
        function: runs a trial.
        trials: hashable ones.
        run: where they run.
        what: they are, for the progress.
        name: of a trial, for the message of its failure.
    """
    found: dict[T, list[R]] = {}
    failed = []
    for outcome in track(run(function, trials), what, len(trials)):
        if outcome.result is None:
            failed.append(f"{name(outcome.task)}: {outcome.error}")
            logger.warning("failed: %s", failed[-1])
        else:
            found[outcome.task] = outcome.result
    return [result for trial in trials for result in found.get(trial, [])], failed


def score_test_without_model(settings: Settings) -> dict[str, Figures]:
    """Return the figures of scores that need no model on the test recordings, which every detector stands beside."""
    clips, masks, windows = _test_windows(settings.test, LENGTH, settings.frame_size, DEFAULT_FPS)
    return {name: found.micro for name, found in score_without_model(windows, clips, masks).items()}


def run_trial(trial: Trial) -> list[TrialResult]:
    """Train a detector and evaluate it on each of its tests."""
    settings, length = trial.settings, trial.config.window
    data = read_training_set(settings.train, length, STRIDE, settings.frame_size, settings.cache)
    poses, held_out = data.windows.poses, hold_out_windows(data.windows, HOLD_OUT)
    if trial.contamination:
        poses, held_out = _contaminated(poses, held_out, trial, data.fps)
    _warm_up()
    began = time.perf_counter()
    detector, parameters = _detector(trial, poses, held_out)
    seconds = time.perf_counter() - began
    return list(_evaluate(trial, detector, parameters, seconds, data.fps or DEFAULT_FPS))


@functools.lru_cache(maxsize=1)
def _warm_up() -> None:
    """Train on next to nothing, once for each process: its first training also loads parts of torch."""
    windows = np.random.default_rng(0).normal(size=(4, 2, LENGTH, JOINTS)).astype(np.float32)
    fit(windows, ModelConfig(steps=1), TrainOptions(epochs=1))


def _detector(trial: Trial, poses: Poses, held_out: np.ndarray) -> tuple[Callable[[Poses], np.ndarray], int]:
    """Return what scores windows, and its number of parameters."""
    if trial.detector == "autoencoder":
        autoencoder = train_autoencoder(poses[~held_out], trial.settings.epochs, trial.seed)
        return autoencoder.score, parameter_count(autoencoder)
    if trial.detector == "untrained":
        flow = untrained_flow(trial.config, poses, trial.seed)
    else:
        options = TrainOptions(epochs=trial.settings.epochs, seed=trial.seed)
        flow = fit(poses, trial.config, options, held_out).model
    return lambda windows: score(flow, windows).numpy(), parameter_count(flow)


def _evaluate(
    trial: Trial, detector: Callable[[Poses], np.ndarray], parameters: int, seconds: float, fps: float
) -> Iterator[TrialResult]:
    for test in trial.tests:
        clips, masks, windows = _test_windows(test, trial.config.window, trial.settings.frame_size, fps)
        found = evaluate_windows(detector(windows.poses), windows, clips, masks)
        micro = found.micro
        assert micro.auc is not None
        assert micro.auc_pr is not None
        assert micro.eer is not None
        row = ", ".join(filter(None, [trial.row, test.name]))
        yield TrialResult(
            row,
            trial.seed,
            micro.auc,
            found.macro_auc,
            micro.auc_pr,
            micro.eer,
            parameters,
            seconds,
            found.windows,
        )


@functools.lru_cache(maxsize=2)
def _test_windows(
    test: Test, length: int, frame_size: FrameSize | None, fps: float
) -> tuple[list[Clip], dict[str, Labels], Windows]:
    masks = read_masks(test.masks)
    clips = [clip for clip in read_clips(test.poses, frame_size) if clip.name in masks]
    if test.every_other:
        clips = clips[1::2]
        masks = {clip.name: masks[clip.name] for clip in clips}
    clips = [distort(clip, test.distortion, seed=index) for index, clip in enumerate(clips)]
    masks = {name: mask[:: test.distortion.every] for name, mask in masks.items()}
    return clips, masks, make_windows(clips, length, fps=fps if test.resampled else None)


def _contaminated(
    poses: Poses, held_out: np.ndarray, trial: Trial, fps: float | None
) -> tuple[Poses, np.ndarray]:
    """Add abnormal windows of the even test clips until they are the wanted share of all."""
    test, length = trial.settings.test, trial.config.window
    masks = read_masks(test.masks)
    clips = [clip for clip in read_clips(test.poses, trial.settings.frame_size) if clip.name in masks][::2]
    windows = make_windows(clips, length, fps=fps)
    abnormal = np.flatnonzero(in_abnormal_frames(windows, clips, masks))
    count = round(len(poses) * trial.contamination / (1 - trial.contamination))
    chosen = np.random.default_rng(trial.seed).permutation(abnormal)[:count]
    if len(chosen) < count:
        logger.warning("there are only %d of %d abnormal windows for %s", len(chosen), count, trial.row)
    return np.concatenate([poses, windows.poses[chosen]]), np.append(
        held_out, np.zeros(len(chosen), dtype=bool)
    )
