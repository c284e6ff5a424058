"""How much faster is the folded graph than what torch exports by itself?

    python -m benchmarks.folded_graph [--model model.pt]

ONNX Runtime, one thread, one process; the forms take turns, round after round, and the median of each round's best is
taken, so that a busy moment of the machine hits all of them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import onnx
import onnxslim
import torch
from torch import Tensor, nn

from daflow.core.command_line import FILE, Command, json_option, write_json
from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.checkpoint import load_checkpoint
from daflow.model.flow import DAFlow
from daflow.model.skeleton_graph import JOINTS
from export.folded_flow import FoldedFlow
from export.onnx_graph import export_onnx, trace

_BATCHES = (1, 8, 64)
_ROUNDS = 9
_SECONDS_A_ROUND = 0.15


class _Module(nn.Module):
    """The flow as `daflow.model.flow` writes it."""

    def __init__(self, model: DAFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, poses: Tensor) -> Tensor:
        return self.model.nll(poses)


def export_plain(model: DAFlow, path: Path) -> int:
    """Write what torch exports by itself, simplified by onnxslim; return the number of nodes."""
    graph = onnxslim.slim(trace(_Module(model), model.config.window))
    onnx.save(graph, path)
    return len(graph.graph.node)


def measure(paths: dict[str, Path], window: int) -> dict[str, dict[int, float]]:
    """Return microseconds a call of each form for each batch size."""
    rng = np.random.default_rng(0)
    scorers = {name: OnnxScorer(path) for name, path in paths.items()}
    result: dict[str, dict[int, float]] = {name: {} for name in paths}
    for batch in _BATCHES:
        poses = rng.standard_normal((batch, 2, window, JOINTS)).astype(np.float32)
        rounds: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(_ROUNDS):
            for name, scorer in scorers.items():
                rounds[name].append(_median_call(scorer, poses))
        for name, seconds in rounds.items():
            result[name][batch] = 1e6 * float(np.median(seconds))
    return result


def _median_call(scorer: OnnxScorer, poses: np.ndarray) -> float:
    scorer.score(poses)
    calls: list[float] = []
    until = time.perf_counter() + _SECONDS_A_ROUND
    while not calls or time.perf_counter() < until:
        began = time.perf_counter()
        scorer.score(poses)
        calls.append(time.perf_counter() - began)
    return float(np.median(calls))


@click.command(cls=Command)
@click.option("--model", type=FILE, help="The checkpoint to export.  [default: an untrained DA-Flow]")
@json_option("the figures")
def main(model: Path | None, json_target: str | None) -> None:
    """Time the folded graph against torch's own export, simplified by onnxslim, on ONNX Runtime with one thread."""
    torch.manual_seed(0)
    flow = load_checkpoint(model).model if model else DAFlow().eval()
    with tempfile.TemporaryDirectory() as folder:
        names = ("plain", "plain, joints not collapsed", "folded FP32", "folded FP16")
        paths = {name: Path(folder) / f"{index}.onnx" for index, name in enumerate(names)}
        nodes = {names[0]: export_plain(flow, paths[names[0]])}
        for dtype, name in ((torch.float32, names[2]), (torch.float16, names[3])):
            nodes[name] = export_onnx(FoldedFlow(flow, dtype), flow.config.window, paths[name])
        for step in flow.steps:
            step.coupling.graph_conv.collapsed = False  # type: ignore[union-attr]
        nodes[names[1]] = export_plain(flow, paths[names[1]])
        times = measure(paths, flow.config.window)
    if json_target:
        write_json(json_target, {"nodes": nodes, "microseconds": times})
    if json_target == "-":
        return
    click.echo(f"{'':<30}{'nodes':>6}" + "".join(f"{f'{batch} windows':>22}" for batch in _BATCHES))
    for name in names:
        row = (f"{us:.0f} us ({times['plain'][batch] / us:.2f}x)" for batch, us in times[name].items())
        click.echo(f"{name:<30}{nodes[name]:>6}" + "".join(f"{text:>22}" for text in row))


if __name__ == "__main__":
    main()
