"""The INT8 graph of a pose network, in which the operations that disturb the result most stay in FP32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx

from calibration.int8_ranges import Method, Ranges, calibrate, write_ranges
from daflow.core.errors import CheckFailed
from daflow.core.pose_bundle import PoseInt8, PoseLimits
from daflow.core.progress import track
from export.int8_graph import activations, operations, quantise
from export.pose.layouts import Layout
from export.pose.people_pictures import even_places
from export.pose.verification import (
    GraphRunner,
    Images,
    Results,
    check_pose_limits,
    compare_detectors,
    compare_landmarks,
    mean_difference,
)

MARGINS = (1.5, 2.0, 3.0, 6.0)
"""How many times tighter than the limits the choice is, because it is made on few pictures. When the finished graph
misses a limit, the next one is tried."""

_BATCH = 2  # pictures; the activations of a batch must fit into memory
_MEASURED = 12  # pictures that operations are ordered on
_GROWTH = 1.4  # of the number of operations that stay in FP32, from one try to the next


@dataclass(frozen=True)
class Int8Writer:
    """Writes the INT8 graph of a network.

    Attributes:
        graph: the FP32 ONNX file.
        output: the INT8 ONNX file.
        ranges: the calibration cache to write.
        images: `(N, H, W, 3)` pictures or crops to calibrate on.
        origin: what these are, for people.
        layout: of the network.
        limits: of INT8.
        method: how the ranges are chosen.
        report: takes one line for each attempt.
    """

    graph: Path
    output: Path
    ranges: Path
    images: Images
    origin: str
    layout: Layout
    limits: PoseLimits
    method: Method
    report: Callable[[str], None]

    def attempts(self) -> Iterator[tuple[PoseInt8, bool]]:
        """Write the graph; each further attempt replaces it by one with more operations in FP32.

        Yields:
            What is in INT8 in the graph that was just written, and whether it is the last attempt.

        Raises:
            CheckFailed: no operation can be quantised within the limits.
        """
        candidates = operations(self.graph)
        tensors = [name for names in candidates.values() for name in names]
        values = partial(activations, self.graph, self.images, batch=_BATCH)
        ranges = calibrate(self.graph, tensors, values, len(self.images), self.method, self.origin)
        write_ranges(self.ranges, ranges)
        few = self.images[even_places(len(self.images), _MEASURED)]
        trial = _Trial(self.graph, ranges, self.layout, few, GraphRunner(self.graph.read_bytes()).run(few))
        worst_first = trial.worst_first(list(candidates))
        count = 0
        for margin in MARGINS:
            count = trial.kept(worst_first, tightened(self.limits, margin), count)
            kept = set(worst_first[:count])
            chosen = [name for name in candidates if name not in kept]
            onnx.save(quantise(self.graph, ranges, chosen), self.output)
            self.report(
                f"{self.output.name}: {len(chosen)} of {len(candidates)} operations in INT8 ({ranges.method} ranges of "
                f"{ranges.windows} pictures), {len(kept)} stay in FP32"
            )
            stay = tuple(name for name in candidates if name in kept)
            yield (
                PoseInt8(
                    ranges=self.ranges.name, method=ranges.method, pictures=ranges.windows, quantised=tuple(chosen),
                    kept=stay,
                ),
                margin == MARGINS[-1],
            )  # fmt: skip


@dataclass(frozen=True)
class _Trial:
    """Runs graphs with some operations in INT8 on a few pictures; `expected` is what the FP32 graph makes of these."""

    graph: Path
    ranges: Ranges
    layout: Layout
    images: Images
    expected: Results

    def worst_first(self, names: Sequence[str]) -> list[str]:
        """The operations by the difference that each makes when it alone is INT8."""
        differences = {
            name: mean_difference(self.expected, self._run([name]), self.layout)
            for name in track(names, f"INT8 sensitivity of {self.graph.stem}", len(names))
        }
        return sorted(names, key=lambda name: -differences[name])

    def kept(self, worst_first: Sequence[str], limits: PoseLimits, count: int) -> int:
        """How many of the worst operations must stay in FP32 to keep limits, about as few as possible.

        Args:
            worst_first: the operations.
            limits: to keep.
            count: how many stay in FP32 at least.
        """
        while count < len(worst_first):
            found = self._run(worst_first[count:])
            compared = (
                compare_detectors(self.expected, found)
                if self.layout.role == "detector"
                else compare_landmarks(self.expected, found, self.layout.joints)
            )
            if not check_pose_limits(compared, limits).missed:
                return count
            count = max(count + 1, int(count * _GROWTH))
        raise CheckFailed(
            f"No operation of {self.graph.name} can be computed in INT8 within the limits. Export without --int8, or "
            "set other limits with --limit."
        )

    def _run(self, quantised: Sequence[str]) -> Results:
        return GraphRunner(quantise(self.graph, self.ranges, quantised)).run(self.images)


def tightened(limits: PoseLimits, margin: float) -> PoseLimits:
    """Return limits that allow a deviation so many times smaller.

    >>> tightened(PoseLimits(median_error=3, overlap=0.9), 2)
    PoseLimits(median_error=1.5, p99_error=None, visibility_error=None, agreement=None, overlap=0.95, score_error=None)
    """
    return PoseLimits(**{
        name: value / margin if name.endswith("error") else 1 - (1 - value) / margin
        for name, value in limits.model_dump(exclude_none=True).items()
    })  # fmt: skip
