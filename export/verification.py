"""Does an exported graph still rank people as the PyTorch module does? One comparison, and limits that it must keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from daflow.bundle import Comparison, Precision
from daflow.errors import InputError
from daflow.evaluation import Labels, evaluate, read_masks
from daflow.synthetic import Scene, generate_clip, test_scenes
from daflow.tracks import Clip, FrameSize, read_clips
from daflow.windows import Poses, Windows, make_windows, normalise

Nll = npt.NDArray[np.float32]
_SEED = 20240602
_PERTURBED = 4096
_GENERATED_CLIPS = 6


@dataclass(frozen=True)
class Limits:
    """What a comparison must keep; None checks nothing.

    Attributes:
        max_abs: of |dNLL| in bits per dimension over recordings.
        max_error: of |dNLL| / max(1, |NLL|) over all windows.
        spearman: least rank correlation.
        tail_spearman: least rank correlation over the tenth of the windows that is scored highest.
        auc_delta: of |dAUC|, a fraction.
    """

    max_abs: float | None = None
    max_error: float | None = None
    spearman: float | None = None
    tail_spearman: float | None = None
    auc_delta: float | None = None


LIMITS: dict[Precision, Limits] = {
    "fp32": Limits(max_error=1e-4, spearman=0.9999, tail_spearman=0.9999, auc_delta=1e-4),
    "fp16": Limits(spearman=0.999, tail_spearman=0.99, auc_delta=1e-3),
}


@dataclass(frozen=True)
class VerificationSet:
    """Windows to compare scores on.

    Attributes:
        windows: of recordings, real or generated.
        perturbed: `(M, 2, T, 18)` windows made abnormal by jitter, displaced joints and cuts in time.
        clips: the recordings.
        masks: their frame masks by clip name, None when there are none.
        origin: what the recordings are, for the manifest.
    """

    windows: Windows
    perturbed: Poses
    clips: list[Clip]
    masks: dict[str, Labels] | None
    origin: str


def recorded_set(
    poses: Path, masks: Path | None, length: int, frame_size: FrameSize | None = None
) -> VerificationSet:
    """Build the set from a folder of pose tracks, and of frame masks when there are some.

    Raises:
        InputError: a folder cannot be read, or gives no window.
    """
    clips = read_clips(poses, frame_size)
    windows = make_windows(clips, length)
    if not len(windows):
        raise InputError(f"{poses} gives no window to verify on: {windows.left_out()}.")
    labels = read_masks(masks) if masks else None
    return VerificationSet(windows, perturb(windows.poses), clips, labels, f"recordings in {poses.name}")


def generated_set(length: int) -> VerificationSet:
    """Build the set from generated walkers, falls, runs and fights."""
    clips, masks = [], {}
    for index, scene in enumerate(test_scenes(_GENERATED_CLIPS, Scene(frames=400))):
        clip, mask = generate_clip(f"generated_{index}", _SEED + index, scene)
        clips.append(clip)
        masks[clip.name] = mask
    windows = make_windows(clips, length)
    return VerificationSet(windows, perturb(windows.poses), clips, masks, "generated recordings")


def perturb(poses: Poses) -> Poses:
    """Make some windows abnormal in known ways: jitter, displaced joints, and a jump in the middle.

    Returns:
        `(M, 2, T, 18)`, at most 4096 windows, normalised again; deterministic.
    """
    rng = np.random.default_rng(_SEED)
    chosen = poses[rng.permutation(len(poses))[:_PERTURBED]].copy()
    jitter, displaced, jump = np.array_split(chosen, 3)
    strength = rng.uniform(0.02, 0.5, (len(jitter), 1, 1, 1))
    jitter += strength * rng.standard_normal(jitter.shape)
    joints = rng.random((len(displaced), 1, 1, displaced.shape[3])) < 0.2
    displaced += joints * rng.normal(0, 2, (len(displaced), 2, 1, displaced.shape[3]))
    half = jump.shape[2] // 2
    jump[:, :, half:] += rng.normal(0, 2, (len(jump), 2, 1, 1))
    return normalise(chosen, (1, 1))[0]


def compare(
    data: VerificationSet, reference: Callable[[Poses], Nll], candidate: Callable[[Poses], Nll]
) -> Comparison:
    """Score the set by two forms of the model and compare.

    Args:
        data: the windows.
        reference: scores `(N, 2, T, 18)` to `(N,)`: the PyTorch module.
        candidate: the same by the exported graph.
    """
    recorded, expected = candidate(data.windows.poses), reference(data.windows.poses)
    every = np.concatenate([recorded, candidate(data.perturbed)]).astype(np.float64)
    every_expected = np.concatenate([expected, reference(data.perturbed)]).astype(np.float64)
    finite = np.isfinite(every)
    difference = np.abs(every - every_expected)[: len(recorded)][finite[: len(recorded)]]
    error = np.abs(every - every_expected) / np.maximum(1, np.abs(every_expected))
    sets = (
        (recorded[finite[: len(recorded)]], expected[finite[: len(recorded)]]),
        (every[finite], every_expected[finite]),
    )
    return Comparison(
        windows=len(every),
        max_abs=float(difference.max(initial=0.0)),
        p999_abs=float(np.quantile(difference, 0.999)) if len(difference) else 0.0,
        max_error=float(error[finite].max(initial=0.0)),
        spearman=min(_spearman(*pair) for pair in sets),
        tail_spearman=min(_tail_spearman(*pair) for pair in sets),
        auc_delta=_auc_delta(data, recorded, expected),
        non_finite=int((~finite).sum()),
    )


def missed_limits(comparison: Comparison, limits: Limits) -> list[str]:
    """Say which limits a comparison does not keep, a phrase each."""
    missed = []
    if comparison.non_finite:
        missed.append(f"{comparison.non_finite} scores are NaN or infinite")
    for name in ("max_abs", "max_error", "auc_delta"):
        limit, value = getattr(limits, name), getattr(comparison, name)
        if limit is not None and value is not None and not abs(value) <= limit:
            missed.append(f"{name} is {abs(value):.3g}, at most {limit:g} is allowed")
    for name in ("spearman", "tail_spearman"):
        limit, value = getattr(limits, name), getattr(comparison, name)
        if limit is not None and not value >= limit:
            missed.append(f"{name} is {value:.6f}, at least {limit:g} is wanted")
    return missed


def _spearman(scores: npt.NDArray[np.floating[Any]], expected: npt.NDArray[np.floating[Any]]) -> float:
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(expected) == 0:
        return 1.0 if np.array_equal(scores, expected) else 0.0
    return float(spearmanr(scores, expected).statistic)


def _tail_spearman(scores: npt.NDArray[np.floating[Any]], expected: npt.NDArray[np.floating[Any]]) -> float:
    tail = np.argsort(expected)[-max(2, len(expected) // 10) :]
    return _spearman(scores[tail], expected[tail])


def _auc_delta(data: VerificationSet, recorded: Nll, expected: Nll) -> float | None:
    if data.masks is None or not np.isfinite(recorded).all():
        return None
    length = data.windows.poses.shape[2]
    aucs = [
        evaluate(nll, data.windows, data.clips, data.masks, length).micro.auc for nll in (recorded, expected)
    ]
    assert aucs[0] is not None
    assert aucs[1] is not None
    return aucs[0] - aucs[1]
