"""The recipe of the model that is part of the package: everyday life of generated people, and nothing else.

Nothing in it was chosen by an AUC: the people and the errors of their pose estimators follow statistics of normal
recordings (`daflow.core.data.generator`). The threshold is the highest score of generated people whose
cameras and pose estimators training does not see.
"""

from __future__ import annotations

from dataclasses import replace

from daflow.core.alarms.provisional import SUMMARY, HeldOutScores
from daflow.core.data.generator.everyday import everyday_clips
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.data.windows import Windows, make_windows
from daflow.core.evidence import parse_channels
from daflow.model.checkpoint import Checkpoint
from daflow.model.torch_scorer import judge
from daflow.training.options import EVIDENCE, HOLD_OUT, STRIDE, WINDOW, TrainOptions
from daflow.training.train import TrainingData, model_config, train_on

SEED = 0
"""Of the model in the package."""

EPOCHS = 6
_TRAINING_CLIPS, _HELD_OUT_CLIPS = 120, 60  # of 30 seconds


def train_on_generated_people(seed: int = SEED, epochs: int = EPOCHS) -> Checkpoint:
    """Train on an hour of generated people, and score half an hour of others for the provisional threshold.

    Args:
        seed: of the people and of the training.
        epochs: passes over the windows.
    """
    clips = everyday_clips(_TRAINING_CLIPS, seed)
    data = TrainingData(
        make_windows(clips, WINDOW, STRIDE, fps=DEFAULT_FPS),
        source="The generator",
        name=f"everyday life of generated people with seed {seed}",
        clips=len(clips),
        stride=STRIDE,
        fps=DEFAULT_FPS,
    )
    options = TrainOptions(epochs=epochs, seed=seed)
    trained = train_on(
        data, model_config(window=WINDOW), options, HOLD_OUT, parse_channels(EVIDENCE)
    ).checkpoint
    scores = held_out_scores(trained, unseen_windows(seed))
    assert scores is not None  # thousands of windows are finite
    return replace(trained, training={**trained.training, SUMMARY: scores.model_dump()})


def unseen_windows(seed: int = SEED) -> Windows:
    """Return the windows of generated people that no training with the recipe sees."""
    clips = everyday_clips(_HELD_OUT_CLIPS, seed + 1_000_000)
    return make_windows(clips, WINDOW, fps=DEFAULT_FPS)


def held_out_scores(checkpoint: Checkpoint, windows: Windows) -> HeldOutScores | None:
    """Summarise the scores of windows; None when none is finite."""
    people = len(set(zip(windows.clip.tolist(), windows.person.tolist(), strict=True)))
    scores = judge(checkpoint.model, checkpoint.evidence, windows.poses).score
    return HeldOutScores.of(scores, people, separate=True)
