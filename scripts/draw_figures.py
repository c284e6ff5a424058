#!/usr/bin/env python
"""Draws the figures of docs/model.md: generated people, and the output of a model that was trained on walkers.

.venv/bin/python scripts/draw_figures.py [FOLDER]        docs without it; about half a minute
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.patches import Rectangle

from daflow.core.alarms.rule import AlarmRule, AlarmState
from daflow.core.data.skeleton import OPENPOSE_BONES, OPENPOSE_JOINTS
from daflow.core.data.synthetic import Scene, generate_clip, generate_dataset
from daflow.core.data.tracks import Clip, read_clips
from daflow.core.data.windows import LENGTH, make_windows, normalise
from daflow.model.flow import DAFlow, FlowStep, ModelConfig
from daflow.model.torch_scorer import score
from daflow.training.options import TrainOptions
from daflow.training.trainer import fit

DOCS = Path(__file__).parents[1] / "docs"
BLUE, RED, GREY, INK = "#1f5fa8", "#d8382e", "#d9d9d9", "#222222"
_DPI = 110
_EPOCHS = 12


def trained_model() -> tuple[DAFlow, npt.NDArray[np.float32]]:
    """Return a model that was trained on generated walkers, and the scores of its training windows."""
    with tempfile.TemporaryDirectory() as folder:
        generate_dataset(Path(folder), seed=0, train_clips=12, test_clips=1)
        windows = make_windows(read_clips(Path(folder) / "train"), stride=6)
    held_out = np.zeros(len(windows), dtype=np.bool_)
    model = fit(windows.poses, ModelConfig(), TrainOptions(epochs=_EPOCHS), held_out).model.eval()
    return model, score(model, windows.poses).numpy()


def draw_step(path: Path) -> None:
    """Draw one step of the flow as boxes."""
    figure, axis = plt.subplots(figsize=(12, 5.2), layout="constrained")
    axis.set(xlim=(0, 24), ylim=(0, 10.4))
    axis.axis("off")
    _box(axis, 0.2, 4.4, 2.6, 1.6, "window\n2 x 24 x 18", "#ffffff")
    _box(axis, 3.9, 4.4, 2.6, 1.6, "ActNorm\nscale, shift", "#e8f0f8")
    _box(axis, 7.4, 4.4, 2.2, 1.6, "swap x, y\nand split", "#e8f0f8")
    _box(axis, 19.2, 1.4, 2.0, 1.6, "join", "#e8f0f8")
    _box(axis, 21.9, 1.4, 2.0, 1.6, "next step\n(8 in all)", "#ffffff")
    axis.add_patch(Rectangle((10.5, 4.6), 8.2, 5.4, facecolor="#fbf3e6", edgecolor="#c9a96a"))
    axis.text(14.6, 9.45, "coupling network", ha="center", fontsize=10, color="#80632c")
    _box(axis, 10.9, 7.4, 2.5, 1.5, "graph\nconvolution", "#ffffff")
    _box(axis, 14.1, 7.4, 2.2, 1.5, "dual\nattention", "#ffffff")
    _box(axis, 10.9, 5.0, 2.5, 1.5, "residual\n(not in step 1)", "#ffffff")
    _box(axis, 17.0, 6.2, 1.3, 1.5, "+\nReLU", "#ffffff")
    _box(axis, 14.2, 1.4, 4.2, 1.6, "(z2 + shift) x scale", "#e8f0f8")
    for begin, end in (
        ((2.8, 5.2), (3.9, 5.2)), ((6.5, 5.2), (7.4, 5.2)), ((9.6, 5.75), (10.9, 8.15)), ((9.6, 5.75), (10.9, 5.75)),
        ((13.4, 8.15), (14.1, 8.15)), ((16.3, 8.15), (17.0, 7.3)), ((13.4, 5.75), (17.0, 6.6)),
        ((17.65, 6.2), (17.65, 3.0)), ((8.5, 4.4), (14.2, 2.2)), ((18.4, 2.2), (19.2, 2.2)),
        ((21.2, 2.2), (21.9, 2.2)),
    ):  # fmt: skip
        _arrow(axis, begin, end)
    axis.plot([9.6, 10.2, 10.2, 20.2, 20.2], [5.3, 5.3, 4.1, 4.1, 3.25], color=BLUE, linewidth=1.4)
    _arrow(axis, (20.2, 3.4), (20.2, 3.0), BLUE)
    axis.text(9.75, 7.2, "z1", fontsize=11, color=BLUE)
    axis.text(14.0, 4.22, "z1, unchanged", fontsize=9, color=BLUE, ha="right")
    axis.text(10.6, 2.75, "z2", fontsize=11, color=BLUE)
    axis.text(17.4, 3.4, "shift, scale = sigmoid(. + 2)", fontsize=9, ha="right", color=INK)
    axis.text(
        16.3,
        0.6,
        "log det, how much the step stretches: the sum of log scale, and of ActNorm's",
        ha="center",
        fontsize=9,
        color=INK,
    )
    _save(figure, path)


def draw_window(path: Path, walk: Clip, fall: Clip, begin: int) -> None:
    """Draw skeletons in pixels and as normalised windows."""
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 8.2), layout="constrained")
    for row, (name, clip, start) in enumerate((("walking", walk, begin), ("falling", fall, begin))):
        track = clip.tracks[0]
        first = int(np.searchsorted(track.frames, start))
        points = track.points()[first : first + LENGTH]
        window, _ = normalise(points.transpose(2, 0, 1)[None], clip.frame_size)
        shades = plt.get_cmap("viridis")(np.linspace(0.05, 0.9, LENGTH))
        left, right = axes[row]
        for frame in (*range(0, LENGTH, 6), LENGTH - 1):
            _skeleton(left, points[frame], shades[frame])
            _skeleton(right, window[0, :, frame].T, shades[frame])
        x, y = (points.min(axis=(0, 1)) + points.max(axis=(0, 1))) / 2
        left.set(xlim=(x - 190, x + 190), ylim=(y + 190, y - 190), ylabel="y, pixels", aspect="equal")
        left.set_title(f"{name}: five of 24 poses, in pixels", fontsize=10, loc="left")
        right.set(xlim=(-3.2, 3.2), ylim=(3.2, -3.2), aspect="equal")
        right.set_title("the same as a normalised window", fontsize=10, loc="left")
        right.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        right.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    axes[1, 0].set_xlabel("x, pixels")
    axes[1, 1].set_xlabel("mean 0; in units of the spread of y")
    _save(figure, path)


def draw_attention(path: Path, model: DAFlow, walk: Clip, fall: Clip, begin: int) -> None:
    """Draw the weights of both attentions of one step, for a walking and a falling window."""
    figure, axes = plt.subplots(
        2, 2, figsize=(11, 5.4), layout="constrained", gridspec_kw={"width_ratios": [1.25, 1]}
    )
    for row, (name, clip) in enumerate((("walking", walk), ("falling", fall))):
        joints, moments = _attention(model.steps[3], model, _window(clip, begin))
        left, right = axes[row]
        for axis, weights in ((left, joints), (right, moments.T)):
            drawn = axis.imshow(weights, aspect="auto", cmap="Blues", vmin=0, vmax=1)
            axis.set_yticks([0, 1], ["shift", "scale"], fontsize=8)
        left.set_ylabel(name, fontsize=11)
        left.set_xticks(range(18), [n.replace("_", " ") for n in OPENPOSE_JOINTS], rotation=90, fontsize=7)
    axes[0, 0].set_title("skeleton attention: weight of each joint", fontsize=10, loc="left")
    axes[0, 1].set_title("frame attention: weight of each moment", fontsize=10, loc="left")
    axes[1, 1].set_xlabel("pose of the window", fontsize=9)
    figure.colorbar(drawn, ax=axes[:, 1], shrink=0.8)
    _save(figure, path)


def draw_fall(path: Path, model: DAFlow, normal: npt.NDArray[np.float32], fall: Clip, mask: Any) -> None:
    """Draw the score of a person who falls, and the alarm."""
    track = fall.tracks[0]
    windows = make_windows([fall])
    own = windows.person == track.person
    nll = score(model, windows.poses[own]).numpy()
    ends = track.frames[np.searchsorted(track.frames, windows.start[own]) + LENGTH - 1]
    threshold = float(np.quantile(normal.astype(np.float64), 0.999))
    alarm = AlarmState(AlarmRule(threshold, threshold))
    scores = zip(ends.tolist(), nll.tolist(), strict=True)
    begun = [frame / 25 for frame, value in scores if alarm.update(frame / 25, value) == "begin"]
    first = np.flatnonzero(mask)[0] / 25
    figure, (above, axis) = plt.subplots(
        2, 1, figsize=(11, 5.6), layout="constrained", gridspec_kw={"height_ratios": [1, 1.9]}, sharex=True
    )
    span = first - 4, first + 6
    for moment in np.arange(span[0] + 0.5, span[1], 1.0):
        index = int(np.searchsorted(track.frames, moment * 25))
        pose = track.points()[min(index, len(track.frames) - 1)]
        pose = (pose - pose.mean(axis=0)) / 330
        _skeleton(above, pose * (1, -1) + (moment, 0), RED if moment >= first else BLUE)
    above.set(ylim=(-0.55, 0.55), aspect="equal")
    above.axis("off")
    axis.axvspan(first, fall_end := span[1], color=GREY, label="the fall, and lying", zorder=0)
    axis.plot(ends / 25, nll, color=BLUE, label="score of the last 24 poses")
    axis.axhline(
        threshold, color=RED, linestyle="--", linewidth=1.1, label="threshold: 99.9 % of the normal windows"
    )
    inside = [moment for moment in begun if span[0] <= moment <= fall_end]
    for number, moment in enumerate(inside):
        axis.axvline(moment, color=RED, linewidth=1.4, label="alarm begins" if number == 0 else None)
    axis.set(xlim=span, xlabel="seconds", ylabel="bits per dimension", yscale="log")
    axis.set_yticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
    axis.minorticks_off()
    axis.legend(loc="upper left", frameon=False, fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _window(clip: Clip, begin: int) -> torch.Tensor:
    track = clip.tracks[0]
    first = int(np.searchsorted(track.frames, begin))
    points = track.points()[first : first + LENGTH].transpose(2, 0, 1)[None]
    return torch.from_numpy(normalise(points, clip.frame_size)[0])


@torch.no_grad()
def _attention(wanted: Any, model: DAFlow, x: torch.Tensor) -> tuple[Any, Any]:
    """Return the weights of both attentions in a step: `(2, 18)` of the joints and `(24, 2)` of the frames."""
    for step in model.steps:
        assert isinstance(step, FlowStep)
        if step is wanted:
            network: Any = step.coupling
            h = network.graph_conv(step.actnorm(x)[0][:, 1:])
            joints, moments = network.block.branches
            pooled = h.amax(dim=2).expand(-1, -1, 18)
            return joints.gate(pooled)[0].numpy(), moments.gate(h.amax(dim=3).transpose(1, 2))[0].numpy()
        x, _ = step(x)
    raise ValueError("the step is not one of the model's")


def _skeleton(axis: Any, points: Any, colour: Any) -> None:
    for a, b in OPENPOSE_BONES:
        axis.plot(*points[[a, b]].T, color=colour, linewidth=1.6, solid_capstyle="round")


def _box(axis: Any, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    axis.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor=INK, linewidth=1))
    axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9.5, color=INK)


def _arrow(axis: Any, begin: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    axis.annotate("", end, begin, arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.3})


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    plt.close(figure)


def main(folder: Path) -> None:
    """Draw all figures."""
    walk, _ = generate_clip("walk", seed=2, scene=Scene(people=1, frames=400))
    fall, mask = generate_clip("fall", seed=1, scene=Scene(people=1, frames=400, event="fall"))
    begin = int(np.flatnonzero(mask)[0])
    draw_step(folder / "flow-step.png")
    draw_window(folder / "window.png", walk, fall, begin)
    model, normal = trained_model()
    draw_attention(folder / "dual-attention.png", model, walk, fall, begin)
    draw_fall(folder / "fall-score.png", model, normal, fall, mask)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
