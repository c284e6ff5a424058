"""The page of `daflow evaluate --report`: curves, scores over time, and the worst mistakes as skeletons."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Windows
from daflow.core.html import page
from daflow.evaluation.alarms import CausalEvaluation
from daflow.evaluation.auc import Evaluation, Figures
from daflow.evaluation.baselines import Comparison, Verdict
from daflow.evaluation.bootstrap import Interval
from daflow.evaluation.evaluate import ScoredClips
from daflow.evaluation.figures import draw_clip, draw_curves, draw_delays, equal_error_threshold
from daflow.evaluation.plots import draw_window, figure, picture
from daflow.evaluation.text import percent
from daflow.model.frame_scores import Scores

_MISTAKES = 6
_COLOURS: Mapping[Verdict, str] = {"ahead": "good", "unclear": "unclear", "behind": "bad"}


@dataclass(frozen=True)
class Mistake:
    """A frame on the wrong side of the threshold.

    Attributes:
        clip: the clip's name.
        frame: the frame number.
        score: its smoothed score.
        window: the index of the highest scored window around that frame, None where nobody was tracked.
    """

    clip: str
    frame: int
    score: float
    window: int | None


def evaluation_page(
    result: Evaluation,
    scored: ScoredClips,
    masks: dict[str, Labels],
    title: str,
    comparison: Comparison,
    causal: CausalEvaluation | None = None,
) -> str:
    """Return the page, one file without scripts or links.

    Args:
        result: what `evaluate` returned.
        scored: the clips, their windows and the scores of these.
        masks: the labels of each frame by clip name.
        title: the name of the model.
        comparison: with scores that need no model; the colour of the headline is its verdict.
        causal: the online evaluation, whose delays and false alarms are drawn; None is without.
    """
    threshold = equal_error_threshold(result.frame_scores, masks)
    curves = picture(draw_curves(result.frame_scores, masks, (10, 4)))
    sections = (
        f'<p class="verdict {_COLOURS[comparison.verdict]}">micro AUC {percent(result.micro.auc)} %'
        f"{_interval(comparison.interval)}. {html.escape(comparison.sentence)}</p><p>{_facts(result)}</p>",
        *_baselines_section(comparison),
        f'<img class="wide" alt="ROC and precision-recall curves" src="{curves}">',
        *_delay_section(causal),
        "<h2>Score over time</h2><p>Smoothed score of the worst person; grey frames are labelled abnormal, hatched "
        "ones are ignored. Dashed: the threshold at which false alarms and misses are equally frequent.</p>",
        *(_clip(name, result, masks[name], threshold) for name in result.clips),
        *_mistakes_section("false alarms", False, threshold, result, scored, masks),
        *_mistakes_section("misses", True, threshold, result, scored, masks),
    )
    return page(f"Evaluation of {title}", "".join(sections))


def worst_mistakes(
    abnormal: bool,
    threshold: float,
    scores: dict[str, Scores],
    nll: npt.NDArray[np.float32],
    windows: Windows,
    clips: Sequence[Clip],
    masks: dict[str, Labels],
) -> list[Mistake]:
    """Return the abnormal frames with the lowest scores, or the normal ones with the highest, worst first.

    Only those on the wrong side of the threshold count, and within a clip they are at least two windows apart, so
    that each shows another event.
    """
    apart = 2 * windows.poses.shape[2]
    wrong = []
    for name, of_clip in scores.items():
        excess = threshold - of_clip if abnormal else of_clip - threshold
        candidates = np.where(masks[name] == int(abnormal), excess, 0)
        wrong += [(float(excess[frame]), name, frame) for frame in _peaks(candidates, apart)]
    index = {clip.name: position for position, clip in enumerate(clips)}
    return [
        Mistake(name, frame, float(scores[name][frame]), _window_at(index.get(name, -1), frame, nll, windows))
        for _, name, frame in sorted(wrong, reverse=True)[:_MISTAKES]
    ]


def _peaks(excess: Scores, apart: int) -> Iterator[int]:
    """Yield the frames with the largest positive excess, each more than `apart` frames from the others."""
    excess = excess.copy()
    for _ in range(_MISTAKES):
        frame = int(np.argmax(excess))
        if excess[frame] <= 0:
            return
        yield frame
        excess[max(0, frame - apart) : frame + apart + 1] = 0


def _window_at(clip: int, frame: int, nll: npt.NDArray[np.float32], windows: Windows) -> int | None:
    """Return the highest scored window that holds the frame in its middle half."""
    length = windows.poses.shape[2]
    near = np.flatnonzero((windows.clip == clip) & (np.abs(windows.middle - frame) <= length // 4))
    return int(near[np.argmax(nll[near])]) if len(near) else None


def _mistakes_section(
    name: str,
    abnormal: bool,
    threshold: float,
    result: Evaluation,
    scored: ScoredClips,
    masks: dict[str, Labels],
) -> Iterator[str]:
    nll, windows = scored.nll, scored.windows
    meaning = "abnormal frames with low scores" if abnormal else "normal frames with high scores"
    yield f"<h2>Worst {name}</h2><p>{meaning.capitalize()}, and the highest scored person there.</p>"
    found = worst_mistakes(abnormal, threshold, result.frame_scores, nll, windows, scored.clips, masks)
    if not found:
        yield "<p>None.</p>"
    for mistake in found:
        text = f"{mistake.clip}, frame {mistake.frame}: score {mistake.score:.3f}"
        if mistake.window is None:
            yield f"<h3>{html.escape(text)}</h3><p>Nobody was tracked there.</p>"
            continue
        text += f", person {windows.person[mistake.window]} with {nll[mistake.window]:.3f}"
        drawn, (axis,) = figure(figsize=(12.5, 0.9))
        draw_window(axis, windows.poses[mistake.window], windows.poses.shape[2])
        axis.axis("off")
        label = html.escape(text)
        yield f'<h3>{label}</h3><img class="wide" alt="the poses of {label}" src="{picture(drawn, 100)}">'


def _baselines_section(comparison: Comparison) -> Iterator[str]:
    yield (
        "<h2>Scores without a model</h2><p>By the same protocol; each in the direction in which it does better on "
        "these labels. In brackets the 95 % interval over clips.</p>"
    )
    yield (
        "<table><tr><th>taken for abnormal</th><th>micro AUC, %</th><th>mean of clips, %</th><th>the model is ahead by"
        "</th><th>rank correlation with the model</th></tr>"
    )
    for each in comparison.baselines:
        correlation = "-" if each.correlation is None else f"{each.correlation:.2f}"
        yield (
            f"<tr><td>{html.escape(each.name)}</td><td>{percent(each.auc)}</td><td>{percent(each.macro_auc)}</td>"
            f"<td>{100 * each.ahead:+.2f}{_interval(each.interval)}</td><td>{correlation}</td></tr>"
        )
    yield "</table>"
    if comparison.balanced_auc is not None:
        yield (
            "<p>Abnormal frames against normal ones at the same position of their clips: "
            f"{percent(comparison.balanced_auc)} % (of {100 * comparison.balanced_share:.0f} % of the abnormal frames, "
            "the others have no such partner).</p>"
        )


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f" ({percent(interval.low)} to {percent(interval.high)})"


def _facts(result: Evaluation) -> str:
    micro = result.micro
    return (
        f"AUC-PR {percent(micro.auc_pr)} %, equal error rate {percent(micro.eer)} %, mean AUC of the clips "
        f"{percent(result.macro_auc)} %; {result.windows} windows, {micro.frames} labelled frames, "
        f"{micro.abnormal} of them abnormal"
    )


def _delay_section(causal: CausalEvaluation | None) -> Iterator[str]:
    if causal is None or not causal.curve:
        return
    yield (
        "<h2>Delay against false alarms</h2><p>What the alarm does at each threshold, knowing no later frame: in how "
        "many abnormal events an alarm begins, and how long after their first frame. Events in which one was on "
        "already are in the lighter line, and have no delay.</p>"
    )
    drawn = picture(draw_delays(causal.curve, (10, 3.4)))
    yield f'<img class="wide" alt="events with an alarm, and delay, against false alarms" src="{drawn}">'


def _clip(name: str, result: Evaluation, mask: Labels, threshold: float) -> str:
    drawn = draw_clip(result.frame_scores[name], mask, threshold, (12.5, 1.7))
    title = html.escape(f"{name}: {_figures_of(result.clips[name])}")
    return f'<h3>{title}</h3><img class="wide" alt="score over time of {title}" src="{picture(drawn, 90)}">'


def _figures_of(figures: Figures) -> str:
    if figures.auc is None:
        return "only one kind of frame"
    return f"AUC {percent(figures.auc)} %"
