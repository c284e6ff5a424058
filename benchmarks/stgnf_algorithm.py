"""Training throughput and full evaluation time against a model of how STG-NF's public code works.

`Reference` below is written for this comparison, after reading github.com/orhir/STG-NF; it is not their code. It keeps
what costs time there: windows grown one by one through array copies, every sample fetched and normalised on its own by
a Python dataset, each joint's graph convolution computed although all are equal, and a score search through all
metadata for each person. It leaves out what is only overhead (plots, logs, confidences), so it flatters STG-NF.

    python -m benchmarks.stgnf_algorithm --train data/train --test data/test --masks data/masks
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from daflow.command import FOLDER, Command
from daflow.evaluation import evaluate
from daflow.masks import Labels, read_masks
from daflow.model import DAFlow, GraphConv, ModelConfig
from daflow.tracks import Clip, read_clips
from daflow.training import TrainOptions, mirrored, score, train
from daflow.windows import STGNF_FRAME_SIZE, make_windows

_LENGTH = 24
_BATCH = 256
_STEPS = 12  # of training that are timed


class Samples(Dataset[Tensor]):
    """Windows cut one by one from tracks, normalised when they are asked for."""

    def __init__(self, clips: list[Clip], stride: int, mirror: bool) -> None:
        self.transforms = 2 if mirror else 1
        parts, self.metadata = [], []
        for index, clip in enumerate(clips):
            grown = np.empty((0, _LENGTH, 18, 2), dtype=np.float32)
            for track in clip.tracks:
                frames, points = track.frames.tolist(), track.points()
                for first in range(0, len(frames) - _LENGTH, stride):
                    expected = set(range(frames[first], frames[first] + _LENGTH))
                    if len(expected & set(frames[first : first + _LENGTH])) < _LENGTH - 2:
                        continue
                    grown = np.append(grown, points[None, first : first + _LENGTH], axis=0)
                    self.metadata.append([index, track.person, frames[first]])
            parts.append(grown)
        self.poses = np.concatenate(parts).transpose(0, 3, 1, 2)

    def __len__(self) -> int:
        return len(self.poses) * self.transforms

    def __getitem__(self, index: int) -> Tensor:
        window = np.array(self.poses[index % len(self.poses)]).transpose(1, 2, 0)[None]
        window = window / np.array(STGNF_FRAME_SIZE)
        window = (window - window.mean(axis=(1, 2))[:, None, None]) / window[..., 1].std(axis=(1, 2))[
            :, None, None, None
        ]
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


def reference_evaluation(clips: list[Clip], masks: dict[str, Labels], flow: DAFlow) -> tuple[float, float]:
    """Return the micro AUC and the seconds that it took."""
    began = time.perf_counter()
    samples = Samples(clips, stride=1, mirror=False)
    nll = torch.empty(0)
    with torch.no_grad():
        for batch in DataLoader(samples, _BATCH):
            nll = torch.cat([nll, flow.nll(batch)])
    normality, metadata = -nll.numpy(), np.array(samples.metadata)
    of_clips, labels = [], []
    for index, clip in enumerate(clips):
        frames = len(masks[clip.name])
        people = set(metadata[metadata[:, 0] == index][:, 1])
        scores = {person: np.full(frames, np.inf) for person in people} or {0: np.full(frames, np.inf)}
        for person in people:
            rows = np.where((metadata[:, 0] == index) & (metadata[:, 1] == person))[0]
            where = np.array([samples.metadata[row][2] for row in rows]) + _LENGTH // 2
            inside = where < frames
            scores[person][where[inside]] = normality[rows][inside]
        of_clips.append(np.amin(np.stack(list(scores.values())), axis=0))
        labels.append(1 - masks[clip.name])
    best = max(float(clip[np.isfinite(clip)].max()) for clip in of_clips if np.isfinite(clip).any())
    smoothed: list[npt.NDArray[np.float64]] = []
    for clip_scores in of_clips:
        clip_scores[np.isinf(clip_scores)] = best
        for sigma in range(1, 7):
            clip_scores = gaussian_filter1d(clip_scores, sigma)  # noqa: PLW2901
        smoothed.append(clip_scores)
    auc = float(roc_auc_score(np.concatenate(labels), np.concatenate(smoothed)))
    return auc, time.perf_counter() - began


def our_evaluation(clips: list[Clip], masks: dict[str, Labels], flow: DAFlow) -> tuple[float, float]:
    """The same by this toolkit."""
    began = time.perf_counter()
    windows = make_windows(clips, _LENGTH, rule="stgnf")
    result = evaluate(score(flow, windows.poses).numpy(), windows, clips, masks, _LENGTH)
    assert result.micro.auc is not None
    return result.micro.auc, time.perf_counter() - began


def reference_training(clips: list[Clip]) -> float:
    """Return the windows a second of some steps of training, without the set-up."""
    loader = DataLoader(Samples(clips, stride=6, mirror=True), _BATCH, shuffle=True)
    torch.manual_seed(0)
    flow = DAFlow(ModelConfig(block="tcn")).train()
    batches = iter(loader)
    flow.initialise(next(batches))
    flow = plain_flow(flow)
    optimizer = torch.optim.Adamax(flow.parameters(), lr=5e-4, weight_decay=5e-5)
    began, seen = time.perf_counter(), 0
    for _, batch in zip(range(_STEPS), batches, strict=False):
        flow.nll(batch).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 100)
        optimizer.step()
        optimizer.zero_grad()
        seen += len(batch)
    return seen / (time.perf_counter() - began)


def our_training(clips: list[Clip], block: str) -> float:
    """Return the windows a second of this toolkit, one epoch with its default options."""
    poses = make_windows(clips, _LENGTH, stride=6).poses
    began = time.perf_counter()
    train(poses, ModelConfig(block="tcn" if block == "tcn" else "dam"), TrainOptions(epochs=1))
    return 2 * len(poses) / (time.perf_counter() - began)


@click.command(cls=Command)
@click.option("--train", "train_poses", type=FOLDER, required=True, help="Folder of pose tracks to train on.")
@click.option("--test", "test_poses", type=FOLDER, required=True, help="Folder of pose tracks to judge.")
@click.option("--masks", type=FOLDER, required=True, help="Frame masks of the test tracks.")
@click.option(
    "--rounds", default=3, type=click.IntRange(1), help="Rounds of training, in turn; the median counts."
)
def main(train_poses: Path, test_poses: Path, masks: Path, rounds: int) -> None:
    """Compare speed with a model of STG-NF's algorithm, in one run."""
    normal = read_clips(train_poses, STGNF_FRAME_SIZE)
    speeds = np.array(
        [
            (reference_training(normal), our_training(normal, "dam"), our_training(normal, "tcn"))
            for _ in range(rounds)
        ]
    )
    theirs, dam, tcn = np.median(speeds, axis=0)
    click.echo(f"training, windows/s: STG-NF's algorithm {theirs:.0f}, DA-Flow here {dam:.0f} ({dam / theirs:.1f}x), "
               f"STG-NF's block here {tcn:.0f} ({tcn / theirs:.1f}x)")  # fmt: skip
    clips, labels = read_clips(test_poses, STGNF_FRAME_SIZE), read_masks(masks)
    clips = [clip for clip in clips if clip.name in labels]
    torch.manual_seed(0)
    flow = DAFlow(ModelConfig(block="tcn")).eval()
    flow.initialise(torch.from_numpy(make_windows(normal, _LENGTH, stride=6).poses))
    our_auc, ours = our_evaluation(clips, labels, flow)
    their_auc, theirs = reference_evaluation(clips, labels, plain_flow(flow))
    click.echo(f"evaluation without reading the files, s: STG-NF's algorithm {theirs:.1f}, here {ours:.1f} "
               f"({theirs / ours:.1f}x); AUC of both {100 * their_auc:.3f} and {100 * our_auc:.3f} %")  # fmt: skip


if __name__ == "__main__":
    main()
