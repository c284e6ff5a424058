"""Scores without a model beside the model's: what a data set gives away by itself.

On some sets the number of a frame in its clip separates the frames better than any model, since all anomalies come
late. A figure says something about a model only as far as the model is ahead of such scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Poses, Windows
from daflow.core.scoring.comparison import ranks
from daflow.evaluation.auc import SIGMAS, Evaluation, evaluate_frames, evaluate_windows, figures
from daflow.evaluation.bootstrap import ClipBootstrap, Interval
from daflow.evaluation.text import percent
from daflow.model.frame_scores import Scores

Verdict = Literal["ahead", "unclear", "behind"]

_SHUFFLED = "the model's scores, shuffled"
_BLOCK = 256  # windows
_SAME_POSITION = 25  # frames: closer ones are at the same position of their clips


@dataclass(frozen=True)
class Baseline:
    """A score without a model.

    Attributes:
        name: what it takes for abnormal.
        auc: its micro AUC, a fraction, by the same protocol.
        macro_auc: the mean of its AUC in each clip, a fraction.
        ahead: the model's micro AUC minus its own.
        interval: of `ahead`, over clips; None with few clips.
        correlation: Spearman's rank correlation with the model's score over the labelled frames; None where one of
            them is constant.
    """

    name: str
    auc: float
    macro_auc: float | None
    ahead: float
    interval: Interval | None
    correlation: float | None


@dataclass(frozen=True)
class Comparison:
    """The model's micro AUC among those of scores without a model.

    Attributes:
        auc: the model's micro AUC, a fraction.
        interval: of it, over clips; None with few clips.
        balanced_auc: the share of pairs of an abnormal and a normal frame at the same position of their clips in which
            the abnormal one has the higher score; None where there is no such pair. The number of a frame alone has
            0.5 there.
        balanced_share: the share of the abnormal frames that have such a partner.
        baselines: the scores without a model, the best first.
    """

    auc: float
    interval: Interval | None
    balanced_auc: float | None
    balanced_share: float
    baselines: tuple[Baseline, ...]

    @property
    def verdict(self) -> Verdict:
        """`ahead` of all, `behind` one, or `unclear`: within what other clips could change."""
        if any(baseline.ahead <= 0 for baseline in self.baselines):
            return "behind"
        if all(b.interval is not None and b.interval.low > 0 for b in self.baselines):
            return "ahead"
        return "unclear"

    @property
    def sentence(self) -> str:
        """What the comparison means, for people."""
        best = self.baselines[0]
        if self.verdict == "behind":
            return (
                f"Without any model, {best.name} does as well ({percent(best.auc)} %, the model "
                f"{percent(self.auc)} %): this set does not show what the model has learned."
            )
        nearest = f"ahead of every score without a model, by {100 * best.ahead:.1f} points of the nearest, {best.name}"
        if best.interval is None:
            return f"The model is {nearest}; there are too few clips to say how far other clips would change that."
        if self.verdict == "ahead":
            return f"The model is {nearest}{_between(best.interval)}."
        close = next(b for b in self.baselines if b.interval is None or b.interval.low <= 0)
        return (
            f"The model is {100 * close.ahead:.1f} points{_between(close.interval)} ahead of {close.name}, which needs "
            "no model: so few clips do not tell them apart."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        return {**asdict(self), "verdict": self.verdict, "sentence": self.sentence}

    def lines(self) -> list[str]:
        """Return the table for a terminal."""
        lines = [
            f"{'score':<42}{'AUC':>8}{'macro':>8}{'ahead':>9}  {'95 % over clips':<18}{'rank corr.':>10}"
        ]
        interval = _plain(self.interval)
        lines.append(f"{'the model':<42}{percent(self.auc):>8}{'':>17}  {interval:<18}")
        for b in self.baselines:
            correlation = "-" if b.correlation is None else f"{b.correlation:.2f}"
            lines.append(
                f"{b.name:<42}{percent(b.auc):>8}{percent(b.macro_auc):>8}{100 * b.ahead:>+9.2f}  "
                f"{_plain(b.interval):<18}{correlation:>10}"
            )
        if self.balanced_auc is not None:
            lines.append(
                "abnormal frames against normal ones at the same position of their clips: "
                f"{percent(self.balanced_auc)} (of {100 * self.balanced_share:.0f} % of the abnormal frames)"
            )
        return lines


def score_without_model(
    windows: Windows, clips: Sequence[Clip], masks: dict[str, Labels], sigmas: Sequence[float] = SIGMAS
) -> dict[str, Evaluation]:
    """Evaluate scores that need no model, by the same protocol, and return them by what they take for abnormal.

    Each is taken in the direction in which it does better, which is chosen on the same labels: it is what anybody could
    have got, not what somebody would have chosen.

    Args:
        windows: the windows, made from `clips`.
        clips: the clips.
        masks: the labels of each frame by clip name.
        sigmas: as for `daflow.evaluation.auc.smooth`.
    """

    def of_windows(values: npt.NDArray[np.float64]) -> Callable[[float], Evaluation]:
        return lambda sign: evaluate_windows(
            (sign * values).astype(np.float32), windows, clips, masks, sigmas
        )

    return score_by_position(masks) | dict(
        _better(*names, score)
        for names, score in (
            (("many people", "few people"), _of_frames(_people(clips, masks), masks, sigmas=sigmas)),
            (("a window spread in x", "a window narrow in x"), of_windows(spread_in_x(windows))),
            (("much movement in a window", "little movement in a window"), of_windows(motion(windows))),
            (("somebody large in the picture", "somebody small in the picture"), of_windows(sizes(windows, clips))),
        )
    )  # fmt: skip


def score_by_position(masks: dict[str, Labels]) -> dict[str, Evaluation]:
    """Evaluate the number of a frame in its clip, as `score_without_model` does."""
    numbers = {name: np.arange(len(mask), dtype=np.float64) for name, mask in masks.items()}
    names = "a late frame of its clip", "an early frame of its clip"
    return dict([_better(*names, _of_frames(numbers, masks, smoothed=False))])


def compare_windows(
    result: Evaluation,
    nll: npt.NDArray[np.float32],
    windows: Windows,
    clips: Sequence[Clip],
    masks: dict[str, Labels],
    sigmas: Sequence[float] = SIGMAS,
) -> Comparison:
    """Compare a model's evaluation with `score_without_model`, and with its own scores shuffled among the windows.

    Args:
        result: what `evaluate_windows` returned.
        nll: `(N,)` the scores of the windows.
        windows: the windows, made from `clips`.
        clips: the clips.
        masks: the labels of each frame by clip name.
        sigmas: those that `result` was smoothed by, for the other scores.
    """
    shuffled = np.random.default_rng(0).permutation(nll)
    others = score_without_model(windows, clips, masks, sigmas)
    others[_SHUFFLED] = evaluate_windows(shuffled, windows, clips, masks, sigmas)
    return _compare(result, others, masks)


def compare_frames(result: Evaluation, scores: Mapping[str, Scores], masks: dict[str, Labels]) -> Comparison:
    """Compare scores of frames with the number of the frame, and with themselves shuffled among the frames.

    Frames without a score stay without one.

    Args:
        result: what `evaluate_frames` returned.
        scores: of each frame by clip name, NaN where nobody is.
        masks: the labels of each frame by clip name.
    """
    joined = np.concatenate([of_clip[np.isfinite(of_clip)] for of_clip in scores.values()])
    joined = np.random.default_rng(0).permutation(joined)
    shuffled, first = {}, 0
    for name, of_clip in scores.items():
        seen = np.isfinite(of_clip)
        shuffled[name] = np.where(seen, 0.0, np.nan)
        shuffled[name][seen] = joined[first : first + seen.sum()]
        first += int(seen.sum())
    return _compare(result, {**score_by_position(masks), _SHUFFLED: evaluate_frames(shuffled, masks)}, masks)


def _compare(result: Evaluation, others: Mapping[str, Evaluation], masks: dict[str, Labels]) -> Comparison:
    assert result.micro.auc is not None
    bootstrap = ClipBootstrap(masks)
    ours = bootstrap.aucs(result.frame_scores)
    ranked = _ranks_of_labelled(result, masks)
    found = []
    for name, other in others.items():
        correlation = _correlation(ranked, _ranks_of_labelled(other, masks))
        found.append(_baseline(name, other, result.micro.auc, bootstrap, ours, correlation))
    balanced, share = balanced_auc(result.frame_scores, masks)
    best_first = sorted(found, key=lambda baseline: -baseline.auc)
    return Comparison(result.micro.auc, bootstrap.interval(ours), balanced, share, tuple(best_first))


def _of_frames(
    scores: Mapping[str, Scores],
    masks: dict[str, Labels],
    smoothed: bool = True,
    sigmas: Sequence[float] = SIGMAS,
) -> Callable[[float], Evaluation]:
    return lambda sign: evaluate_frames(
        {name: sign * of_clip for name, of_clip in scores.items()}, masks, smoothed, sigmas
    )


def spread_in_x(windows: Windows) -> npt.NDArray[np.float64]:
    """Return the standard deviation of x in each window, `(N,)`, in units of that of y."""
    return _of_blocks(windows.poses, lambda poses: poses[:, 0].std(axis=(1, 2), dtype=np.float64))


def motion(windows: Windows) -> npt.NDArray[np.float64]:
    """Return the mean step of a joint from pose to pose in each window, `(N,)`, in units of its spread in y."""

    def of_block(poses: Poses) -> npt.NDArray[np.float64]:
        steps = np.diff(poses, axis=2)
        return np.asarray(np.hypot(steps[:, 0], steps[:, 1]).mean(axis=(1, 2), dtype=np.float64))

    return _of_blocks(windows.poses, of_block)


def _of_blocks(poses: Poses, function: Callable[[Poses], npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Apply a function to blocks of windows, which fit the cache."""
    blocks = [function(poses[first : first + _BLOCK]) for first in range(0, len(poses), _BLOCK)]
    return np.concatenate([np.zeros(0), *blocks])


def sizes(windows: Windows, clips: Sequence[Clip]) -> npt.NDArray[np.float64]:
    """Return the height of the person at the middle of each window, `(N,)`, as a share of the picture's."""
    found = np.zeros(len(windows))
    for index, clip in enumerate(clips):
        for track in clip.tracks:
            rows = np.flatnonzero((windows.clip == index) & (windows.person == track.person))
            if not len(rows):
                continue
            y = track.points()[..., 1]
            seen = np.isfinite(y)
            height = np.where(seen, y, -np.inf).max(axis=1) - np.where(seen, y, np.inf).min(axis=1)
            at = np.clip(np.searchsorted(track.frames, windows.middle[rows]), 0, len(track.frames) - 1)
            found[rows] = np.maximum(height[at], 0.0) / clip.frame_size[1]
    return found


def balanced_auc(scores: Mapping[str, Scores], masks: Mapping[str, Labels]) -> tuple[float | None, float]:
    """Compare abnormal frames with normal frames of the same position, within a second, of any clip.

    Returns:
        The share of pairs in which the abnormal frame has the higher score, None without a pair; and the share of the
        abnormal frames that are in a pair.
    """
    joined = np.concatenate([scores[name] for name in masks])
    labels = np.concatenate(list(masks.values()))
    position = np.concatenate([np.arange(len(mask)) for mask in masks.values()]) // _SAME_POSITION
    wins = pairs = 0.0
    compared = 0
    for place in np.unique(position[labels == 1]):
        here = position == place
        part = figures(joined[here], labels[here])
        if part.auc is not None:
            weight = part.abnormal * (part.frames - part.abnormal)
            wins, pairs = wins + part.auc * weight, pairs + weight
            compared += part.abnormal
    return (wins / pairs if pairs else None), compared / max(int((labels == 1).sum()), 1)


def _people(clips: Sequence[Clip], masks: Mapping[str, Labels]) -> dict[str, Scores]:
    """Return how many people are in each frame of each clip with a mask."""
    counts = {name: np.zeros(len(mask)) for name, mask in masks.items()}
    for clip in clips:
        for track in clip.tracks if clip.name in counts else ():
            of_clip = counts[clip.name]
            of_clip[track.frames[track.frames < len(of_clip)]] += 1
    return counts


def _better(high: str, low: str, score: Callable[[float], Evaluation]) -> tuple[str, Evaluation]:
    """Return what is abnormal by a score, high or low values, and the evaluation of that."""
    evaluation = score(1.0)
    return (high, evaluation) if (evaluation.micro.auc or 0.0) >= 0.5 else (low, score(-1.0))


def _ranks_of_labelled(evaluation: Evaluation, masks: Mapping[str, Labels]) -> npt.NDArray[np.float64]:
    return ranks(np.concatenate([evaluation.frame_scores[name][mask >= 0] for name, mask in masks.items()]))


def _correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float | None:
    """Return the correlation of ranks; None where all of one are equal."""
    if not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return None
    correlations = np.asarray(np.corrcoef(np.column_stack([one, other]), rowvar=False))
    return float(correlations[1, 0])


def _baseline(
    name: str,
    evaluation: Evaluation,
    auc: float,
    bootstrap: ClipBootstrap,
    ours: npt.NDArray[np.float64],
    correlation: float | None,
) -> Baseline:
    assert evaluation.micro.auc is not None
    return Baseline(
        name,
        evaluation.micro.auc,
        evaluation.macro_auc,
        auc - evaluation.micro.auc,
        bootstrap.interval(ours - bootstrap.aucs(evaluation.frame_scores)),
        correlation,
    )


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f" ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def _plain(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"
