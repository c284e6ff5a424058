"""INT8 ranges: the magnitudes that each tensor of the FP32 graph reaches on normal and abnormal windows.

A tensor of range r is stored in steps of r / 127. The windows to calibrate on are normal ones, perturbed ones, and
generated falls, runs and fights: ranges of normal windows alone would clip what abnormal windows reach, and with it
the ranking of the windows that matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daflow.core.data.perturbation import perturb
from daflow.core.data.synthetic import Scene, generate_clip, test_scenes
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import InputError
from daflow.core.files import parse_json, sha256, write_text
from daflow.core.schema import Count, problem

Method = Literal["minmax", "percentile", "entropy"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy")
Activations = Callable[[Sequence[str]], Iterable[list[npt.NDArray[np.float32]]]]
"""Yields the values of the named tensors, batch after batch; called twice: for the range, then for the histogram."""
Histogram = npt.NDArray[np.float64]

BINS = 4096
"""Of a histogram; 32 for each level of INT8."""
LEVELS = 128
"""Magnitudes of a signed byte, without its lowest value, which a symmetric range does not use."""

_PERCENTILE = 99.99
_MAX_NORMAL = 4096  # windows; more of them hardly change a range
_SEED = 8  # any number; the same windows calibrate every time
_SCENES = 6


class Ranges(BaseModel):
    """The calibration cache: JSON that belongs to one graph, and to no device.

    Attributes:
        graph: SHA-256 of the FP32 ONNX file that the tensors belong to.
        method: how the ranges were chosen.
        windows: how many windows were scored.
        origin: what the windows were, for people.
        tensors: the range of each tensor, the largest magnitude that INT8 represents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["daflow-int8-ranges"] = "daflow-int8-ranges"
    graph: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    method: Method
    windows: Annotated[Count, Field(ge=1)]
    origin: str
    tensors: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]


def calibration_windows(normal: Poses) -> Poses:
    """Return the windows to calibrate on: normal ones, perturbed ones, and generated falls, runs and fights.

    Args:
        normal: `(N, 2, T, V)` windows of normal recordings; at most 4096 are used, spread evenly.
    """
    length = normal.shape[2]
    chosen = normal[:: max(1, len(normal) // _MAX_NORMAL)][:_MAX_NORMAL]
    scenes = enumerate(test_scenes(_SCENES, Scene(frames=400)))
    clips = [generate_clip(f"scene_{index}", _SEED + index, scene)[0] for index, scene in scenes]
    return np.concatenate([chosen, perturb(normal, _MAX_NORMAL, _SEED), make_windows(clips, length).poses])


def calibrate(
    graph: Path, tensors: Sequence[str], activations: Activations, windows: int, method: Method, origin: str
) -> Ranges:
    """Choose the range of each tensor of a graph by the values that it takes.

    Args:
        graph: the FP32 ONNX file.
        tensors: names of tensors in it.
        activations: runs the graph on the windows to calibrate on, see `calibration_windows`.
        windows: how many windows these are.
        method: `minmax`, the largest magnitude; `percentile`, which clips 1 value in 10,000; `entropy`, the range whose
            128 levels lose least of the distribution (Kullback-Leibler, like TensorRT's entropy calibrator).
        origin: what the windows are.
    """
    tensors = list(dict.fromkeys(tensors))
    largest = np.zeros(len(tensors))
    for values in activations(tensors):
        largest = np.maximum(largest, [np.abs(v).max(initial=0.0) for v in values])
    largest = np.maximum(largest, 1e-6)  # a tensor that is always zero still needs a step
    histograms = np.zeros((len(tensors), BINS))
    for values in activations(tensors):
        for index, value in enumerate(values):
            histograms[index] += np.histogram(np.abs(value), bins=BINS, range=(0.0, largest[index]))[0]
    choose = _CHOICES[method]
    ranges = {
        name: float(top * choose(histogram) / BINS)
        for name, histogram, top in zip(tensors, histograms, largest, strict=True)
    }
    return Ranges(graph=sha256(graph), method=method, windows=windows, origin=origin, tensors=ranges)


def percentile_bins(histogram: Histogram) -> int:
    """Return how many bins, from zero, hold all but 1 value in 10,000.

    >>> percentile_bins(np.array([9990.0, 9.0, 1.0, 0.0]))
    2
    """
    cumulative = np.cumsum(histogram) / histogram.sum()
    return int(np.searchsorted(cumulative, _PERCENTILE / 100)) + 1


def entropy_bins(histogram: Histogram) -> int:
    """Return how many bins, from zero, the 128 levels should span so that least of the distribution is lost.

    For each candidate the values beyond it are put into its last bin, the bins are merged into 128 levels and spread
    again, and the loss is the Kullback-Leibler divergence of the two.
    """
    candidates = range(LEVELS, len(histogram) + 1, LEVELS // 8)
    losses = [_divergence(histogram, bins) for bins in candidates]
    return candidates[int(np.argmin(losses))]


_CHOICES: dict[Method, Callable[[Histogram], int]] = {
    "minmax": len,
    "percentile": percentile_bins,
    "entropy": entropy_bins,
}


def _divergence(histogram: Histogram, bins: int) -> float:
    inside = histogram[:bins]
    clipped = inside.copy()
    clipped[-1] += histogram[bins:].sum()
    starts = np.arange(LEVELS) * bins // LEVELS
    occupied = inside > 0
    sums, counts = np.add.reduceat(inside, starts), np.add.reduceat(occupied.astype(float), starts)
    level = np.repeat(np.arange(LEVELS), np.diff([*starts, bins]))
    spread = np.where(occupied, (sums / np.maximum(counts, 1))[level], 0.0)
    if not spread.sum():
        return float("inf")
    p, q = clipped / clipped.sum(), spread / spread.sum()
    if (q[p > 0] == 0).any():
        q = np.where((p > 0) & (q == 0), 1e-12, q)
    used = p > 0
    return float((p[used] * np.log(p[used] / q[used])).sum())


def open_ranges(path: Path) -> Ranges:
    """Read a calibration cache.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(
            f"There is no calibration cache {path}. 'daflow-export --int8' writes one into its bundle."
        )
    try:
        return Ranges.model_validate(parse_json(path.read_bytes()))
    except ValidationError as error:
        raise InputError(f"{path} is not a calibration cache: {problem(error)}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not a calibration cache: it is not valid JSON ({error}).") from None


def read_ranges(path: Path, graph: Path) -> Ranges:
    """Read a calibration cache and check that it belongs to this graph.

    Raises:
        InputError: the file is missing or damaged, or belongs to another graph.
    """
    ranges = open_ranges(path)
    if ranges.graph != sha256(graph):
        raise InputError(
            f"{path} belongs to another graph (SHA-256 {ranges.graph[:12]}..., this one is {sha256(graph)[:12]}...). "
            "Calibrate again, without --ranges."
        )
    return ranges


def write_ranges(path: Path, ranges: Ranges) -> None:
    """Write a calibration cache, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    write_text(path, json.dumps(ranges.model_dump(), indent=1) + "\n")
