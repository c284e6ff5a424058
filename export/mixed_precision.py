"""The INT8 graph of a bundle, in which the operations that disturb the ranking stay in FP32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import onnx

from calibration.int8_ranges import Method, calibration_windows, read_ranges, write_ranges
from daflow.core.bundle import Int8
from daflow.core.data.windows import Poses
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import WindowSets, extreme_windows
from daflow.core.scoring.limits import Limits
from export.int8_graph import calibrated_ranges, operations, quantise
from export.sensitivity import MARGINS, Sensitivity

RANGES = "int8.ranges.json"


def write_int8_graphs(
    graph: Path, output: Path, normal: Poses, origin: str, limits: Limits, calibration: Method, cache: Path | None,
    report: Callable[[str], None],
) -> Iterator[tuple[Int8, int, bool]]:  # fmt: skip
    """Calibrate, and write the INT8 graph; each further attempt replaces it by one with more operations in FP32.

    Args:
        graph: the FP32 ONNX file.
        output: the INT8 ONNX file; the calibration cache is written beside it.
        normal: `(N, 2, T, V)` windows of normal behaviour, to calibrate on.
        origin: what these are, for people.
        limits: of INT8.
        calibration: how the ranges are chosen.
        cache: a calibration cache to take the ranges from; None calibrates.
        report: takes one line for each attempt.

    Yields:
        What is in INT8 in the graph that was just written, its number of nodes, and whether it is the last attempt.

    Raises:
        InputError: the cache is of another graph, or lacks a tensor.
        CheckFailed: no operation can be quantised within the limits.
    """
    candidates = operations(graph)
    tensors = [name for names in candidates.values() for name in names]
    poses = calibration_windows(normal)
    if cache is None:
        ranges = calibrated_ranges(
            graph, tensors, poses, calibration, f"{origin}, perturbed and generated ones"
        )
    else:
        ranges = read_ranges(cache, graph)
        if missing := set(tensors) - set(ranges.tensors):
            raise InputError(f"{cache} has no range for {min(missing)}. Calibrate again, without --ranges.")
    write_ranges(output.with_name(RANGES), ranges)
    half = len(poses) // 2
    sensitivity = Sensitivity(graph, ranges, WindowSets(poses[:half], poses[half:], extreme_windows(poses)))
    for margin in MARGINS:
        chosen = sensitivity.choose(limits, margin)
        model = quantise(graph, ranges, chosen)
        onnx.save(model, output)
        kept = tuple(name for name in candidates if name not in chosen)
        report(
            f"int8: {len(chosen)} of {len(candidates)} operations in INT8 ({ranges.method} ranges of {ranges.windows} "
            f"windows), {len(kept)} stay in FP32"
        )
        int8 = Int8(
            ranges=RANGES,
            method=ranges.method,
            windows=ranges.windows,
            quantised=tuple(chosen),
            kept=kept,
            margin=margin,
        )
        yield int8, len(model.graph.node), margin == MARGINS[-1]
