"""How the cost grows with people, cameras, the length of tracks and the size of data, as exponents of a power law."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import cameras
from benchmarks.inputs import Inputs, Settings
from benchmarks.stgnf_algorithm import our_evaluation
from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import read_bundle
from daflow.core.data.frame_masks import read_masks
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import (
    DEFAULT_FPS,
    Track,
    TrackFile,
    find_tracks,
    read_clips,
    write_clips,
)
from daflow.core.data.windows import LENGTH, MAX_MISSING, STGNF_FRAME_SIZE, make_windows
from daflow.core.progress import track
from daflow.core.scoring.onnx import OnnxScorer
from daflow.core.scoring.scorer import Scorer
from daflow.model.flow import ModelConfig
from daflow.model.frame_scores import frame_scores
from daflow.model.untrained import untrained_flow
from daflow.training.options import TrainOptions
from daflow.training.trainer import fit
from runtime.pipeline.camera_pipeline import CameraPipeline
from runtime.poses.people import PeopleFinder
from runtime.profiling.scorers import walker_windows
from runtime.profiling.statistics import Quartiles
from runtime.profiling.timing import interleave
from runtime.sources.frames import Frame
from runtime.sources.synthetic import synthetic_source
from runtime.stage_clock import StageClock

MAX_EXPONENT = 1.1
"""An exponent above this means that the cost grows faster than the work."""
_CONFIDENCE = 0.95
_PERIOD = 256  # frames after which one person's walk repeats
_WARM_UP = 30  # frames until everybody has a window


@dataclass(frozen=True)
class Fit:
    """The exponent of `seconds ~ work ** exponent`, with the ends of its 95 % interval."""

    exponent: float
    low: float
    high: float


def power_law(work: Sequence[float], seconds: Sequence[Sequence[float]]) -> Fit:
    """Fit a line to the logarithms by least squares.

    Args:
        work: `(N,)` how much there was to do.
        seconds: the rounds' seconds of each.

    >>> fit = power_law([1, 2, 4], [[3.0, 3.0], [6.0, 6.0], [12.0, 12.0]])
    >>> round(fit.exponent, 6), round(fit.low, 6), round(fit.high, 6)
    (1.0, 1.0, 1.0)
    """
    from scipy import stats

    x = np.log(np.repeat(work, [len(row) for row in seconds]))
    y = np.log(np.concatenate(seconds))
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, max(len(x) - 2, 1))) * float(line.stderr)
    return Fit(float(line.slope), float(line.slope) - half, float(line.slope) + half)


@dataclass(frozen=True)
class Curve:
    """The cost of more and more of the same work.

    Attributes:
        name: what grows.
        work: the unit of `sizes`.
        cost: what `seconds` are of.
        sizes: how much work.
        seconds: what each took.
        fit: the exponent over all sizes.
        upper: the exponent over the larger half, where a fixed cost hides less.
    """

    name: str
    work: str
    cost: str
    sizes: list[float]
    seconds: list[Quartiles]
    fit: Fit
    upper: Fit

    @property
    def fast_growing(self) -> bool:
        """Whether the cost grows faster than the work."""
        return max(self.fit.exponent, self.upper.exponent) > MAX_EXPONENT


def measure(inputs: Inputs, settings: Settings) -> list[Curve]:
    """Measure every curve."""
    bundle = read_bundle(inputs.bundle)
    with OnnxScorer(bundle.graph("fp32")) as scorer:
        return [
            _people(scorer, settings),
            _cameras(inputs, settings),
            _stay(scorer, settings),
            _track_length(inputs, scorer, settings),
            _training(inputs, settings),
            _evaluation(inputs, settings),
        ]


def _curve(
    name: str, work: str, cost: str, tasks: dict[float, Callable[[], float]], rounds: int, sizes: Sequence[float] = ()
) -> Curve:  # fmt: skip
    timed = interleave(tasks, rounds, lambda numbers: track(numbers, f"scaling, {name}"))
    sizes = list(sizes) or list(timed)
    seconds = list(timed.values())
    half = min(len(sizes) // 2, len(sizes) - 2)
    return Curve(
        name, work, cost, sizes, [Quartiles.of(row) for row in seconds],
        power_law(sizes, seconds), power_law(sizes[half:], seconds[half:]),
    )  # fmt: skip


def _powers(first: int, last: int) -> list[int]:
    return [2**power for power in range(round(math.log2(first)), round(math.log2(last)) + 1)]


def _people(scorer: Scorer, settings: Settings) -> Curve:
    counted = 30 if settings.quick else 200
    tasks: dict[float, Callable[[], float]] = {}
    sizes = []
    for people in _powers(1, 64):
        frames = _frames(people, _WARM_UP + counted)
        tasks[people] = functools.partial(_edge_seconds, scorer, frames, _WARM_UP, counted)
        sizes.append(float(np.mean([len(frame.people or ()) for frame in frames[_WARM_UP:]])))
    return _curve("people before a camera", "people in a frame", "a frame", tasks, settings.rounds, sizes)


def _stay(scorer: Scorer, settings: Settings) -> Curve:
    lengths = _powers(128, 512) if settings.quick else _powers(256, 8192)
    some = _frames(1, _PERIOD)
    tasks: dict[float, Callable[[], float]] = {}
    for length in lengths:
        frames = [Frame(i, i / 25, some[0].size, people=some[i % len(some)].people) for i in range(length)]
        tasks[length] = functools.partial(_edge_seconds, scorer, frames, 0, 1)
    return _curve("frames that a person stays", "frames", "the whole stay", tasks, settings.rounds)


def _frames(people: int, count: int) -> list[Frame]:
    with synthetic_source(f"frames={count},people={people},event=none,seed=1") as source:
        return list(source)


def _edge_seconds(scorer: Scorer, frames: Sequence[Frame], warm_up: int, divisor: int) -> float:
    """Return the seconds of the frames after the warm-up, divided by `divisor`."""
    pipeline = CameraPipeline(
        scorer,
        PeopleFinder(None, DEFAULT_FPS),
        AlarmRule(math.inf, math.inf),
        LENGTH,
        MAX_MISSING,
        StageClock(),
    )
    for frame in frames[:warm_up]:
        pipeline.process(frame)
    began = time.perf_counter()
    for frame in frames[warm_up:]:
        pipeline.process(frame)
    return (time.perf_counter() - began) / divisor


def _cameras(inputs: Inputs, settings: Settings) -> Curve:
    """A frame of every camera, with four people before each, through the whole service in one process."""

    def seconds(count: int) -> float:
        rate = cameras.rate(inputs.bundle, count, 4, 0.5 if settings.quick else 3.0)
        return count / rate["frames_per_second"]

    counts = _powers(1, 2 if settings.quick else 16)
    tasks: dict[float, Callable[[], float]] = {count: functools.partial(seconds, count) for count in counts}
    return _curve(
        "cameras",
        "cameras",
        "a frame of every camera",
        tasks,
        1 if settings.quick else min(settings.rounds, 3),
    )


def _track_length(inputs: Inputs, scorer: Scorer, settings: Settings) -> Curve:
    lengths = _powers(128, 1024) if settings.quick else _powers(256, 16384)
    clip, _ = generate_clip(
        "01_0001", 5, Scene(frames=lengths[-1] + lengths[-1] // 8, people=1, missed_poses=0)
    )
    (track,) = clip.tracks
    tasks: dict[float, Callable[[], float]] = {}
    for length in lengths:
        folder = inputs.folder / f"track{length}"
        short = Track(track.person, track.frames[:length], track.keypoints[:length], track.scores[:length])
        write_clips(folder, [replace(clip, tracks=(short,))])
        (file,) = find_tracks(folder)
        work = functools.partial(_score_file, file, scorer, int(short.frames[-1]) + 1)
        tasks[len(short.frames)] = functools.partial(_seconds, work)
    return _curve("poses of a track", "poses", "from its file to its scores", tasks, settings.rounds)


def _score_file(file: TrackFile, scorer: Scorer, frames: int) -> None:
    windows = make_windows([file.read()])
    frame_scores(scorer.score(windows.poses), windows.middle, frames)


def _training(inputs: Inputs, settings: Settings) -> Curve:
    poses = inputs.windows()
    sizes = _powers(128, 512) if settings.quick else _powers(512, 16384)

    def seconds(count: int) -> float:
        some = np.resize(poses, (count, *poses.shape[1:]))
        return _seconds(lambda: fit(some, ModelConfig(), TrainOptions(epochs=1)))

    tasks: dict[float, Callable[[], float]] = {size: functools.partial(seconds, size) for size in sizes}
    return _curve("windows to train on", "windows", "an epoch", tasks, min(settings.rounds, 3))


def _evaluation(inputs: Inputs, settings: Settings) -> Curve:
    """More and more clips; when there are no others, the same ones under other names."""
    files, masks = find_tracks(inputs.test), read_masks(inputs.masks)
    flow = untrained_flow(ModelConfig(), walker_windows(LENGTH, 256), seed=0)
    tasks: dict[float, Callable[[], float]] = {}
    sizes = []
    for count in _powers(1, 4 if settings.quick else 32):
        folder = inputs.folder / f"clips{count}"
        folder.mkdir()
        labels = {}
        for number in range(count):
            file = files[number % len(files)]
            name = f"90_{number:04d}"
            (folder / f"{name}_alphapose_tracked_person.json").symlink_to(file.path.resolve())
            labels[name] = masks[file.clip]
        sizes.append(float(len(make_windows(read_clips(folder, STGNF_FRAME_SIZE), rule="stgnf"))))
        tasks[count] = lambda folder=folder, labels=labels: our_evaluation(folder, labels, flow)[1]  # type: ignore[misc]
    return _curve(
        "windows to evaluate", "windows", "from the files to the AUC", tasks, min(settings.rounds, 3), sizes
    )


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
