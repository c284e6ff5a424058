"""The protocol of scorers: anything that scores windows, on any engine.

The graph of the flow alone maps `poses (B, 2, T, 18)` to `nll (B,)`; that of more channels of evidence maps it to
`score (B,)` and `surprise (B, C)`, see `daflow.core.evidence`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from daflow.core.data.windows import Poses
from daflow.core.evidence import Channel, Scored


class GraphRunner(Protocol):
    """What runs a graph of a scorer: the parts of an ONNX or TensorRT runner that are needed to check it."""

    row: tuple[int, ...]
    outputs: list[str]

    def run(self, batch: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        """Return the outputs by name, `(B, ...)` each, of an input `(B, *row)`."""
        ...


def output_names(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    """Return the names of what a graph of these channels of evidence computes."""
    return ("nll",) if len(channels) == 1 else ("score", "surprise")


def is_scorer(runner: GraphRunner, channels: tuple[Channel, ...] | None) -> bool:
    """Whether a graph maps windows to what it should.

    Args:
        runner: of the graph.
        channels: its channels of evidence; None takes any number.
    """
    several = len(runner.outputs) > 1
    wanted = output_names(channels or (("flow", "shape") if several else ("flow",)))
    if (*runner.row[:1], *runner.row[2:]) != (2, 18) or set(runner.outputs) != set(wanted):
        return False
    if not several or channels is None:
        return True
    nothing = np.zeros((0, *runner.row), dtype=np.float32)
    return runner.run(nothing)["surprise"].shape == (0, len(channels))


def scored(outputs: Mapping[str, npt.NDArray[Any]]) -> Scored:
    """Return what a graph has computed."""
    surprise = outputs.get("surprise")
    return Scored(outputs["nll"]) if surprise is None else Scored(outputs["score"], surprise)


class Scorer(Protocol):
    """Scores windows; a context manager that owns its engine and memory.

    Attributes:
        name: the engine and the precision, such as `onnxruntime fp32`.
    """

    name: str

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the scores of normalised windows `(B, 2, T, 18)` as `(B,)`; B may be 0 and may change."""
        ...

    def judge(self, poses: Poses) -> Scored:
        """Return the same, with the surprise of each channel of evidence."""
        ...

    def __enter__(self) -> Scorer: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
