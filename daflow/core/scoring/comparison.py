"""Compare the scores of two forms of the model; `limits` says what a comparison must keep.

Numpy only: a device compares the engine that it built with the FP32 graph before it uses the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from daflow.core.data.perturbation import perturb
from daflow.core.data.windows import Poses
from daflow.core.evidence import Channel, Scored

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Nll = npt.NDArray[np.float32]
ScoreFunction = Callable[[Poses], Nll]
JudgeFunction = Callable[[Poses], Scored]

ALARM_QUANTILE = 0.999
"""Quantile of the recorded scores at which alarms are compared while no threshold is calibrated."""

_SEED = 20240602  # any number; the same windows are compared every time
_PERTURBED = 4096  # windows at most, to limit the time on a small device
_EXTREME = 256  # windows at most of each kind


class Comparison(BaseModel):
    """How close the scores of one form of the model are to those of a reference.

    |d| is the change of a score, in its unit, over the recorded windows; all other figures are over all windows.

    Attributes:
        windows: compared windows: recorded, perturbed and extreme ones.
        median_abs: median |d|.
        p99_abs: 99 % quantile of |d|.
        p999_abs: 99.9 % quantile of |d|.
        max_abs: largest |d|.
        max_error: largest |d| / max(1, |score|) without the extreme windows.
        spearman: rank correlation, the lower of that of the recorded windows and that with the perturbed ones.
        tail_spearman: the same over the tenth with the highest scores of the reference.
        alarm_threshold: the threshold at which alarms were compared.
        alarm_agreement: fraction of all windows on the same side of it.
        non_finite: scores that are NaN or infinite where those of the reference are finite.
        auc: micro AUC of the reference, percent; None without labels.
        auc_delta: micro AUC minus the reference's, points; None without labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    windows: int
    median_abs: float
    p99_abs: float
    p999_abs: float
    max_abs: float
    max_error: float
    spearman: float
    tail_spearman: float
    alarm_threshold: float
    alarm_agreement: float
    non_finite: int
    auc: float | None = None
    auc_delta: float | None = None


@dataclass(frozen=True)
class WindowSets:
    """Windows to compare scores on, each `(N, 2, T, V)`: of recordings, perturbed ones, and extreme ones."""

    recorded: Poses
    perturbed: Poses
    extreme: Poses

    @classmethod
    def of(cls, recorded: Poses) -> WindowSets:
        """Derive perturbed and extreme windows from recorded ones."""
        return cls(recorded, perturb(recorded, _PERTURBED, _SEED), extreme_windows(recorded))

    def score(self, score: ScoreFunction) -> tuple[Nll, Nll, Nll]:
        """Score the three sets."""
        return score(self.recorded), score(self.perturbed), score(self.extreme)

    def judge(self, judge: JudgeFunction) -> JudgedSets:
        """Score the three sets, with the surprise of each channel of evidence."""
        return JudgedSets(judge(self.recorded), judge(self.perturbed), judge(self.extreme))


@dataclass(frozen=True)
class JudgedSets:
    """What a form of the model says of recorded, perturbed and extreme windows."""

    recorded: Scored
    perturbed: Scored
    extreme: Scored

    @property
    def scores(self) -> tuple[Nll, Nll, Nll]:
        """The scores of each set, `(N,)`."""
        return self.recorded.score, self.perturbed.score, self.extreme.score

    def surprise(self, channel: int) -> tuple[Nll, Nll, Nll]:
        """The surprise of one channel in each set, `(N,)`."""
        found = [of_set.surprise for of_set in (self.recorded, self.perturbed, self.extreme)]
        recorded, perturbed, extreme = (s[:, channel] for s in found if s is not None)
        return recorded, perturbed, extreme


def compare_channels(
    reference: JudgedSets, candidate: JudgedSets, channels: Sequence[Channel]
) -> dict[Channel, Comparison]:
    """Compare the surprise of each channel of evidence; that of the flow alone is no other than the score."""
    if len(channels) < 2:
        return {}
    return {
        channel: compare_scores(reference.surprise(number), candidate.surprise(number))
        for number, channel in enumerate(channels)
    }


def extreme_windows(poses: Poses) -> Poses:
    """Return extreme windows that normalising still permits: a person lying flat, and one joint far away.

    Normalising makes the standard deviation of y 1, so |y| stays below sqrt(T V) = 21 (20 here). x has no such bound
    and is stretched by 1 to 1000.
    """
    rng = np.random.default_rng(_SEED)
    flat = poses[rng.permutation(len(poses))[:_EXTREME]].copy()
    flat[:, 0] *= 10 ** rng.uniform(0, 3, (len(flat), 1, 1)).astype(np.float32)
    far = poses[rng.permutation(len(poses))[:_EXTREME]].copy()
    far[
        np.arange(len(far)),
        :,
        rng.integers(0, far.shape[2], len(far)),
        rng.integers(0, far.shape[3], len(far)),
    ] = 20.0
    return np.concatenate([flat, far])


def compare_scores(
    reference: tuple[Nll, Nll, Nll], candidate: tuple[Nll, Nll, Nll], threshold: float | None = None
) -> Comparison:
    """Compare scores of recorded, perturbed and extreme windows.

    Args:
        reference: scores `(N,)` of the three sets.
        candidate: scores of the same windows by the other form.
        threshold: the alarm threshold; None takes the 0.999 quantile of the reference's recorded
            scores.
    """
    expected, found = (tuple(part.astype(np.float64) for part in nll) for nll in (reference, candidate))
    recorded, usual, everything = (
        (np.concatenate(expected[:parts]), np.concatenate(found[:parts])) for parts in (1, 2, 3)
    )
    if threshold is None:
        threshold = _between_scores(recorded[0][np.isfinite(recorded[0])], ALARM_QUANTILE)
    difference = _finite(np.abs(recorded[1] - recorded[0]))
    median, p99, p999 = np.quantile(difference, (0.5, 0.99, 0.999)).tolist()
    error = np.abs(usual[1] - usual[0]) / np.maximum(1, np.abs(usual[0]))
    # An alarm is a score that is not below the threshold: NaN must not count as normal.
    alarms = [~(nll < threshold) for nll in everything]
    return Comparison(
        windows=len(everything[0]),
        median_abs=median,
        p99_abs=p99,
        p999_abs=p999,
        max_abs=float(difference.max()),
        max_error=float(_finite(error).max()),
        spearman=min(_spearman(*recorded), _spearman(*usual)),
        tail_spearman=min(_tail_spearman(*recorded), _tail_spearman(*usual)),
        alarm_threshold=threshold,
        alarm_agreement=float(np.mean(alarms[0] == alarms[1])),
        non_finite=int((np.isfinite(everything[0]) & ~np.isfinite(everything[1])).sum()),
    )


def _between_scores(scores: npt.NDArray[np.float64], quantile: float) -> float:
    """Return the middle of the two scores around a quantile: at a score itself the last digit would decide."""
    rising = np.sort(scores)
    below = min(int(quantile * (len(rising) - 1)), max(0, len(rising) - 2))
    return float(rising[below : below + 2].mean())


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    kept = values[np.isfinite(values)]
    return kept if len(kept) else np.zeros(1)


def _spearman(expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> float:
    both = np.isfinite(expected) & np.isfinite(found)
    if not both.any():
        return 0.0
    a, b = ranks(expected[both]), ranks(found[both])
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    if not scale:
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(a @ b) / scale


def _tail_spearman(expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> float:
    tail = np.argsort(expected)[-max(2, len(expected) // 10) :]
    return _spearman(expected[tail], found[tail])


def ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rank of each value, from 1; equal ones get their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
