"""How much faster is the folded graph than PyTorch, and than what torch exports by itself?

    python -m benchmarks.folded_graph [--model model.pt]

One thread, one process; the forms take turns.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import onnx
import onnxslim
import torch
from torch import Tensor, nn

from benchmarks.inputs import Settings
from benchmarks.stgnf_algorithm import plain_flow
from daflow.core.command_line import FILE, Command, json_option, write_json
from daflow.core.data.windows import Poses
from daflow.core.evidence import Scored
from daflow.core.progress import track
from daflow.core.scoring.comparison import ScoreFunction
from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.checkpoint import load_checkpoint
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.torch_scorer import torch_threads
from daflow.model.untrained import untrained_flow
from export.folded_flow import FoldedFlow
from export.onnx_graph import export_onnx, trace
from runtime.profiling.profile import ScorerComparison
from runtime.profiling.scorers import Candidate, measure_scorers, walker_windows
from runtime.profiling.tables import scorer_table
from runtime.profiling.text import table_text

BATCHES = (1, 8, 64)
PYTORCH, EXPORT = "PyTorch", "plain ONNX export"
_SECONDS_PER_TURN = 0.12


@dataclass
class Form:
    """A model in one form, as a `Scorer`; `nodes` counts those of its graph, None without one."""

    name: str
    score: ScoreFunction
    nodes: int | None = None

    def judge(self, poses: Poses) -> Scored:
        """Score windows `(B, 2, T, 18)`."""
        return Scored(self.score(poses))

    def __enter__(self) -> Form:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Nll(nn.Module):
    """The flow as `daflow.model.flow` writes it, for torch's export."""

    def __init__(self, model: DAFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, poses: Tensor) -> Tensor:
        return self.model.nll(poses)


def forms_of(flow: DAFlow, folder: Path) -> list[Form]:
    """Return the forms of a model; `folder` takes their graphs.

    'Every pair of joints' computes the graph convolution without the shortcut for equal joints, as STG-NF's code does.
    """
    folder.mkdir(exist_ok=True)
    plain = onnxslim.slim(trace(_Nll(flow), flow.config.window))
    onnx.save(plain, folder / "plain.onnx")
    forms = [
        Form(f"{PYTORCH}, every pair of joints", _in_torch(plain_flow(copy.deepcopy(flow)))),
        Form(PYTORCH, _in_torch(flow)),
        Form(EXPORT, OnnxScorer(folder / "plain.onnx").score, len(plain.graph.node)),
    ]
    for precision, dtype in (("FP32", torch.float32), ("FP16", torch.float16)):
        path = folder / f"{precision}.onnx"
        nodes = export_onnx(FoldedFlow(flow, dtype), flow.config.window, path)
        forms.append(Form(f"folded {precision}", OnnxScorer(path).score, nodes))
    return forms


def measure(forms: Sequence[Form], window: int, settings: Settings) -> ScorerComparison:
    """Time every form in turn, one thread each; the ratios are to the plain ONNX export.

    Args:
        forms: of one model.
        window: poses in a window.
        settings: how long.
    """
    rounds = settings.rounds + 2
    seconds = _SECONDS_PER_TURN * rounds * len(BATCHES) * len(forms) / (4 if settings.quick else 1)
    with torch_threads(1):
        return measure_scorers(
            [Candidate(form, 0.0, "") for form in forms], window, BATCHES, seconds, rounds,
            lambda numbers: track(numbers, "rounds of the forms"), EXPORT,
        )  # fmt: skip


def untrained(config: ModelConfig) -> DAFlow:
    """Return an untrained model: the time of a call does not depend on the weights."""
    return untrained_flow(config, walker_windows(config.window, 256), seed=0)


def _in_torch(flow: DAFlow) -> ScoreFunction:
    def score(poses: Poses) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            scores: npt.NDArray[np.float32] = flow.nll(torch.from_numpy(poses)).numpy()
            return scores

    return score


@click.command(cls=Command)
@click.option("--model", type=FILE, help="The checkpoint to export.  [default: an untrained DA-Flow]")
@click.option("--rounds", default=7, type=click.IntRange(1), help="Turns of each form.")
@json_option("the figures")
def main(model: Path | None, rounds: int, json_target: str | None) -> None:
    """Time the folded graph against PyTorch and torch's own export, simplified by onnxslim, with one thread."""
    flow = load_checkpoint(model).model if model else untrained(ModelConfig())
    with tempfile.TemporaryDirectory() as folder:
        forms = forms_of(flow, Path(folder))
        timed = measure(forms, flow.config.window, Settings(rounds=rounds))
    nodes = {form.name: form.nodes for form in forms if form.nodes}
    if json_target:
        write_json(json_target, {"nodes": nodes, **timed.model_dump(mode="json")})
    if json_target != "-":
        click.echo(f"Milliseconds per call; ratio to the {EXPORT}")
        for line in table_text(scorer_table(timed, ("p50", "p90"))):
            click.echo(line)
        click.echo("Nodes: " + ", ".join(f"{name} {count}" for name, count in nodes.items()))


if __name__ == "__main__":
    main()
