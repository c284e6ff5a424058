"""The alarm threshold as a quantile of what normal windows score."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from daflow.bundle import Alarm, Bundle, write_manifest
from daflow.errors import InputError
from daflow.onnx_scorer import OnnxScorer
from daflow.tracks import FrameSize, read_clips
from daflow.windows import make_windows

_BEYOND = 10
"""Windows that should lie beyond the quantile before it is more than a guess."""


def quantile_threshold(
    bundle: Bundle, poses: Path, quantile: float, frame_size: FrameSize | None = None
) -> tuple[Alarm, str | None]:
    """Score normal recordings through the bundle's FP32 graph and take a quantile as the threshold.

    Args:
        bundle: whose graph scores.
        poses: folder of pose tracks of normal behaviour.
        quantile: the fraction of windows to stay below the threshold, between 0 and 1.
        frame_size: of all clips; None as `daflow.tracks.read_clips`.

    Returns:
        The alarm entry, and a warning when there are too few windows for that quantile.

    Raises:
        InputError: the recordings cannot be read or give no finite score.
    """
    manifest = bundle.manifest
    windows = make_windows(read_clips(poses, frame_size), manifest.window, 1, manifest.max_missing)
    with OnnxScorer(bundle.graph("fp32"), threads=0) as scorer:
        nll = scorer.score(windows.poses)
    nll = nll[np.isfinite(nll)]
    if not len(nll):
        raise InputError(
            f"{poses} gives no window that can be scored: {windows.left_out() or 'it holds too few poses'}."
        )
    threshold = float(np.quantile(nll.astype(np.float64), quantile))
    wanted = round(_BEYOND / (1 - quantile))
    warning = None
    if len(nll) < wanted:
        warning = (
            f"{len(nll)} windows are few for the quantile {quantile:g}: about {wanted} are wanted, "
            "and the threshold may be far from the true quantile"
        )
    return Alarm(threshold=threshold, quantile=quantile, windows=len(nll), precision="fp32"), warning


def write_alarm(bundle: Bundle, alarm: Alarm) -> Bundle:
    """Put the threshold into the bundle's manifest.

    Raises:
        OSError: the bundle cannot be written.
    """
    manifest = bundle.manifest.model_copy(update={"alarm": alarm})
    write_manifest(bundle.folder, manifest)
    return dataclasses.replace(bundle, manifest=manifest)
