"""What the measurements run on: a bundle, pose tracks and a video, given or made here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Effort
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import STGNF_FRAME_SIZE, Poses, make_windows
from daflow.core.errors import CheckFailed, InputError

_LOOPS = 4
_EPOCHS = 8  # how well the model judges changes no figure here


@dataclass(frozen=True)
class Material:
    """Everything that is measured on.

    Attributes:
        folder: of files that are thrown away after the run.
        bundle: with the FP32, FP16 and INT8 graphs, unless another one was given, and a threshold.
        train: pose tracks of normal behaviour.
        test: pose tracks to judge.
        masks: frame masks of these.
        generated: whether the tracks come from the generator.
        video: a recording with people, None for none.
        pose_model: what finds them, None for none.
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
    effort: Effort,
    bundle: Path | None,
    tracks: tuple[Path, Path, Path] | None,
    video: Path | None,
    pose_model: Path | None,
) -> Material:
    """Make what was not given.

    Args:
        folder: where to put it.
        effort: how much of it.
        bundle: a bundle with a threshold.
        tracks: folders of training tracks, test tracks and frame masks.
        video: a recording with people; several loops of it are written.
        pose_model: a `.task` file.

    Raises:
        InputError: something that was given is not there.
        CheckFailed: a command of the toolkit failed.
    """
    generated = tracks is None
    if tracks is None:
        clips = 4 if effort.quick else 16
        scene = Scene(frames=200 if effort.quick else 600, people=3)
        generate_dataset(folder / "data", seed=1, train_clips=clips, test_clips=clips, scene=scene)
        tracks = folder / "data/train", folder / "data/test", folder / "data/masks"
    bundle = bundle or _make_bundle(folder, tracks[0], effort.quick)
    looped = loop_video(video, folder / "loops.mp4", 1 if effort.quick else _LOOPS) if video else None
    return Material(folder, bundle, *tracks, generated, looped, pose_model)


def _make_bundle(folder: Path, train: Path, quick: bool) -> Path:
    model, bundle = folder / "model.pt", folder / "bundle"
    run(
        "daflow.cli",
        "train",
        "--poses",
        train,
        "-o",
        model,
        "--epochs",
        1 if quick else _EPOCHS,
        cache=folder,
    )
    int8 = [] if quick else ["--int8", "--calibrate-on", train]
    run("export.cli", model, "-o", bundle, *int8, "--no-engine", "--keep-failing")
    run("calibration.cli", "alarm", "--bundle", bundle, "--poses", train, "--quantile", "0.999")
    return bundle


def run(module: str, *arguments: object, cache: Path | None = None) -> str:
    """Run a command of the toolkit and return what it printed.

    Raises:
        CheckFailed: it failed; the message ends with what it said.
    """
    environment = {**os.environ, **({"XDG_CACHE_HOME": str(cache)} if cache else {})}
    done = subprocess.run(
        command(module, *arguments), capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CheckFailed(f"python -m {module} failed: {said[-1] if said else 'it said nothing'}")
    return done.stdout


def command(module: str, *arguments: object) -> list[str]:
    """The words of a command of the toolkit, as its script would run it."""
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]


def loop_video(video: Path, target: Path, loops: int) -> Path:
    """Write a video several times over into one file, without coding it again."""
    import av

    if not video.is_file():
        raise InputError(f"There is no video {video}.")
    with av.open(str(target), "w") as output:
        stream: Any = None
        end = 0
        for _ in range(loops):
            with av.open(str(video)) as source:
                template = source.streams.video[0]
                stream = stream or output.add_stream_from_template(template)
                begin, last = end, end
                for packet in source.demux(template):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += begin
                    packet.dts += begin
                    last = max(last, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    output.mux(packet)
                end = last
    return target


def random_windows(count: int, window: int = 24) -> Poses:
    """Windows of noise, `(count, 2, T, 18)`: the time of a call does not depend on what is in them."""
    return np.random.default_rng(0).standard_normal((count, 2, window, 18)).astype(np.float32)
