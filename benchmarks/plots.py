"""The picture of the scaling on the benchmark page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scaling import Curve
from daflow.core.files import written_whole

_BLUE, _RED, _GREY, _INK = "#1f5fa8", "#b23a48", "#8a94a3", "#1c2430"
_DPI = 120


def draw_scaling(path: Path, curves: list[Curve]) -> None:
    """Draw time against work on logarithmic axes, with a dashed line of exponent 1 for the eye."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = -(-len(curves) // 2)
    drawn, axes = plt.subplots(rows, 2, layout="constrained", squeeze=False, figsize=(8.4, 2.6 * rows))
    for axis, curve in zip(axes.flat, curves, strict=False):
        _draw_curve(axis, curve)
    for axis in axes.flat[len(curves) :]:
        axis.set_visible(False)
    _save(drawn, path)


def _draw_curve(axis: Any, curve: Curve) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    sizes = np.array(curve.sizes)
    median, low, high = (
        np.array([1e3 * getattr(row, name) for row in curve.seconds]) for name in ("median", "low", "high")
    )
    axis.plot(sizes, median[-1] * sizes / sizes[-1], "--", color=_GREY, linewidth=1, label="linear")
    middle = np.exp(np.log(sizes).mean())
    fitted = np.exp(np.log(median).mean()) * (sizes / middle) ** curve.fit.exponent
    colour = _RED if curve.fast_growing else _BLUE
    axis.plot(sizes, fitted, color=colour, linewidth=1.2, alpha=0.6)
    axis.errorbar(
        sizes, median, (median - low, high - median), fmt="o", color=colour, markersize=4.5, capsize=2
    )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _label_decades(axis.yaxis)
    axis.grid(color="#eceff3", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8)
    axis.set_xlabel(curve.work, fontsize=9)
    axis.set_ylabel(
        f"ms {curve.cost}" if curve.cost.startswith("from") else f"ms for {curve.cost}", fontsize=8.5
    )
    axis.set_title(curve.name, fontsize=10, color=colour if curve.fast_growing else _INK)
    axis.text(
        0.03, 0.95, f"exponent {curve.fit.exponent:.2f}\nlarger half {curve.upper.exponent:.2f}",
        transform=axis.transAxes, va="top", fontsize=8.5, color=colour,
    )  # fmt: skip


def _label_decades(axis: Any) -> None:
    """Label 1, 2 and 5 of every decade with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _save(drawn: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    with written_whole(path) as temporary:
        drawn.savefig(temporary, format="png", dpi=_DPI)
    plt.close(drawn)
