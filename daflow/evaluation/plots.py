"""Figures for reports and papers: matplotlib without a display, and skeletons drawn."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.skeleton import OPENPOSE_BONES
from daflow.core.files import written_whole

FORMATS = ("png", "svg", "pdf")
TEXT_WIDTH = 6.3
"""Inches between the margins of a page of one column: figures of this width are printed at their own size."""

_PRINTED: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "daflow",
}
_DATES = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # the same figures give the same bytes


def figure(columns: int = 1, **options: Any) -> tuple[Any, npt.NDArray[Any]]:
    """Return a matplotlib figure that needs no display, and its axes, `(columns,)`, without top and right spines."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(1, columns, layout="constrained", squeeze=False, **options)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
    return drawn, axes[0]


@contextlib.contextmanager
def printed() -> Iterator[None]:
    """Draw and save in type of 8 points; PDF embeds it as TrueType, as publishers ask, and SVG keeps it as text."""
    import matplotlib as mpl

    with mpl.rc_context(_PRINTED):
        yield


def picture(drawn: Any, dpi: int = 130) -> str:
    """Turn a figure into the `src` of an image, and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=dpi)
    plt.close(drawn)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def save(drawn: Any, folder: Path, name: str, formats: Sequence[str]) -> None:
    """Write a figure as `<name>.<format>` for each of some `FORMATS`, each whole or not at all, and close it.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    import matplotlib.pyplot as plt

    for kind in formats:
        with written_whole(folder / f"{name}.{kind}") as temporary:
            drawn.savefig(temporary, format=kind, dpi=200, metadata=_DATES.get(kind))
    plt.close(drawn)


def draw_window(axis: Any, window: npt.NDArray[np.float32], poses: int) -> None:
    """Draw so many poses of a normalised window `(2, T, V)` side by side, evenly spread over time."""
    frames = np.linspace(0, window.shape[1] - 1, poses).round().astype(int)
    for position, frame in enumerate(frames):
        x, y = window[:, frame]
        x = (x - window[0].mean()) + position * 1.7
        for a, b in OPENPOSE_BONES:
            axis.plot(x[[a, b]], -y[[a, b]], color="#1f5fa8", linewidth=1.3, solid_capstyle="round")
    axis.set_aspect("equal")
