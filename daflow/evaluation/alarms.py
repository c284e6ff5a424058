"""Online (causal) evaluation: what an alarm would have done on labelled recordings, knowing no later frame."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.calibration import COOL_DOWN_SECONDS
from daflow.core.alarms.replay import Signal, episodes, make_signal
from daflow.core.alarms.rule import AlarmRule
from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import DEFAULT_FPS, Clip
from daflow.core.data.windows import Windows
from daflow.evaluation.auc import Figures, figures
from daflow.model.frame_scores import Scores, fill_empty_frames

_TIMES = AlarmRule(math.inf, math.inf, cool_down_seconds=COOL_DOWN_SECONDS)
_POINTS = 60


@dataclass(frozen=True)
class Event:
    """A stretch of abnormal frames, and what the alarm did in it.

    Attributes:
        first: its first frame.
        last: its last frame.
        delay: seconds from its first frame to the beginning of the first alarm in it, 0 if an alarm was on already;
            None when there was no alarm.
        on_before: whether an alarm was on when it began.
    """

    first: int
    last: int
    delay: float | None
    on_before: bool


@dataclass(frozen=True)
class ClipAlarms:
    """What the alarm did in one clip.

    Attributes:
        events: the stretches of abnormal frames.
        false_alarms: alarms that began in a normal frame.
        normal_seconds: length of the normal frames.
        begins: frames in which an alarm began.
    """

    events: tuple[Event, ...]
    false_alarms: int
    normal_seconds: float
    begins: tuple[int, ...]


@dataclass(frozen=True)
class AlarmEvaluation:
    """What the alarm did in all clips.

    Attributes:
        rule: the alarm.
        clips: each clip by name.
    """

    rule: AlarmRule
    clips: dict[str, ClipAlarms]

    @property
    def events(self) -> list[Event]:
        """All stretches of abnormal frames."""
        return [event for clip in self.clips.values() for event in clip.events]

    @property
    def median_delay(self) -> float | None:
        """Seconds from an event's first frame to its alarm, of the events in which an alarm began."""
        delays = [e.delay for e in self.events if e.delay is not None and not e.on_before]
        return median(delays) if delays else None

    @property
    def false_alarms(self) -> int:
        """Alarms that began in a normal frame."""
        return sum(clip.false_alarms for clip in self.clips.values())

    @property
    def normal_hours(self) -> float:
        """Length of the normal frames of all clips."""
        return sum(clip.normal_seconds for clip in self.clips.values()) / 3600

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        hours = self.normal_hours
        return {
            "rule": asdict(self.rule),
            "events": len(self.events),
            "events_with_alarm": sum(event.delay is not None for event in self.events),
            "events_on_before": sum(event.on_before for event in self.events),
            "median_delay_seconds": self.median_delay,
            "false_alarms": self.false_alarms,
            "normal_seconds": 3600 * hours,
            "false_alarms_per_hour": self.false_alarms / hours if hours else None,
            "clips": {name: asdict(clip) for name, clip in self.clips.items()},
        }

    def __str__(self) -> str:
        with_alarm = sum(event.delay is not None for event in self.events)
        before = sum(event.on_before for event in self.events)
        text = f"threshold {self.rule.threshold:.3f}: an alarm in {with_alarm} of {len(self.events)} abnormal events"
        text += f", in {before} of them since before" if before else ""
        if self.median_delay is not None:
            text += f"; median delay {self.median_delay:.2f} s after the first abnormal frame"
        text += f"; {self.false_alarms} false alarms in {3600 * self.normal_hours:.0f} s of normal frames"
        return text


@dataclass(frozen=True)
class DelayPoint:
    """What an alarm does at one threshold.

    Attributes:
        threshold: in the unit of the model.
        false_alarms_per_hour: of normal frames.
        events: abnormal events in which an alarm began.
        on_before: other events, in which one was on already when they began.
        median_delay: seconds from an event's first frame to its alarm; None without one.
    """

    threshold: float
    false_alarms_per_hour: float
    events: int
    on_before: int
    median_delay: float | None


@dataclass(frozen=True)
class CausalEvaluation:
    """How well the score that is known at a frame separates the frames.

    Attributes:
        micro: over all frames; those in which nobody has a score count as the most normal one.
        scored: over the frames with a score only.
        by_position: how well the number of a frame in its clip alone separates the frames, over all frames; where
            every recording ends with its anomaly that is much, and flatters every score.
        scored_by_position: the same over the frames with a score.
        alarms: what the alarm did; None without a threshold.
        curve: what it would do at other thresholds.
        frame_scores: each clip's scores, `-inf` where nobody has one.
    """

    micro: Figures
    scored: Figures
    by_position: Figures
    scored_by_position: Figures
    alarms: AlarmEvaluation | None
    curve: tuple[DelayPoint, ...]
    frame_scores: dict[str, Scores] = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        alarms = self.alarms.as_dict() if self.alarms else None
        names = ("micro", "scored", "by_position", "scored_by_position")
        curve = [asdict(point) for point in self.curve]
        return {**{name: asdict(getattr(self, name)) for name in names}, "alarms": alarms, "curve": curve}


def evaluate_causal(
    nll: npt.NDArray[np.float32],
    windows: Windows,
    clips: Sequence[Clip],
    masks: Mapping[str, Labels],
    fps: Mapping[str, float],
    rule: AlarmRule | None,
) -> CausalEvaluation:
    """Evaluate labelled clips online (causally), frame by frame as `daflow-edge` does.

    A window counts at its last frame; a frame has the smoothed score of its worst person. Who has no score any more
    counts with the last one for `hold_seconds` of the rule.

    Args:
        nll: `(N,)` one finite score for each window.
        windows: the windows that were scored, made from `clips` with stride 1.
        clips: the clips.
        masks: the labels of each frame by clip name.
        fps: frames per second by clip name.
        rule: the alarm and the smoothing; None is without an alarm, and the curve is then of one with the usual times.
    """
    followed = follow(nll, windows, clips, masks, fps, rule or _TIMES)
    scores = {name: np.where(np.isnan(each.scores), -np.inf, each.scores) for name, each in followed.items()}
    joined, labels = np.concatenate(list(scores.values())), np.concatenate(list(masks.values()))
    seen = np.isfinite(joined)
    position = np.concatenate([np.arange(len(mask), dtype=np.float64) for mask in masks.values()])
    return CausalEvaluation(
        micro=figures(np.concatenate(fill_empty_frames(list(scores.values()))), labels),
        scored=figures(joined[seen], labels[seen]),
        by_position=figures(position, labels),
        scored_by_position=figures(position[seen], labels[seen]),
        alarms=evaluate_alarms(followed, masks, rule) if rule else None,
        curve=delay_curve(followed, masks, rule or _TIMES),
        frame_scores=scores,
    )


def follow(
    nll: npt.NDArray[np.float32],
    windows: Windows,
    clips: Sequence[Clip],
    masks: Mapping[str, Labels],
    fps: Mapping[str, float],
    rule: AlarmRule,
) -> dict[str, Signal]:
    """Replay labelled clips as `daflow-edge` does; see `evaluate_causal` for the arguments."""
    index = {clip.name: position for position, clip in enumerate(clips)}
    followed = {}
    for name, mask in masks.items():
        rows = np.flatnonzero((windows.clip == index.get(name, -1)) & (windows.last < len(mask)))
        people: list[dict[int, float]] = [{} for _ in mask]
        for frame, person, score in zip(
            windows.last[rows].tolist(), windows.person[rows].tolist(), nll[rows].tolist(), strict=True
        ):
            people[frame][person] = score
        followed[name] = make_signal(name, people, fps.get(name, DEFAULT_FPS), rule)
    return followed


def evaluate_alarms(
    followed: Mapping[str, Signal], masks: Mapping[str, Labels], rule: AlarmRule
) -> AlarmEvaluation:
    """Return what an alarm does in replayed clips.

    Args:
        followed: as from `follow`, with the same times as `rule`.
        masks: the labels of each frame by clip name.
        rule: the alarm.
    """
    alarms = {name: _alarms_in_clip(masks[name], signal, rule) for name, signal in followed.items()}
    return AlarmEvaluation(rule, alarms)


def delay_curve(
    followed: Mapping[str, Signal], masks: Mapping[str, Labels], rule: AlarmRule
) -> tuple[DelayPoint, ...]:
    """Return delay against false alarms, from the highest threshold to the lowest.

    This is the activity monitoring operating characteristic (Fawcett and Provost, "Activity monitoring: noticing
    interesting changes in behavior", KDD 1999). It has at most 60 points; none without normal frames or without scores.

    Args:
        followed: as from `follow`, with the same times as `rule`.
        masks: the labels of each frame by clip name.
        rule: the alarm; its threshold does not matter.
    """
    levels = np.concatenate([signal.levels[~np.isnan(signal.levels)] for signal in followed.values()])
    if not len(levels) or not any((mask == 0).any() for mask in masks.values()):
        return ()
    points = []
    for threshold in np.unique(np.quantile(levels, 1 - np.geomspace(0.5, 1e-5, _POINTS)))[::-1].tolist():
        found = evaluate_alarms(followed, masks, replace(rule, threshold=threshold, release=threshold))
        before = sum(event.on_before for event in found.events)
        with_alarm = sum(event.delay is not None for event in found.events) - before
        rate = found.false_alarms / found.normal_hours
        points.append(DelayPoint(threshold, rate, with_alarm, before, found.median_delay))
    return tuple(points)


def within_rate(curve: Sequence[DelayPoint], per_hour: float) -> DelayPoint | None:
    """Return the point with the lowest threshold down to which no more false alarms come; None when there is none.

    >>> curve = [DelayPoint(t, rate, 0, 0, None) for t, rate in ((9.0, 0.0), (8.0, 5.0), (7.0, 20.0), (6.0, 4.0))]
    >>> within_rate(curve, 6.0).threshold, within_rate(curve, 60.0).threshold
    (8.0, 6.0)
    """
    within = takewhile(lambda point: point.false_alarms_per_hour <= per_hour, curve)
    return next(iter(deque(within, maxlen=1)), None)


def _alarms_in_clip(mask: Labels, signal: Signal, rule: AlarmRule) -> ClipAlarms:
    found = list(episodes(signal, rule))
    begins = tuple(episode.first for episode in found)
    frame_seconds = signal.seconds / len(mask)
    events = []
    for first, last in _events(mask):
        before = any(episode.first < first < episode.end for episode in found)
        inside = [begin for begin in begins if first <= begin <= last]
        delay = 0.0 if before else (inside[0] - first) * frame_seconds if inside else None
        events.append(Event(first, last, delay, before))
    false_alarms = sum(int(mask[begin] == 0) for begin in begins)
    return ClipAlarms(tuple(events), false_alarms, float((mask == 0).sum()) * frame_seconds, begins)


def _events(mask: Labels) -> list[tuple[int, int]]:
    """Return the first and last frames of the stretches of abnormal frames; ignored frames inside belong to them.

    >>> _events(np.array([0, 1, -1, 1, -1, 0, 1]))
    [(1, 3), (6, 6)]
    """
    events: list[tuple[int, int]] = []
    abnormal = np.flatnonzero(mask == 1)
    normal_before = np.cumsum(mask == 0)[abnormal]
    for stretch in np.unique(normal_before):
        frames = abnormal[normal_before == stretch]
        events.append((int(frames[0]), int(frames[-1])))
    return events
