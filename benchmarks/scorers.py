"""How fast a window is scored: folded graphs against PyTorch, a plain export, and STG-NF's block."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from benchmarks.folded_graph import export_plain
from benchmarks.material import Material, random_windows
from benchmarks.stgnf_algorithm import plain_flow
from benchmarks.timing import Effort, Spread, median_call, ratios, turns
from daflow.core.bundle import read_bundle
from daflow.core.data.windows import Poses
from daflow.core.scoring.onnx import OnnxScorer
from daflow.model.flow import DAFlow, ModelConfig, parameter_count
from export.folded_flow import FoldedFlow
from export.onnx_graph import export_onnx

BATCHES = (1, 8, 64)
PYTORCH, EXPORT = "PyTorch", "plain ONNX export"
_PLAIN = "PyTorch, every pair of joints"
_SECONDS_A_TURN = 0.12

Score = Callable[[Poses], object]


@dataclass(frozen=True)
class ScorerFigure:
    """One form of a model with one number of windows in a call.

    Attributes:
        model: `DA-Flow` or `STG-NF block`.
        form: how it is run.
        batch: windows in a call.
        microseconds: of a call.
        against_pytorch: how many times as fast as the same model in PyTorch.
        against_export: how many times as fast as torch's own export of the same model.
        against_other: DA-Flow: how many times as fast as the STG-NF block in the same form, where there is one.
    """

    model: str
    form: str
    batch: int
    microseconds: Spread
    against_pytorch: Spread
    against_export: Spread
    against_other: Spread | None


@dataclass(frozen=True)
class Scorers:
    """All figures, and the number of parameters of each model."""

    figures: list[ScorerFigure]
    parameters: dict[str, int]

    def forms(self) -> list[tuple[str, str]]:
        """The models and their forms, a model at a time."""
        return [
            (model, form)
            for model in self.parameters
            for form in dict.fromkeys(row.form for row in self.figures if row.model == model)
        ]

    def of(self, model: str, form: str) -> list[ScorerFigure]:
        """The figures of a form, by windows in a call."""
        return [row for row in self.figures if (row.model, row.form) == (model, form)]


def measure(material: Material, effort: Effort) -> Scorers:
    """Time every form of both models, one thread each."""
    bundle = read_bundle(material.bundle)
    config = ModelConfig()
    flows = {"DA-Flow": _flow(config), "STG-NF block": _flow(ModelConfig(block="tcn"))}
    forms: dict[tuple[str, str], Score] = {}
    for number, (name, flow) in enumerate(flows.items()):
        path = material.folder / f"plain{number}.onnx"
        export_plain(flow, path)
        forms[name, _PLAIN] = functools.partial(_in_torch, plain_flow(copy.deepcopy(flow)))
        forms[name, PYTORCH] = functools.partial(_in_torch, flow)
        forms[name, EXPORT] = OnnxScorer(path).score
    for precision in bundle.manifest.precisions:
        graph = bundle.graph(precision)
        forms["DA-Flow", f"folded {precision.upper()}"] = OnnxScorer(graph, precision).score
    folded = material.folder / "folded-tcn.onnx"
    export_onnx(FoldedFlow(flows["STG-NF block"]), config.window, folded)
    forms["STG-NF block", "folded FP32"] = OnnxScorer(folded).score
    figures: list[ScorerFigure] = []
    with _one_thread():
        for batch in BATCHES:
            figures += _at(forms, batch, effort)
    return Scorers(figures, {name: parameter_count(flow) for name, flow in flows.items()})


def _at(forms: dict[tuple[str, str], Score], batch: int, effort: Effort) -> Iterator[ScorerFigure]:
    poses = random_windows(batch)
    seconds = _SECONDS_A_TURN / (4 if effort.quick else 1)
    timed = turns(
        {key: functools.partial(median_call, functools.partial(score, poses), seconds) for key, score in forms.items()},
        effort.rounds + 2,
        f"scorers, {batch} windows",
    )  # fmt: skip
    for (model, form), own in timed.items():
        other = timed.get(("STG-NF block", form)) if model == "DA-Flow" else None
        yield ScorerFigure(
            model, form, batch, Spread.of([1e6 * value for value in own]),
            ratios(timed[model, PYTORCH], own), ratios(timed[model, EXPORT], own),
            ratios(other, own) if other else None,
        )  # fmt: skip


def _flow(config: ModelConfig) -> DAFlow:
    torch.manual_seed(0)
    flow = DAFlow(config).eval()
    flow.initialise(torch.from_numpy(random_windows(256, config.window)))
    return flow


@torch.inference_mode()
def _in_torch(flow: DAFlow, poses: Poses) -> object:
    return flow.nll(torch.from_numpy(poses)).numpy()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
