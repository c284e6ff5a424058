"""What the measurements run on: a bundle, pose tracks and a video, given or made here."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import STGNF_FRAME_SIZE, Poses, make_windows
from daflow.core.errors import CheckFailed
from daflow.core.programs import python_module

_EPOCHS = 8  # no figure here depends on how good the model is


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        quick: whether this is only a trial, with small sizes.
        rounds: how often everything that is compared has its turn.
    """

    quick: bool = False
    rounds: int = 5


@dataclass(frozen=True)
class Inputs:
    """Everything that is measured on.

    Attributes:
        folder: for files that are deleted after the run.
        bundle: with a threshold.
        train: pose tracks of normal behaviour.
        test: pose tracks to evaluate on.
        masks: frame masks of these.
        generated: whether the tracks come from the generator.
        video: a recording with people, None for none.
        pose_model: the pose model for it, None for none.
    """

    folder: Path
    bundle: Path
    train: Path
    test: Path
    masks: Path
    generated: bool
    video: Path | None
    pose_model: Path | None

    def windows(self) -> Poses:
        """The windows of the training tracks, `(N, 2, 24, 18)`."""
        return make_windows(read_clips(self.train, STGNF_FRAME_SIZE), stride=6).poses


def prepare(
    folder: Path,
    settings: Settings,
    bundle: Path | None,
    tracks: tuple[Path, Path, Path] | None,
    video: Path | None,
    pose_model: Path | None,
) -> Inputs:
    """Make what was not given.

    Args:
        folder: where to put it.
        settings: how much of it.
        bundle: a bundle with a threshold.
        tracks: folders of training tracks, test tracks and frame masks.
        video: a recording with people.
        pose_model: a `.task` file.

    Raises:
        CheckFailed: a command of the toolkit failed.
    """
    generated = tracks is None
    if tracks is None:
        clips = 4 if settings.quick else 16
        scene = Scene(frames=200 if settings.quick else 600, people=3)
        generate_dataset(folder / "data", seed=1, train_clips=clips, test_clips=clips, scene=scene)
        tracks = folder / "data/train", folder / "data/test", folder / "data/masks"
    bundle = bundle or _make_bundle(folder, tracks[0], settings.quick)
    return Inputs(folder, bundle, *tracks, generated, video, pose_model)


def _make_bundle(folder: Path, train: Path, quick: bool) -> Path:
    model, bundle = folder / "model.pt", folder / "bundle"
    epochs = 1 if quick else _EPOCHS
    run_command("daflow.cli", "train", "--poses", train, "-o", model, "--epochs", epochs, cache=folder)
    int8 = [] if quick else ["--int8", "--calibrate-on", train]
    run_command("export.cli", model, "-o", bundle, *int8, "--no-engine", "--keep-failing")
    run_command("calibration.cli", "alarm", "--bundle", bundle, "--poses", train, "--quantile", "0.999")
    return bundle


def run_command(module: str, *arguments: object, cache: Path | None = None) -> str:
    """Run a module of the toolkit in a process of its own and return what it printed.

    Raises:
        CheckFailed: it failed; the message ends with its last line.
    """
    environment = {**os.environ, **({"XDG_CACHE_HOME": str(cache)} if cache else {})}
    words = python_module(module, *map(str, arguments))
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CheckFailed(f"python -m {module} failed: {lines[-1] if lines else 'it printed nothing'}")
    return done.stdout
