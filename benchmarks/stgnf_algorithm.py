"""Training throughput and full evaluation time against a model of how STG-NF's public code works.

The model is written for this comparison, after reading github.com/orhir/STG-NF; it is not their code. It keeps what
costs time there: windows and single poses gathered one by one through array copies, a list search and a set for every
window, every sample fetched and normalised on its own by a Python dataset with eight loading processes, each joint's
graph convolution computed although all are equal, and a search through all metadata for each person.

    python -m benchmarks.stgnf_algorithm --train data/train --test data/test --masks data/masks
"""

from __future__ import annotations

import copy
import functools
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from daflow.core.command_line import FOLDER, Command
from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.tracks import find_tracks, read_clips
from daflow.core.data.windows import STGNF_FRAME_SIZE, Poses, make_windows
from daflow.core.progress import track
from daflow.evaluation.auc import evaluate_windows
from daflow.model.flow import DAFlow, GraphConv, ModelConfig
from daflow.model.torch_scorer import score
from daflow.training.options import TrainOptions
from daflow.training.trainer import fit, mirrored
from runtime.profiling.statistics import Quartiles, ratios
from runtime.profiling.tables import Table
from runtime.profiling.text import table_text
from runtime.profiling.timing import interleave

Numbers = npt.NDArray[np.float64]

_LENGTH = 24
_BATCH = 256
_INITIAL_WINDOWS = 4096  # enough to initialise the flow


class Samples(Dataset[Tensor]):
    """Windows cut one by one from tracks, normalised when they are asked for."""

    def __init__(self, folder: Path, stride: int, mirror: bool) -> None:
        self.transforms = 2 if mirror else 1
        self.metadata: list[list[Any]] = []
        parts: list[Numbers] = []
        every_pose: list[Numbers] = []
        for file in find_tracks(folder, STGNF_FRAME_SIZE):
            content = json.loads(file.path.read_text(encoding="utf-8"))
            of_clip = []
            for person in sorted(content, key=int):
                keys = sorted(content[person], key=int)
                poses = np.stack([np.array(content[person][key]["keypoints"]).reshape(-1, 3) for key in keys])
                frames = [int(key) for key in keys]
                of_clip.append(self._cut(poses, frames, _LENGTH, stride, (file.clip, int(person))))
                every_pose.append(self._cut(poses, frames, 1, 1, None))
            np.concatenate(every_pose)  # of all clips so far, at every clip
            parts.append(np.concatenate(of_clip) if of_clip else np.empty((0, _LENGTH, 17, 3)))
        to_openpose(np.concatenate(every_pose))
        joints = np.asarray(to_openpose(np.concatenate(parts)[..., :2]), dtype=np.float32)
        self.poses = joints.transpose(0, 3, 1, 2)

    def _cut(
        self, poses: Numbers, frames: list[int], length: int, stride: int, owner: tuple[str, int] | None
    ) -> Numbers:
        """Gather the windows of one person, growing an array by one window at a time."""
        grown = np.empty((0, length, *poses.shape[1:]))
        for first in range(0, len(poses) - length, stride):
            start = frames.index(frames[first])
            expected = set(range(frames[first], frames[first] + length))
            if len(expected & set(frames[start : start + length])) >= length - 2:
                grown = np.append(grown, poses[None, first : first + length], axis=0)
                if owner:
                    self.metadata.append([*owner, frames[first]])
        return grown

    def __len__(self) -> int:
        return len(self.poses) * self.transforms

    def __getitem__(self, index: int) -> Tensor:
        window = np.array(self.poses[index % len(self.poses)]).transpose(1, 2, 0)[None]
        window = window / np.array(STGNF_FRAME_SIZE)
        spread = window[..., 1].std(axis=(1, 2))
        window = (window - window.mean(axis=(1, 2))[:, None, None]) / spread[:, None, None, None]
        sample = torch.from_numpy(window[0].transpose(2, 0, 1)).float()
        return mirrored(sample[None])[0] if index >= len(self.poses) else sample


class PlainGraphConv(nn.Module):
    """The graph convolution without the shortcut for equal joints: a convolution and a sum over all pairs of joints."""

    def __init__(self, ours: GraphConv) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, ours.conv.out_channels, kernel_size=1)
        self.conv.load_state_dict(ours.conv.state_dict())
        self.adjacency = ours.adjacency

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, 1, T, V)` to `(B, 2, T, V)`."""
        batch, _, frames, joints = x.shape
        h = self.conv(x).view(batch, len(self.adjacency), -1, frames, joints)
        return torch.einsum("nkctv,kvw->nctw", h, self.adjacency).contiguous()


def plain_flow(flow: DAFlow) -> DAFlow:
    """Replace what this toolkit computes faster by what STG-NF computes; the scores stay the same."""
    for step in flow.steps:
        network: Any = step.coupling
        network.graph_conv = PlainGraphConv(network.graph_conv)
        if network.residual is not None:
            conv = nn.Conv2d(1, 2, kernel_size=1)
            conv.load_state_dict(network.residual[0].state_dict())
            network.residual[0] = conv
    return flow


def reference_evaluation(
    poses: Path, masks: dict[str, Labels], flow: DAFlow, loaders: int
) -> tuple[float, float]:
    """Return the micro AUC and the seconds that it took, from the files on."""
    began = time.perf_counter()
    samples = Samples(poses, stride=1, mirror=False)
    nll = torch.empty(0)
    with torch.no_grad():
        for batch in DataLoader(samples, _BATCH, num_workers=loaders):
            nll = torch.cat([nll, flow.nll(batch)])
    normality = -nll.numpy()
    metadata = np.array(samples.metadata, dtype=object)
    of_clips, labels = [], []
    for clip, mask in masks.items():
        frames = len(mask)
        people = set(metadata[metadata[:, 0] == clip][:, 1])
        scores = {person: np.full(frames, np.inf) for person in people} or {0: np.full(frames, np.inf)}
        for person in people:
            rows = np.where((metadata[:, 0] == clip) & (metadata[:, 1] == person))[0]
            where = np.array([samples.metadata[row][2] for row in rows]) + _LENGTH // 2
            inside = where < frames
            scores[person][where[inside]] = normality[rows][inside]
        of_clips.append(np.amin(np.stack(list(scores.values())), axis=0))
        labels.append(1 - mask)
    best = max(float(scored[np.isfinite(scored)].max()) for scored in of_clips if np.isfinite(scored).any())
    smoothed: list[npt.NDArray[np.float64]] = []
    for clip_scores in of_clips:
        clip_scores[np.isinf(clip_scores)] = best
        for sigma in range(1, 7):
            clip_scores = gaussian_filter1d(clip_scores, sigma)  # noqa: PLW2901
        smoothed.append(clip_scores)
    auc = float(roc_auc_score(np.concatenate(labels), np.concatenate(smoothed)))
    return auc, time.perf_counter() - began


def our_evaluation(poses: Path, masks: dict[str, Labels], flow: DAFlow) -> tuple[float, float]:
    """The same by this toolkit."""
    began = time.perf_counter()
    clips = read_clips(poses, STGNF_FRAME_SIZE)
    windows = make_windows(clips, _LENGTH, rule="stgnf")
    result = evaluate_windows(score(flow, windows.poses).numpy(), windows, clips, masks)
    assert result.micro.auc is not None
    return result.micro.auc, time.perf_counter() - began


def reference_training(samples: Samples, loaders: int) -> float:
    """Return the windows per second of an epoch of training, without the set-up."""
    torch.manual_seed(0)
    flow = DAFlow(ModelConfig(block="tcn")).train()
    flow.initialise(torch.stack([samples[index] for index in range(min(_BATCH, len(samples)))]))
    flow = plain_flow(flow)
    optimizer = torch.optim.Adamax(flow.parameters(), lr=5e-4, weight_decay=5e-5)
    began = time.perf_counter()
    for batch in DataLoader(samples, _BATCH, shuffle=True, num_workers=loaders):
        flow.nll(batch).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 100)
        optimizer.step()
        optimizer.zero_grad()
    return len(samples) / (time.perf_counter() - began)


def our_training(poses: Poses, block: Literal["dam", "tcn"], threads: int = 1) -> float:
    """Return the windows per second of this toolkit, an epoch with its default options."""
    began = time.perf_counter()
    fit(poses, ModelConfig(block=block), TrainOptions(epochs=1, threads=threads))
    return 2 * len(poses) / (time.perf_counter() - began)


@dataclass(frozen=True)
class Task:
    """The same work by both.

    Attributes:
        name: of the work.
        unit: of the figures.
        reference: figure of the model of STG-NF's algorithm.
        ours: figure of this toolkit.
        speedup: how many times as fast this toolkit is.
    """

    name: str
    unit: str
    reference: Quartiles
    ours: Quartiles
    speedup: Quartiles


@dataclass(frozen=True)
class SpeedComparison:
    """All tasks, what they were done on, and the micro AUC of the same untrained model by both, in %."""

    tasks: list[Task]
    training_windows: int
    loaders: int
    reference_auc: float
    our_auc: float

    def table(self) -> Table:
        """The tasks with quartiles."""
        rows = []
        for task in self.tasks:
            figures = [
                f"{figure.median:,.4g} ({figure.low:,.4g} to {figure.high:,.4g}) {task.unit}"
                for figure in (task.reference, task.ours)
            ]
            speedup = task.speedup
            rows.append(
                [task.name, *figures, f"{speedup.median:.2f}x ({speedup.low:.2f} to {speedup.high:.2f})"]
            )
        return Table(["task", "STG-NF's algorithm", "here", "times as fast"], rows)


def measure(train_poses: Path, test_poses: Path, masks: Path, rounds: int, loaders: int) -> SpeedComparison:
    """Time an epoch of training and a whole evaluation, from the files to the AUC, both in turn.

    Args:
        train_poses: folder of pose tracks to train on.
        test_poses: folder of pose tracks to evaluate on.
        masks: frame masks of these.
        rounds: how often each has its turn.
        loaders: loading processes of the reference.
    """
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    normal = make_windows(read_clips(train_poses, STGNF_FRAME_SIZE), _LENGTH, stride=6).poses
    samples = Samples(train_poses, stride=6, mirror=True)
    our_training(normal[:4], "dam")  # the first training of a process also loads parts of torch
    training = interleave(
        {
            "reference": functools.partial(reference_training, samples, loaders),
            "DA-Flow": functools.partial(our_training, normal, "dam"),
            "DA-Flow on 2 threads": functools.partial(our_training, normal, "dam", threads=2),
            "STG-NF's block": functools.partial(our_training, normal, "tcn"),
        },
        rounds,
        lambda numbers: track(numbers, "rounds of training"),
    )
    reference = training.pop("reference")
    tasks = [
        Task(
            f"training an epoch, {name} here", "windows/s", Quartiles.of(reference), Quartiles.of(ours),
            ratios(ours, reference),
        )
        for name, ours in training.items()
    ]  # fmt: skip
    torch.manual_seed(0)
    flow = DAFlow(ModelConfig(block="tcn")).eval()
    flow.initialise(torch.from_numpy(normal[:_INITIAL_WINDOWS]))
    labels = read_masks(masks)
    evaluation = interleave(
        {
            "reference": functools.partial(
                reference_evaluation, test_poses, labels, plain_flow(copy.deepcopy(flow)), loaders
            ),
            "ours": functools.partial(our_evaluation, test_poses, labels, flow),
        },
        rounds,
        lambda numbers: track(numbers, "rounds of evaluation"),
    )
    theirs, ours = ([seconds for _, seconds in evaluation[name]] for name in ("reference", "ours"))
    name = "evaluation, from the files to the AUC"
    tasks.append(Task(name, "s", Quartiles.of(theirs), Quartiles.of(ours), ratios(theirs, ours)))
    aucs = [round(100 * evaluation[name][0][0], 3) for name in ("reference", "ours")]
    return SpeedComparison(tasks, len(normal), loaders, *aucs)


@click.command(cls=Command)
@click.option("--train", "train_poses", type=FOLDER, required=True, help="Folder of pose tracks to train on.")
@click.option(
    "--test", "test_poses", type=FOLDER, required=True, help="Folder of pose tracks to evaluate on."
)
@click.option("--masks", type=FOLDER, required=True, help="Frame masks of the test tracks.")
@click.option("--rounds", default=3, type=click.IntRange(1), help="How often each has its turn.")
@click.option(
    "--loaders", default=8, type=click.IntRange(0), help="STG-NF's loading processes; 8 is its default."
)
def main(train_poses: Path, test_poses: Path, masks: Path, rounds: int, loaders: int) -> None:
    """Compare speed with a model of STG-NF's algorithm, in one run."""
    found = measure(train_poses, test_poses, masks, rounds, loaders)
    for line in table_text(found.table()):
        click.echo(line)
    click.echo(f"AUC of both {found.reference_auc:.3f} and {found.our_auc:.3f} %")


if __name__ == "__main__":
    main()
