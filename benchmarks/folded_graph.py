"""How much faster is the folded graph than PyTorch, and than what torch exports by itself?

    python -m benchmarks.folded_graph [--model model.pt]

One thread, one process; the forms take turns, and ratios are taken within a round.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
from daflow.core.progress import track
from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.checkpoint import load_checkpoint
from daflow.model.flow import DAFlow, ModelConfig, parameter_count
from export.folded_flow import FoldedFlow
from export.onnx_graph import export_onnx, trace
from runtime.profiling.scorers import Candidate, measure_scorers, walker_windows
from runtime.profiling.statistics import Quartiles, ratios
from runtime.profiling.tables import Table
from runtime.profiling.text import table_text

BATCHES = (1, 8, 64)
PYTORCH, EXPORT = "PyTorch", "plain ONNX export"
_SECONDS_PER_TURN = 0.12
Score = Callable[[Poses], npt.NDArray[np.float32]]


@dataclass
class Form:
    """A model in one form, as a `Scorer`; `nodes` counts those of its graph, None without one."""

    name: str
    score: Score
    nodes: int | None = None

    def __enter__(self) -> Form:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class FormTiming:
    """One form of a model, by windows in a call.

    Attributes:
        model: name of the model.
        form: how it is run.
        nodes: of its graph, None without one.
        microseconds: of a call.
        against_pytorch: how many times as fast as the same model in PyTorch.
        against_export: how many times as fast as torch's own export of the same model.
    """

    model: str
    form: str
    nodes: int | None
    microseconds: dict[int, Quartiles]
    against_pytorch: dict[int, Quartiles]
    against_export: dict[int, Quartiles]


@dataclass(frozen=True)
class FormTimings:
    """All forms of all models, and the number of parameters of each model."""

    forms: list[FormTiming]
    parameters: dict[str, int]

    def table(self) -> Table:
        """The times with their quartiles, and the medians of the ratios."""
        batches = " / ".join(map(str, BATCHES))
        head = ["model", "form", "nodes", *(f"us, batch {batch}" for batch in BATCHES),
                f"times as fast as PyTorch, {batches}", f"as the plain export, {batches}"]  # fmt: skip
        rows = []
        for row in self.forms:
            times = [
                f"{us.median:,.0f} ({us.low:,.0f} to {us.high:,.0f})" for us in row.microseconds.values()
            ]
            speedups = [
                " / ".join(f"{ratio.median:.2f}" for ratio in by_batch.values())
                for by_batch in (row.against_pytorch, row.against_export)
            ]
            nodes = "" if row.nodes is None else str(row.nodes)
            rows.append([row.model, row.form, nodes, *times, *speedups])
        return Table(head, rows, 2)


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


def measure(flows: Mapping[str, DAFlow], folder: Path, settings: Settings) -> FormTimings:
    """Time every form of every model in turn, one thread each.

    Args:
        flows: by name.
        folder: takes their graphs.
        settings: how long.
    """
    forms = {
        f"{name}, {form.name}": (name, form)
        for number, (name, flow) in enumerate(flows.items())
        for form in forms_of(flow, folder / f"forms{number}")
    }
    candidates = [Candidate(Form(key, form.score), 0.0, "") for key, (_, form) in forms.items()]
    rounds = settings.rounds + 2
    seconds = _SECONDS_PER_TURN * rounds * len(BATCHES) * len(forms) / (4 if settings.quick else 1)
    with _one_thread():
        timed = measure_scorers(
            candidates, next(iter(flows.values())).config.window, BATCHES, seconds, rounds,
            lambda numbers: track(numbers, "rounds of the forms"),
        )  # fmt: skip

    def milliseconds(name: str, form: str, batch: int) -> list[float]:
        return timed.scorers[f"{name}, {form}"].batches[batch].call.rounds_ms

    def against(name: str, form: str, baseline: str) -> dict[int, Quartiles]:
        return {
            batch: ratios(milliseconds(name, baseline, batch), milliseconds(name, form, batch))
            for batch in BATCHES
        }

    rows = [
        FormTiming(
            name, form.name, form.nodes,
            {batch: Quartiles.of([1e3 * ms for ms in milliseconds(name, form.name, batch)]) for batch in BATCHES},
            against(name, form.name, PYTORCH), against(name, form.name, EXPORT),
        )
        for name, form in forms.values()
    ]  # fmt: skip
    return FormTimings(rows, {name: parameter_count(flow) for name, flow in flows.items()})


def untrained(config: ModelConfig) -> DAFlow:
    """Return an untrained model: the time of a call does not depend on the weights."""
    torch.manual_seed(0)
    flow = DAFlow(config).eval()
    flow.initialise(torch.from_numpy(walker_windows(config.window, 256)))
    return flow


def _in_torch(flow: DAFlow) -> Score:
    def score(poses: Poses) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            scores: npt.NDArray[np.float32] = flow.nll(torch.from_numpy(poses)).numpy()
            return scores

    return score


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@click.command(cls=Command)
@click.option("--model", type=FILE, help="The checkpoint to export.  [default: an untrained DA-Flow]")
@click.option("--rounds", default=7, type=click.IntRange(1), help="Turns of each form.")
@json_option("the figures")
def main(model: Path | None, rounds: int, json_target: str | None) -> None:
    """Time the folded graph against PyTorch and torch's own export, simplified by onnxslim, with one thread."""
    flow = load_checkpoint(model).model if model else untrained(ModelConfig())
    with tempfile.TemporaryDirectory() as folder:
        timings = measure({"model": flow}, Path(folder), Settings(rounds=rounds))
    if json_target:
        content: dict[str, Any] = asdict(timings)
        write_json(json_target, content)
    if json_target != "-":
        for line in table_text(timings.table()):
            click.echo(line)


if __name__ == "__main__":
    main()
