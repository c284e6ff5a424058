"""Figures for reports: matplotlib without a display, and skeletons drawn."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import OPENPOSE_BONES


def figure(columns: int = 1, **options: Any) -> tuple[Any, npt.NDArray[Any]]:
    """Return a matplotlib figure that needs no display, and its axes, `(columns,)`, without top and right spines."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(1, columns, layout="constrained", squeeze=False, **options)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
    return drawn, axes[0]


def picture(drawn: Any, dpi: int = 130) -> str:
    """Turn a figure into the `src` of an image, and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=dpi)
    plt.close(drawn)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def draw_window(axis: Any, window: npt.NDArray[np.float32], poses: int) -> None:
    """Draw so many poses of a normalised window `(2, T, V)` side by side, evenly spread over time."""
    frames = np.linspace(0, window.shape[1] - 1, poses).round().astype(int)
    for position, frame in enumerate(frames):
        x, y = window[:, frame]
        x = (x - window[0].mean()) + position * 1.7
        for a, b in OPENPOSE_BONES:
            axis.plot(x[[a, b]], -y[[a, b]], color="#1f5fa8", linewidth=1.3, solid_capstyle="round")
    axis.set_aspect("equal")
