"""Training and evaluation against the model of STG-NF's algorithm, which does the same work as its public code."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.material import Material
from benchmarks.stgnf_algorithm import (
    Samples,
    our_evaluation,
    our_training,
    plain_flow,
    reference_evaluation,
    reference_training,
)
from benchmarks.timing import Effort, Spread, ratios, turns
from daflow.core.data.frame_masks import read_masks
from daflow.model.flow import DAFlow, ModelConfig

_LOADERS = 8  # STG-NF's default


@dataclass(frozen=True)
class Task:
    """The same work by both.

    Attributes:
        name: of the work.
        unit: of the figures.
        theirs: the reference's figure.
        ours: this toolkit's.
        ratio: how many times as fast this toolkit is.
    """

    name: str
    unit: str
    theirs: Spread
    ours: Spread
    ratio: Spread


@dataclass(frozen=True)
class Reference:
    """All tasks, what they were done on, and the micro AUC of the same untrained model by both, in %."""

    tasks: list[Task]
    training_windows: int
    loaders: int
    their_auc: float
    our_auc: float


def measure(material: Material, effort: Effort) -> Reference:
    """Time an epoch of training and a whole evaluation, from the files to the AUC."""
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    loaders = 0 if effort.quick else _LOADERS
    rounds = min(effort.rounds, 3)
    normal = material.windows()
    samples = Samples(material.train, stride=6, mirror=True)
    training = turns(
        {
            "theirs": functools.partial(reference_training, samples, loaders),
            "DA-Flow": functools.partial(our_training, normal, "dam"),
            "STG-NF's block": functools.partial(our_training, normal, "tcn"),
        },
        rounds,
        "training",
    )
    tasks = [
        Task(
            f"training an epoch, {name} here", "windows/s", Spread.of(training["theirs"]),
            Spread.of(training[name]), ratios(training[name], training["theirs"]),
        )
        for name in ("DA-Flow", "STG-NF's block")
    ]  # fmt: skip
    torch.manual_seed(0)
    flow = DAFlow(ModelConfig(block="tcn")).eval()
    flow.initialise(torch.from_numpy(normal[:4096]))
    plain, labels = plain_flow(copy.deepcopy(flow)), read_masks(material.masks)
    aucs: dict[str, float] = {}

    def timed(name: str, evaluation: Callable[[], tuple[float, float]]) -> float:
        aucs[name], seconds = evaluation()
        return seconds

    theirs = functools.partial(reference_evaluation, material.test, labels, plain, loaders)
    ours = functools.partial(our_evaluation, material.test, labels, flow)
    evaluation = turns(
        {"theirs": functools.partial(timed, "theirs", theirs), "ours": functools.partial(timed, "ours", ours)},
        rounds,
        "evaluation",
    )  # fmt: skip
    tasks.append(
        Task(
            "evaluation, from the files to the AUC", "s", Spread.of(evaluation["theirs"]),
            Spread.of(evaluation["ours"]), ratios(evaluation["theirs"], evaluation["ours"]),
        )
    )  # fmt: skip
    return Reference(
        tasks, len(normal), loaders, float(np.round(100 * aucs["theirs"], 3)), float(np.round(100 * aucs["ours"], 3)),
    )  # fmt: skip
