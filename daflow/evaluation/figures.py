"""The figures of an evaluation: its curves, and the score of a clip over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.evaluation.alarms import DelayPoint
from daflow.evaluation.curves import Curve
from daflow.evaluation.plots import figure
from daflow.model.frame_scores import Scores

Size = tuple[float, float]
"""Width and height of a figure in inches."""


def equal_error_threshold(scores: Mapping[str, Scores], masks: Mapping[str, Labels]) -> float:
    """Return the score above which as large a share of normal frames lies as below it of abnormal ones."""
    joined, labels = _joined(scores, masks)
    false_alarms, hits, thresholds = Curve.of(joined, labels).roc()
    return float(thresholds[1:][np.argmin(np.abs(false_alarms + hits - 1)[1:])])


def draw_curves(scores: Mapping[str, Scores], masks: Mapping[str, Labels], size: Size) -> Any:
    """Draw the ROC curve and the precision-recall curve of all frames, and what chance would give."""
    joined, labels = _joined(scores, masks)
    drawn, (roc, pr) = figure(2, figsize=size)
    curve = Curve.of(joined, labels)
    false_alarms, hits, _ = curve.roc()
    precision, recall = curve.precision_recall()
    roc.plot(false_alarms, hits, color="#1f5fa8")
    roc.plot([0, 1], [0, 1], color="#999", linewidth=0.8, linestyle="--")
    roc.set(
        xlabel="false alarms, share of normal frames", ylabel="hits, share of abnormal frames", title="ROC"
    )
    pr.plot(recall, precision, color="#1f5fa8")
    pr.axhline(labels.mean(), color="#999", linewidth=0.8, linestyle="--")
    pr.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1.02))
    return drawn


def draw_clip(scores: Scores, mask: Labels, threshold: float, size: Size) -> Any:
    """Draw the score of a clip: abnormal frames are grey, ignored ones hatched, and the threshold is dashed."""
    drawn, (axis,) = figure(figsize=size)
    for value, style in (
        (1, {"color": "#d5d9df"}),
        (-1, {"facecolor": "none", "hatch": "///", "edgecolor": "#ccc"}),
    ):
        for first, last in _runs(mask == value):
            axis.axvspan(first, last, **style)
    axis.plot(scores, color="#1f5fa8", linewidth=1)
    axis.axhline(threshold, color="#b23a48", linewidth=0.8, linestyle="--")
    axis.set(xlim=(0, len(mask)), xlabel="frame", ylabel="score")
    return drawn


def draw_delays(curve: Sequence[DelayPoint], size: Size) -> Any:
    """Draw how many events get an alarm, and how late, against false alarms per hour."""
    drawn, (events, delay) = figure(2, figsize=size)
    rates = [point.false_alarms_per_hour for point in curve]
    with_before = [point.events + point.on_before for point in curve]
    events.plot(rates, with_before, ".-", color="#9db8d6", label="with those since before")
    events.plot(rates, [point.events for point in curve], ".-", color="#1f5fa8", label="began in the event")
    events.set(xlabel="false alarms per hour", ylabel="events with an alarm", ylim=(0, None))
    events.legend(frameon=False)
    delays = [
        (point.false_alarms_per_hour, point.median_delay) for point in curve if point.median_delay is not None
    ]
    delay.plot([rate for rate, _ in delays], [seconds for _, seconds in delays], ".", color="#1f5fa8")
    delay.set(xlabel="false alarms per hour", ylabel="median delay, s", ylim=(0, None))
    for axis in (events, delay):
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xlim(0, None)
    return drawn


def _runs(where: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and the one after the last frame of each run.

    >>> _runs(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], where.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _joined(scores: Mapping[str, Scores], masks: Mapping[str, Labels]) -> tuple[Scores, Labels]:
    joined = np.concatenate(list(scores.values()))
    labels = np.concatenate([masks[name] for name in scores])
    return joined[labels >= 0], labels[labels >= 0]
